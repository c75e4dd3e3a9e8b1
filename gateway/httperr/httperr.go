// Package httperr is the one edge where errors become HTTP answers. Handlers
// return errors; Edge writes them. What a client may read (Public, Reason) and
// what the operator reads (Err) are separate fields, and only the former ever
// reaches the wire.
package httperr

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Error is an answer that is not a success.
//
// Code is the HTTP status. Reason is one word of the closed list of reasons, a
// label for logs, metrics and problem documents. Public is a sentence for the
// client and holds nothing internal. Err is the cause, for the log alone.
// Header is added to the answer (WWW-Authenticate, Retry-After, Allow, ...).
type Error struct {
	Code   int
	Reason string
	Public string
	Err    error
	Header http.Header

	// Who is shown on the page of a 403: whom the gateway took the user for.
	Who string
	// Message is what the operators have to say about it, in their words.
	Message string
	// LoginURL tells a program where a person can sign in; on the page of a 403,
	// it is where he switches to another account.
	LoginURL string
	// Facts are shown on the page as they are, name and value, in the words of a
	// protocol, for whoever is asked for help.
	Facts [][2]string
}

// Error returns the internal description. It must not reach a client.
func (e *Error) Error() string {
	s := http.StatusText(e.Code) + ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the internal cause.
func (e *Error) Unwrap() error { return e.Err }

// HandlerFunc answers a request, or returns the error that Edge shall answer
// with. A handler that returns an error has written nothing.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// StatusClientClosed is logged, never sent, when the client went away before
// the answer: the status that nginx made customary.
const StatusClientClosed = 499

// As finds the *Error in err. Any other error is an unexplained failure and
// becomes a 500 whose text says nothing.
func As(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: http.StatusInternalServerError, Reason: "internal", Public: "Something went wrong on our side.", Err: err}
}

// RetryAfter is the header that asks a client to wait, in whole seconds, rounded up
// (RFC 9110, section 10.2.3).
func RetryAfter(wait time.Duration) http.Header {
	return http.Header{"Retry-After": {strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)}}
}
