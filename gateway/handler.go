package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// ownRoute is what the gateway's own endpoints are called in logs and metrics.
// No configured route can have a name that begins with a dot.
const ownRoute = ".auth"

// redirectRoute is what the listeners are called there that redirect to https.
const redirectRoute = ".redirect"

// checkSubtree is where other proxies ask, below the prefix.
const checkSubtree = "/check/"

// handler is the outermost handler of the public listener. It knows nothing of
// authentication.
type handler struct {
	prefix    string // of the gateway's own endpoints
	endpoints map[string]httperr.HandlerFunc
	callback  httperr.HandlerFunc
	subtrees  map[string]httperr.HandlerFunc // of endpoints that end with a provider's name
	knownHost func(host string) bool
	front     httperr.HandlerFunc
	edge      *httperr.Edge // for the front end
	ownEdge   *httperr.Edge // for the own endpoints
	trust     *trust
	metrics   *telemetry.Metrics
	log       *zap.Logger
	audit     *zap.Logger

	limits   config.Limits
	final    finalHeaders
	redirect httperr.HandlerFunc // of a listener that serves nothing else; nil of the others

	formTimeout time.Duration // for the bodies that the own endpoints read; 0 = no limit
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &telemetry.Recorder{ResponseWriter: w}
	e := &rec.Event
	e.Start = time.Now()
	e.RequestID = requestID(r)
	e.ClientAddr = h.trust.client(r)
	e.Method, e.Host, e.Path = r.Method, r.Host, r.URL.Path
	// Everybody who gets the request or the answer reads the same id there.
	id := []string{e.RequestID}
	w.Header()[httperr.RequestIDHeader], r.Header[httperr.RequestIDHeader] = id, id

	if !r.ProtoAtLeast(1, 1) {
		// net/http ignores Transfer-Encoding in HTTP/1.0, so that a body which
		// another reader saw would be read as the next request (CWE-444).
		w.Header()["Connection"] = []string{"close"}
	}

	defer h.finish(rec)
	rec.Final = h.final.now()
	serve, edge := h.front, h.edge
	if own, ok := h.own(r); ok {
		e.Route, e.Outcome, e.Reason, e.Credential = ownRoute, "answered", "ok", "none"
		if h.redirect != nil {
			e.Route = redirectRoute
		}
		serve, edge = own, h.ownEdge
		awaitBody(w, r, h.formTimeout)
	}
	if err := serve(rec, r); err != nil {
		edge.Write(rec, r, err)
	}
	awaitBody(w, r, lateBody)
}

// lateBody is how long the rest of a body is awaited when the answer is ready:
// net/http drains it first, so that the connection can be used again.
const lateBody = time.Second

// awaitBody bounds the wait for a body that no application reads, so that a
// client without an account can't hold a connection by never sending it.
func awaitBody(w http.ResponseWriter, r *http.Request, patience time.Duration) {
	if r.ContentLength != 0 && patience > 0 {
		// An error means a connection that knows no deadlines, as in a test.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience))
	}
}

// finish closes the event, also after a panic, which costs the client its
// connection but nobody else anything.
func (h *handler) finish(rec *telemetry.Recorder) {
	e := &rec.Event
	panicked := recover()
	if panicked != nil && panicked != http.ErrAbortHandler { //nolint:errorlint // a panic value, not a returned error
		e.Panic = panicked
		if e.Status == 0 {
			e.Status = http.StatusInternalServerError
		}
	}
	if e.Status == 0 {
		e.Status = http.StatusOK // net/http answers so for a handler that wrote nothing
	}
	h.metrics.Request(e)
	e.Log(h.log, time.Since(e.Start))
	if e.Outcome == "forbid" {
		(&telemetry.Audit{
			Event: "deny", Outcome: "ok", Reason: e.Reason, Rule: e.Rule, Route: e.Route, Decision: e.Decision,
			RequestID: e.RequestID, ClientAddr: e.ClientAddr,
			Issuer: e.Issuer, Subject: e.Subject, Session: e.Session,
		}).Log(h.audit)
	}
	if panicked != nil {
		// net/http closes the connection; it logs nothing for this value.
		panic(http.ErrAbortHandler)
	}
}

// observe records an error in the event before the edge answers with it.
func observe(w http.ResponseWriter, _ *http.Request, err *httperr.Error) {
	e := telemetry.EventOf(w)
	if e.Outcome == "answered" || e.Outcome == "allow" || e.Outcome == "" {
		e.Reason = err.Reason
	}
	if err.Err != nil {
		e.Err = err.Err
	}
	if err.Code == httperr.StatusClientClosed {
		e.Status = err.Code
	}
}

// own finds the gateway's own endpoint for a request. Whatever is under the
// prefix is the gateway's, so that no application can take its place.
func (h *handler) own(r *http.Request) (httperr.HandlerFunc, bool) {
	if err := h.oversized(r); err != nil {
		return func(http.ResponseWriter, *http.Request) error { return err }, true
	}
	if h.redirect != nil {
		return h.redirect, true
	}
	if r.Method == http.MethodConnect {
		return nil, false // the front end refuses it, and ends the connection
	}
	rest, ok := belowPrefix(r.URL.Path, h.prefix)
	if !ok {
		return nil, false
	}
	// A proxy that asks may call the gateway by any name; its address is looked at.
	if !strings.HasPrefix(rest, checkSubtree) && !h.knownHost(r.Host) {
		return unknownHost, true
	}
	if serve, ok := h.endpoints[rest]; ok {
		return serve, true
	}
	if strings.HasPrefix(rest, "/callback/") {
		return h.callback, true
	}
	if cut := strings.IndexByte(strings.TrimPrefix(rest, "/"), '/'); cut >= 0 {
		if serve, ok := h.subtrees[rest[:cut+2]]; ok {
			return serve, true
		}
	}
	return notServed, true
}

// oversized refuses what net/http lets through: it bounds the bytes of a header, and
// neither its lines nor the request target.
func (h *handler) oversized(r *http.Request) error {
	if most := h.limits.MaxTargetBytes; most > 0 && len(r.RequestURI) > most {
		return &httperr.Error{Code: http.StatusRequestURITooLong, Reason: "target_too_long", Public: "The address is too long.", Header: closing()}
	}
	if most := h.limits.MaxHeaders; most > 0 && lines(r.Header) > most {
		return &httperr.Error{Code: http.StatusRequestHeaderFieldsTooLarge, Reason: "too_many_headers", Public: "The request has too many headers.", Header: closing()}
	}
	return nil
}

func lines(h http.Header) int {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	return n
}

// closing ends the connection of a client that does not know what it does.
func closing() http.Header { return http.Header{"Connection": {"close"}} }

// belowPrefix reports whether a path is the gateway's own, and what follows the
// prefix.
func belowPrefix(path, prefix string) (rest string, own bool) {
	rest, ok := strings.CutPrefix(path, prefix)
	return rest, ok && (rest == "" || rest[0] == '/')
}

func unknownHost(http.ResponseWriter, *http.Request) error {
	return &httperr.Error{Code: http.StatusMisdirectedRequest, Reason: "unknown_host", Public: "This host is not served here."}
}

func notServed(http.ResponseWriter, *http.Request) error {
	return &httperr.Error{Code: http.StatusNotFound, Reason: "no_route", Public: "Nothing is served at this address."}
}

// requestID takes the client's request id if it is well formed, so that a
// request can be followed through several hops, and makes one otherwise. It is
// a label, not a secret.
func requestID(r *http.Request) string {
	if given := r.Header[httperr.RequestIDHeader]; len(given) == 1 && wellFormedID(given[0]) {
		return given[0]
	}
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // not a secret
	return hex.EncodeToString(id[:])
}

func wellFormedID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
