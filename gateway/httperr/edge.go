package httperr

import (
	"cmp"
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

// DecisionHeader carries the name of a decision against the user, by which
// operators can have it explained.
const DecisionHeader = "Sallyport-Decision"

// Edge is the one place that turns an error into an answer: a page for a
// person, problem+json (RFC 9457) for a program, a status for gRPC.
type Edge struct {
	// Page renders the page of an error. If it is nil, or fails before it
	// wrote, people get the problem document as well.
	Page func(w http.ResponseWriter, r *http.Request, e *Error, requestID string) error
	// Observe hears of every error before it is written; it must not keep r.
	Observe func(w http.ResponseWriter, r *http.Request, e *Error)
	// GRPC answers gRPC calls as their clients expect, which is with HTTP 200. It
	// must stay off wherever something else than a gRPC client reads the status:
	// a proxy that asks whether to let a request in would take that for a yes.
	GRPC bool
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
	gone := errors.Is(err, context.Canceled) && r.Context().Err() != nil || e.Code == StatusClientClosed
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
	grpc := g.GRPC && isGRPC(r)
	if grpc {
		h.Set("Grpc-Status", grpcStatus(e.Code))
		h.Set("Grpc-Message", e.Reason)
	}
	switch {
	case grpc && r.ProtoMajor >= 2:
		// Trailers only: HTTP 200 and the status in the header block.
		h.Set("Content-Type", "application/grpc")
		w.WriteHeader(http.StatusOK)
	case g.Page != nil && WantsPage(r) && g.Page(w, r, e, h.Get(RequestIDHeader)) == nil:
	default:
		writeProblem(w, r, e)
	}
}

// isGRPC reports whether a gRPC client asks, or one that calls itself so: the
// HTTP status stays that of the refusal unless the call came as gRPC's own
// protocol, HTTP/2. A client could otherwise choose it by a header.
func isGRPC(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
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
	Decision  string `json:"decision,omitempty"`
	LoginURL  string `json:"login_url,omitempty"`
}

func writeProblem(w http.ResponseWriter, r *http.Request, e *Error) {
	h := w.Header()
	body, err := json.Marshal(problem{
		Type:      "about:blank",
		Title:     http.StatusText(e.Code),
		Status:    e.Code,
		Detail:    cmp.Or(e.Message, e.Public),
		Reason:    e.Reason,
		RequestID: h.Get(RequestIDHeader),
		Decision:  h.Get(DecisionHeader),
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

// grpcStatus is the code of gRPC for an HTTP status.
func grpcStatus(code int) string {
	switch code {
	case http.StatusBadRequest:
		return "3" // INVALID_ARGUMENT
	case http.StatusUnauthorized:
		return "16" // UNAUTHENTICATED
	case http.StatusForbidden:
		return "7" // PERMISSION_DENIED
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusMisdirectedRequest:
		return "12" // UNIMPLEMENTED
	case http.StatusTooManyRequests:
		return "8" // RESOURCE_EXHAUSTED
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "14" // UNAVAILABLE
	}
	return "2" // UNKNOWN
}
