package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// limitBody bounds the body of a request, where there is one, and tells whose fault
// it is when it can't be read. The client's own request keeps the body that
// net/http has given it: by its type net/http sees that not all of it was read, and
// that what follows on the connection is no request (CWE-444).
func (x *exchange) limitBody(pr *httputil.ProxyRequest) {
	if pr.In.ContentLength == 0 || pr.Out.Body == nil {
		return
	}
	x.body = &clientBody{ReadCloser: pr.Out.Body}
	pr.Out.Body = x.body
	if most := x.target.maxBody(x.owner.MaxBody); most > 0 {
		pr.Out.Body = http.MaxBytesReader(x.writer.ResponseWriter, pr.Out.Body, most)
	}
}

// clientBody is the body of a request on its way to the application. That it
// can't be read is its client's doing, which the application must not be blamed
// for.
type clientBody struct {
	io.ReadCloser
	read atomic.Bool // to its end
}

// Read implements io.Reader. What the client did wrong is a *bodyError.
func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.read.Store(true)
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) { // of which the latter is the gateway's own
		return n, err
	}
	return n, &bodyError{err}
}

type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

// answer tells a client that went away, or broke a stream off, from one that sent
// what nobody can read.
func (e *bodyError) answer(r *http.Request) error {
	_, network := errors.AsType[net.Error](e.error)
	if network || errors.Is(e.error, io.ErrUnexpectedEOF) || r.ProtoMajor > 1 {
		return &httperr.Error{Code: httperr.StatusClientClosed, Reason: "client_gone", Err: e}
	}
	return &httperr.Error{
		Code: http.StatusBadRequest, Reason: "malformed_request", Err: e, Public: "The body of the request is malformed.",
		Header: http.Header{"Connection": {"close"}},
	}
}

// lastWord is the body of an answer over HTTP/2 to a request whose body may still
// be on its way. When it is at its end, or breaks off, the application wants no more
// of that: a client that keeps its side open would never hear how it ended, because
// closing the answer waits for whoever reads the request.
type lastWord struct {
	io.ReadCloser
	request *clientBody
	client  http.ResponseWriter
}

// Read implements io.Reader.
func (b *lastWord) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !b.request.read.Load() {
		// An error means a connection that knows no deadlines, as in a test.
		_ = http.NewResponseController(b.client).SetReadDeadline(time.Now())
	}
	return n, err
}
