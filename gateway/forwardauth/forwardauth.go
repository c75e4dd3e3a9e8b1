// Package forwardauth is the front end that other proxies ask: whether a request
// that they have received may pass, and with which headers. It has an endpoint for
// each kind of proxy, which reads the headers of that proxy alone, asks the guard
// like every front end, and answers in the way that this proxy can use. What the
// answer does to the client is the proxy's; which proxies may ask is decided by
// their address.
package forwardauth

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Dialect is how one kind of proxy asks, and what it makes of an answer.
type Dialect struct {
	Name string
	// Original reads what the proxy says of the request, from the headers that it
	// documents and from nothing else. prefix is the path of the endpoint. Errors are
	// *frontend.OriginalError or *HeaderError.
	Original func(r *http.Request, prefix string) (frontend.Original, error)
	// Subtree says that the original path follows that of the endpoint.
	Subtree bool
	// Opaque says that the proxy passes on neither a redirect nor a body, and takes
	// statuses other than 200, 401 and 403 for failures of its own.
	Opaque bool
	// Withhold names headers of answers that this proxy has no use for.
	Withhold []string
}

// HeaderError says that a proxy did not send what its dialect is made of.
type HeaderError struct{ Header, Problem string }

// Error names the header.
func (e *HeaderError) Error() string { return e.Header + " " + e.Problem }

// ReasonHeader carries the reason of a refusal to a proxy that passes no body on.
const ReasonHeader = frontend.ReasonHeader

// Reasons of refusals, besides those of the guard.
const (
	ReasonUntrusted = frontend.ReasonUntrusted
	ReasonOriginal  = frontend.ReasonOriginal
)

// Options are what a Service needs. All fields are required.
type Options struct {
	Guard     *guard.Guard
	Challenge guard.Challenger // with absolute URLs: proxies resolve others against the wrong host
	Passes    *frontend.Passes
	Prefix    string   // of the endpoints: those that follow are one path segment each
	Dialects  []string // by name; others are not served
	// Own reports whether a path is one of the gateway's own: what a proxy sends to
	// the application from there is not for it.
	Own func(path string) bool
	// Trusted reports whether a peer is a proxy that may ask.
	Trusted func(remoteAddr string) bool
	// Edge writes refusals, for the client that the proxy asks for.
	Edge *httperr.Edge
	Log  *zap.Logger
}

// Service is immutable and safe for concurrent use.
type Service struct {
	Options
	dialects map[string]*Dialect
}

// New makes a Service.
func New(o Options) *Service {
	s := &Service{Options: o, dialects: map[string]*Dialect{}}
	for _, d := range dialects() {
		for _, name := range o.Dialects {
			if name == d.Name {
				s.dialects[name] = &d
			}
		}
	}
	return s
}

func dialects() []Dialect { return []Dialect{nginx(), traefik(), caddy(), haproxy(), envoyHTTP()} }

// Serve is the handler of all endpoints. It is an httperr.HandlerFunc.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request) error {
	event := telemetry.EventOf(w)
	w.Header().Set("Cache-Control", "no-store")

	// 1. Find the dialect.
	name, rest, below := strings.Cut(strings.TrimPrefix(r.URL.Path, s.Prefix+"/"), "/")
	d := s.dialects[name]
	if d == nil || below && !d.Subtree || rest != "" && !below {
		return &httperr.Error{Code: http.StatusNotFound, Reason: guard.ReasonNoRoute, Public: "Nothing is served at this address."}
	}

	// 2. Believe nobody but the operator's own proxies.
	if !s.Trusted(r.RemoteAddr) {
		event.Outcome = "forbid"
		return &httperr.Error{Code: http.StatusForbidden, Reason: ReasonUntrusted, Public: "Only the proxies of this site may ask here."}
	}

	// 3. Rebuild the request that the proxy asks about.
	original, err := s.original(d, r)
	if err != nil {
		s.Log.Warn("a proxy asks about a request that it does not describe", zap.String("dialect", name), zap.Error(err))
		event.Outcome = "malformed"
		return frontend.Malformed(ReasonOriginal)
	}
	event.Dialect = name
	event.Method, event.Host, event.Path = original.Method, original.Host, original.URL.Path

	// 4. Decide, as for any request.
	if s.Own(original.URL.Path) {
		return s.refuse(w, original, d, &httperr.Error{Code: http.StatusNotFound, Reason: guard.ReasonNoRoute, Public: "Nothing is served at this address."})
	}
	start := time.Now()
	v, err := s.Guard.Decide(original)
	event.DecideTime = time.Since(start)
	frontend.Record(event, &v)
	if err != nil {
		return s.refuse(w, original, d, frontend.Outage(event, err))
	}
	if v.Outcome == guard.Allow {
		s.allow(w, original, d, &v)
		return nil
	}
	location, e := frontend.Refuse(w, original, &v, s.Challenge)
	if location != "" {
		s.redirect(w, d, location, v.Reason)
		return nil
	}
	return s.refuse(w, original, d, e)
}

func (s *Service) original(d *Dialect, r *http.Request) (*http.Request, error) {
	o, err := d.Original(r, s.Prefix+"/"+d.Name)
	if err != nil {
		return nil, err
	}
	return o.Request(r.Context())
}

// allow answers with status 200, the one that every proxy takes for a yes, and
// with no body: nginx closes the connection after one.
func (s *Service) allow(w http.ResponseWriter, original *http.Request, d *Dialect, v *guard.Verdict) {
	h := w.Header()
	maps.Copy(h, s.Passes.Pass(original, v).Set)
	for _, name := range d.Withhold {
		delete(h, name)
	}
	w.WriteHeader(http.StatusOK)
}

func (s *Service) redirect(w http.ResponseWriter, d *Dialect, location, reason string) {
	h := w.Header()
	h.Set("Location", location)
	if d.Opaque {
		h.Set(ReasonHeader, reason)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusFound)
}

// refuse answers for the client, or in the three statuses that an opaque proxy
// understands.
func (s *Service) refuse(w http.ResponseWriter, original *http.Request, d *Dialect, e *httperr.Error) error {
	h := w.Header()
	h.Set(ReasonHeader, e.Reason)
	if !d.Opaque {
		s.Edge.Write(w, original, e)
		return nil
	}
	maps.Copy(h, e.Header)
	status := e.Code
	if status >= http.StatusBadRequest && status < http.StatusInternalServerError && status != http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	if s.Edge.Observe != nil {
		s.Edge.Observe(w, original, e)
	}
	w.WriteHeader(status)
	return nil
}
