package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// maxAttempts bounds how many upstreams are tried for one request.
const maxAttempts = 3

// spread sends a request to one of the upstreams, and to another where the first
// could not be connected to.
func (p *Pool) spread(r *http.Request, sticky [32]byte) (*http.Response, error) {
	ctx := r.Context()
	body := p.hold(r)
	var tried uint64
	var failed error // of the attempt before
	for n := 1; ; n++ {
		e, err := p.acquire(ctx, sticky, tried, n == 1)
		if err != nil {
			body.give()
			if failed != nil {
				return nil, failed
			}
			closeBody(r)
			return nil, err
		}
		if n > 1 {
			p.retries.Add(1)
		}
		res, err := e.roundTrip(r)
		if err == nil {
			body.give()
			e.answered(res.StatusCode)
			p.count(e, res)
			return res, nil
		}
		e.release()
		if !body.failed() && p.isFailure(ctx, err) {
			e.fail()
		}
		tried |= 1 << e.index
		if n == maxAttempts || len(p.endpoints) == 1 || !resendable(r, body, err) {
			body.give()
			return nil, err
		}
		failed = err
	}
}

// resendable reports whether a request that failed can be sent to another upstream:
// nothing of it was sent, it may be sent twice all the same, and its client waits.
func resendable(r *http.Request, body *heldBody, err error) bool {
	_, unsent := errors.AsType[*ConnectError](err)
	return unsent && idempotent(r.Method) && !body.touched() && r.Context().Err() == nil
}

// idempotent knows the methods of RFC 9110, section 9.2.2.
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// isFailure reports whether an error says that the upstream is not well. A client
// that left says nothing about it, nor do errors that are about the request.
func (p *Pool) isFailure(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if _, ok := errors.AsType[*ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok { // timeouts, resets
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// hold puts a request's body under watch, where that can matter. It returns nil
// where it can't.
func (p *Pool) hold(r *http.Request) *heldBody {
	if r.Body == nil || r.Body == http.NoBody || len(p.endpoints) == 1 {
		return nil
	}
	b := &heldBody{ReadCloser: r.Body}
	b.held.Store(true)
	r.Body = b
	return b
}

// heldBody is the body of a request that may be sent to another upstream, as long
// as nothing was read from it. Until then its transport can't close it.
type heldBody struct {
	io.ReadCloser
	held, closed, read, broken atomic.Bool
}

// Read implements io.Reader.
func (b *heldBody) Read(buf []byte) (int, error) {
	b.read.Store(true)
	n, err := b.ReadCloser.Read(buf)
	if err != nil && !errors.Is(err, io.EOF) {
		b.broken.Store(true)
	}
	return n, err
}

// Close implements io.Closer.
func (b *heldBody) Close() error {
	b.closed.Store(true)
	if b.held.Load() && !b.read.Load() {
		return nil
	}
	return b.ReadCloser.Close()
}

// give leaves the body to the last transport that got it.
func (b *heldBody) give() {
	if b == nil {
		return
	}
	b.held.Store(false)
	if b.closed.Load() {
		_ = b.ReadCloser.Close() // twice does no harm
	}
}

// touched reports whether something of the body may have been sent.
func (b *heldBody) touched() bool { return b != nil && b.read.Load() }

// failed reports whether the body could not be read: its client's fault.
func (b *heldBody) failed() bool { return b != nil && b.broken.Load() }

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // as every http.RoundTripper does
	}
}
