package upstream

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// count keeps a request counted until the body of its answer is closed, which for
// a WebSocket is its end.
func (p *Pool) count(e *endpoint, res *http.Response) {
	switch {
	case !p.counting:
	case res.Body == nil || res.Body == http.NoBody:
		e.release()
	default:
		if both, ok := res.Body.(io.ReadWriteCloser); ok {
			res.Body = &countedConn{ReadWriteCloser: both, slot: slot{endpoint: e}}
			return
		}
		res.Body = &countedBody{ReadCloser: res.Body, slot: slot{endpoint: e}}
	}
}

// slot is released once.
type slot struct {
	endpoint *endpoint
	over     atomic.Bool
}

func (s *slot) release() {
	if !s.over.Swap(true) {
		s.endpoint.release()
	}
}

type countedBody struct {
	io.ReadCloser
	slot slot
}

// Close implements io.Closer.
func (b *countedBody) Close() error {
	defer b.slot.release()
	return b.ReadCloser.Close()
}

// countedConn is the body of an answer that switched protocols.
type countedConn struct {
	io.ReadWriteCloser
	slot slot
}

// Close implements io.Closer.
func (c *countedConn) Close() error {
	defer c.slot.release()
	return c.ReadWriteCloser.Close()
}

// CloseWrite tells the upstream that the client says no more.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
