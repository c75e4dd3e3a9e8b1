package http1

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// body is that of an answer. At its end the connection is kept.
type body struct {
	from     io.Reader // net/http's, which reads of the connection
	conn     *conn
	ctx      context.Context //nolint:containedctx // of the request that the body answers
	reusable bool
	state    atomic.Uint32
}

// The states of a body. Only one goroutine leaves bodyOpen: from then on nobody else
// touches the connection.
const (
	bodyOpen uint32 = iota
	bodyRead
	bodyClosed
)

// Read implements io.Reader. One goroutine at a time may call it, and another one
// Close.
func (b *body) Read(p []byte) (int, error) {
	switch b.state.Load() {
	case bodyRead:
		return 0, io.EOF
	case bodyClosed:
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.from.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		if b.state.CompareAndSwap(bodyOpen, bodyRead) {
			b.conn.done(b.reusable)
		}
		return n, io.EOF
	}
	_ = b.Close() // the connection is of no use any more
	if b.ctx.Err() != nil {
		return n, b.ctx.Err()
	}
	return n, err
}

// Close implements io.Closer. A body that was not read to its end takes its
// connection with it.
func (b *body) Close() error {
	if b.state.CompareAndSwap(bodyOpen, bodyClosed) {
		// A Read may be using the buffers, so that they are lost.
		b.conn.stop()
		b.conn.abort()
	}
	return nil
}
