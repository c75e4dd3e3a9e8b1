package httperr

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// RequestIDHeader carries the request id, in both directions.
const RequestIDHeader = "X-Request-Id"

// Edge is the one place that turns an error into an answer: a page for a
// person, problem+json (RFC 9457) for a program, a status for gRPC.
type Edge struct {
	// Page renders the page of an error. If it is nil, or fails before it
	// wrote, people get the problem document as well.
	Page func(w http.ResponseWriter, r *http.Request, e *Error, requestID string) error
	// Observe hears of every error before it is written; it must not keep r.
	Observe func(w http.ResponseWriter, r *http.Request, e *Error)
}

// Handle makes an http.Handler of a handler that returns its errors.
func (g *Edge) Handle(f HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			g.Write(w, r, err)
		}
	})
}

// Write answers with err. A client that went away gets nothing; it is recorded
// as StatusClientClosed.
func (g *Edge) Write(w http.ResponseWriter, r *http.Request, err error) {
	e := As(err)
	gone := errors.Is(err, context.Canceled) && r.Context().Err() != nil
	if gone {
		e = &Error{Code: StatusClientClosed, Reason: "client_gone", Err: err}
	}
	if g.Observe != nil {
		g.Observe(w, r, e)
	}
	if gone {
		return
	}
	h := w.Header()
	maps.Copy(h, e.Header)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		writeGRPC(w, e)
	case g.Page != nil && WantsPage(r) && g.Page(w, r, e, h.Get(RequestIDHeader)) == nil:
	default:
		writeProblem(w, r, e)
	}
}

// WantsPage reports whether a person will read the answer: a navigation, or a
// form that a browser submitted.
func WantsPage(r *http.Request) bool {
	if IsNavigation(r) {
		return true
	}
	mode := r.Header.Get("Sec-Fetch-Mode")
	return r.Method == http.MethodPost && (mode == "" || mode == "navigate") &&
		r.Header.Get("X-Requested-With") == "" && AcceptsHTML(r.Header)
}

// problem is the body of RFC 9457 with our members.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Reason    string `json:"reason"`
	RequestID string `json:"request_id,omitempty"`
	LoginURL  string `json:"login_url,omitempty"`
}

func writeProblem(w http.ResponseWriter, r *http.Request, e *Error) {
	h := w.Header()
	body, err := json.Marshal(problem{
		Type:      "about:blank",
		Title:     http.StatusText(e.Code),
		Status:    e.Code,
		Detail:    e.Public,
		Reason:    e.Reason,
		RequestID: h.Get(RequestIDHeader),
		LoginURL:  e.LoginURL,
	})
	if err != nil { // strings and an int always encode
		body = []byte(`{"type":"about:blank"}`)
	}
	body = append(body, '\n')
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that went away is no error of ours
	}
}

// writeGRPC answers with trailers only, as gRPC clients expect: HTTP 200 and
// the status in the header block.
func writeGRPC(w http.ResponseWriter, e *Error) {
	status := 2 // UNKNOWN
	switch e.Code {
	case http.StatusBadRequest:
		status = 3 // INVALID_ARGUMENT
	case http.StatusUnauthorized:
		status = 16 // UNAUTHENTICATED
	case http.StatusForbidden:
		status = 7 // PERMISSION_DENIED
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusMisdirectedRequest:
		status = 12 // UNIMPLEMENTED
	case http.StatusTooManyRequests:
		status = 8 // RESOURCE_EXHAUSTED
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		status = 14 // UNAVAILABLE
	}
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(status))
	h.Set("Grpc-Message", e.Reason)
	w.WriteHeader(http.StatusOK)
}
