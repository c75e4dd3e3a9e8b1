package gateway

import (
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/compat"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
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
	compat    map[string]httperr.HandlerFunc // below /oauth2; nil = off
	knownHost func(host string) bool
	front     httperr.HandlerFunc
	edge      *httperr.Edge // for the front end
	ownEdge   *httperr.Edge // for the own endpoints
	watch     observer

	limits   config.Limits
	redirect httperr.HandlerFunc // of a listener that serves nothing else; nil of the others

	formTimeout time.Duration // for the bodies that the own endpoints read; 0 = no limit
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec, r := h.watch.begin(w, r)
	defer h.watch.finish(rec, r)
	if !r.ProtoAtLeast(1, 1) {
		// net/http ignores Transfer-Encoding in HTTP/1.0, so that a body which
		// another reader saw would be read as the next request (CWE-444).
		w.Header()["Connection"] = []string{"close"}
	}

	e := &rec.Event
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
	if serve, ok := h.compatible(r); ok {
		return serve, true
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

// compatible finds the endpoint of another product, where there are any. Its prefix
// can be the gateway's own as well, so that proxies need not learn another one.
func (h *handler) compatible(r *http.Request) (httperr.HandlerFunc, bool) {
	if h.compat == nil {
		return nil, false
	}
	rest, ok := belowPrefix(r.URL.Path, compat.OAuth2ProxyPrefix)
	if !ok {
		return nil, false
	}
	serve, served := h.compat[rest]
	if _, own := belowPrefix(r.URL.Path, h.prefix); own && !served {
		return nil, false
	}
	if rest != checkOfOAuth2Proxy && !h.knownHost(r.Host) {
		return unknownHost, true
	}
	if !served {
		return notServed, true
	}
	return serve, true
}

// oversized refuses what net/http lets through: it bounds the bytes of a header, and
// neither its lines nor the request target.
func (h *handler) oversized(r *http.Request) error {
	if most := h.limits.MaxTargetBytes; most > 0 && len(r.RequestURI) > most {
		e := frontend.TargetTooLong()
		e.Header = closing()
		return e
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
	return frontend.HostNotServed(guard.ReasonUnknownHost)
}

func notServed(http.ResponseWriter, *http.Request) error {
	return frontend.NotServed(guard.ReasonNoRoute)
}
