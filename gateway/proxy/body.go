package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// clientBody is the body of a request on its way to the application. That it
// can't be read is its client's doing, which the application must not be blamed
// for.
type clientBody struct{ io.ReadCloser }

// Read implements io.Reader. Its errors but io.EOF are of type *bodyError.
func (b clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &bodyError{err}
	}
	return n, err
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
