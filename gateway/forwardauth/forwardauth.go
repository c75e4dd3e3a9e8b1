// Package forwardauth is the front end that other proxies ask: whether a request
// that they have received may pass, and with which headers. It has an endpoint for
// each kind of proxy, which reads the headers of that proxy alone, asks the guard
// like every front end, and answers in the way that this proxy can use. What the
// answer does to the client is the proxy's; which proxies may ask is decided by
// their address.
package forwardauth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Dialect is how one kind of proxy asks, and what it makes of an answer.
type Dialect struct {
	Name string
	// Original reads what the proxy says of the request, from the headers that it
	// documents and from nothing else, and takes those out of r. prefix is the path of
	// the endpoint. Errors are *HeaderError.
	Original func(r *http.Request, prefix string) (frontend.Original, error)
	// Originals is in place of Original where the headers may mean several requests.
	// Each of them must be allowed.
	Originals func(r *http.Request) ([]frontend.Original, error)
	// Subtree says that the original path follows that of the endpoint.
	Subtree bool
	// Opaque says that the proxy passes on neither a redirect nor a body, and takes
	// statuses other than 200, 401 and 403 for failures of its own.
	Opaque bool
	// Withhold names headers of answers that this proxy has no use for.
	Withhold []string
	// Removal is the header of an answer that lists what the proxy is to remove from
	// the request; empty where no answer can make it.
	Removal string
	// Yes is the status of a yes; 0 = 200, the one that every proxy takes for it.
	Yes int
	// Admits judges what the check itself asks for, beside the routes; nil = nothing.
	Admits func(check *http.Request, v *guard.Verdict) bool
	// Adorn adds to the header of a yes; nil = nothing.
	Adorn func(h http.Header, v *guard.Verdict)
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
	ReasonSpoofed   = "spoofed_header"
)

// Options are what a Service needs. All fields are required.
type Options struct {
	Judge     *frontend.Judge
	Passes    *frontend.Passes
	Prefix    string   // of the endpoints: those that follow are one path segment each
	Dialects  []string // by name; others are not served
	MaxTarget int      // bytes of the target of a request that is asked about; 0 = no limit
	// Trusted reports whether a peer is a proxy that may ask.
	Trusted func(remoteAddr string) bool
	// Edge writes refusals, for the client that the proxy asks for.
	Edge *httperr.Edge
	// OAuth2Proxy is served by ServeOAuth2Proxy; nil = it is not.
	OAuth2Proxy *OAuth2Proxy
}

// Service is immutable and safe for concurrent use.
type Service struct {
	Options
	base     string // Prefix and a slash
	dialects map[string]*endpoint
	noStore  []string

	oauth2Proxy endpoint
}

// endpoint is where a dialect is spoken.
type endpoint struct {
	Dialect
	path string
}

// New makes a Service.
func New(o Options) *Service {
	s := &Service{Options: o, base: o.Prefix + "/", dialects: map[string]*endpoint{}, noStore: []string{"no-store"}}
	for _, d := range dialects() {
		if slices.Contains(o.Dialects, d.Name) {
			s.dialects[d.Name] = &endpoint{Dialect: d, path: s.base + d.Name}
		}
	}
	if o.OAuth2Proxy != nil {
		s.oauth2Proxy.Dialect = o.OAuth2Proxy.dialect()
	}
	return s
}

func dialects() []Dialect { return []Dialect{nginx(), traefik(), caddy(), haproxy(), envoyHTTP()} }

// Serve is the handler of all endpoints. It is an httperr.HandlerFunc.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request) error {
	defer fail(w)
	w.Header()["Cache-Control"] = s.noStore
	ignoreBody(w, r)

	// 1. Find the dialect.
	d := s.endpoint(r.RequestURI)
	if d == nil {
		return frontend.NotServed(guard.ReasonNoRoute)
	}
	return s.ask(w, r, d)
}

func (s *Service) ask(w http.ResponseWriter, r *http.Request, d *endpoint) error {
	event := telemetry.EventOf(w)
	event.Dialect = d.Name

	// 2. Believe nobody but the operator's own proxies.
	if !s.Trusted(r.RemoteAddr) {
		event.Outcome, event.Reason = guard.Forbid.String(), ReasonUntrusted
		return &httperr.Error{Code: http.StatusForbidden, Reason: ReasonUntrusted, Public: "Only the proxies of this site may ask here."}
	}

	// 3. Rebuild the request that the proxy asks about.
	if d.Originals != nil {
		return s.askAboutAll(w, r, d, event)
	}
	original, e := s.original(d, r)
	if e != nil {
		event.Outcome, event.Reason = guard.Malformed.String(), e.Reason
		s.refuse(w, r, d, e)
		return nil
	}

	// 4. Decide, as for any request, and answer.
	if v, yes := s.decide(w, original, d, event); yes {
		s.allow(w, original, d, &v)
	}
	return nil
}

// decide reports whether a request may pass, and answers where it may not.
func (s *Service) decide(w http.ResponseWriter, original *http.Request, d *endpoint, event *telemetry.Event) (_ guard.Verdict, yes bool) {
	event.Method, event.Host, event.Path = original.Method, original.Host, original.URL.Path
	v, location, e := s.Judge.Judge(w, original, event)
	switch {
	case location != "":
		redirect(w, d, location, v.Reason)
	case e != nil:
		s.refuse(w, original, d, e)
	default:
		return v, true
	}
	return v, false
}

// endpoint finds the one of a target; nil where nothing is served. It is looked for as
// it was sent: a client could get past a rule of the proxy against /.auth/check/ by
// escaping a letter, and would be told what is for applications.
func (s *Service) endpoint(target string) *endpoint {
	path, _, _ := strings.Cut(target, "?")
	rest, ok := strings.CutPrefix(path, s.base)
	name, _, below := strings.Cut(rest, "/")
	d := s.dialects[name]
	if !ok || d == nil || below && !d.Subtree {
		return nil
	}
	return d
}

// original rebuilds the request. Who reads the log learns what was wrong with it.
func (s *Service) original(d *endpoint, r *http.Request) (*http.Request, *httperr.Error) {
	o, err := d.Original(r, d.path)
	if err == nil {
		if s.MaxTarget > 0 && len(o.Target) > s.MaxTarget {
			return nil, frontend.TargetTooLong()
		}
		o.Header, o.Peer = r.Header, r.RemoteAddr
		var original *http.Request
		if original, err = o.Request(r.Context()); err == nil {
			return original, nil
		}
	}
	return nil, frontend.BadOriginal(err)
}
