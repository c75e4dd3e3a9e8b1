// Package proxy is the front end that forwards: it asks the guard, then lets
// httputil.ReverseProxy carry the exchange. It owns what an upstream is told
// about the client, the mapping of transport failures to
// answers, and how a stream is brought to its end. Who may pass is the guard's
// business, when a stream is over that of package session.
package proxy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// Options are what a Proxy needs. All fields are required but TrustedProxy.
type Options struct {
	Guard     *guard.Guard
	Challenge guard.Challenger
	Targets   map[*guard.Route]*Target
	Scheme    string           // of public_url: what browsers see
	MaxBody   int64            // bytes, where a route says nothing; 0 = no limit
	Streams   *session.Streams // what ends them is the caller's to run
	Metrics   *telemetry.Metrics
	Log       *zap.Logger
	// TrustedProxy reports whether the peer's X-Forwarded-For may be continued.
	TrustedProxy func(remoteAddr string) bool
}

// Proxy is immutable and safe for concurrent use.
type Proxy struct {
	Options
	buffers   bufferPool
	seats     counter
	exchanges sync.Pool
	errorLog  *log.Logger
}

// New makes a Proxy.
func New(o Options) (*Proxy, error) {
	if o.TrustedProxy == nil {
		o.TrustedProxy = func(string) bool { return false }
	}
	errorLog, err := zap.NewStdLogAt(o.Log, zap.WarnLevel)
	if err != nil {
		return nil, err
	}
	p := &Proxy{Options: o, errorLog: errorLog}
	p.exchanges.New = func() any { return newExchange(p) }
	return p, nil
}

// Serve decides, and forwards what may pass. It is an httperr.HandlerFunc.
func (p *Proxy) Serve(w http.ResponseWriter, r *http.Request) error {
	event := telemetry.EventOf(w)
	start := time.Now()
	v, err := p.Guard.Decide(r)
	event.DecideTime = time.Since(start)
	record(event, &v)
	if err != nil {
		event.Outcome, event.Reason = "unknown", "unavailable"
		return outage(err)
	}
	if v.Outcome != guard.Allow {
		refused := v // or every verdict would be on the heap
		return p.refuse(w, r, &refused)
	}
	return p.forward(w, r, v, event)
}

func record(e *telemetry.Event, v *guard.Verdict) {
	e.Outcome, e.Reason, e.Rule = v.Outcome.String(), v.Reason, v.Rule
	e.Credential, e.Bytes, e.Err, e.Decision = string(v.Kind), v.Bytes, v.Err, v.Decision
	e.CrossSite, e.CrossSiteMode = v.CrossSite.Kind, v.CrossSite.Mode
	if v.Shadow.Judged {
		e.Shadow, e.ShadowRule, e.ShadowReason = v.Shadow.Effect.String(), v.Shadow.Rule, v.Shadow.Reason
	}
	if v.Route != nil {
		e.Route = v.Route.Name
	}
	if v.Identity != nil {
		e.Issuer, e.Subject, e.Session = v.Identity.Issuer, v.Identity.Subject, v.Session()
	}
}

// outage is the answer when something that must be asked could not answer.
func outage(err error) error {
	return &httperr.Error{
		Code: http.StatusServiceUnavailable, Reason: "unavailable", Err: err,
		Public: "The gateway can't check right now whether you may come in. Your sign-in is kept; try again in a moment.",
		Header: http.Header{"Retry-After": {"5"}},
	}
}

// refuse answers what may not pass, by the table of answers.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, v *guard.Verdict) error {
	if v.Decision != "" {
		w.Header().Set(httperr.DecisionHeader, v.Decision)
	}
	switch v.Outcome {
	case guard.Challenge, guard.StepUp:
		return p.challenge(w, r, v)
	case guard.TooMany:
		return &httperr.Error{
			Code: http.StatusTooManyRequests, Reason: v.Reason, Public: "There were too many wrong passwords. Wait before the next attempt.",
			Header: httperr.RetryAfter(v.Wait),
		}
	case guard.NoRoute:
		return &httperr.Error{Code: http.StatusNotFound, Reason: v.Reason, Public: "Nothing is served at this address."}
	case guard.BadHost:
		return &httperr.Error{Code: http.StatusMisdirectedRequest, Reason: v.Reason, Public: "This host is not served here."}
	case guard.BadMethod:
		e := &httperr.Error{Code: http.StatusMethodNotAllowed, Reason: v.Reason, Public: "This method is not allowed here.", Header: http.Header{}}
		if len(v.Allowed) > 0 {
			e.Header.Set("Allow", strings.Join(v.Allowed, ", "))
		}
		if r.Method == http.MethodConnect {
			e.Header.Set("Connection", "close")
		}
		return e
	case guard.Malformed:
		return malformed(v.Reason)
	case guard.Forbid, guard.Allow:
	}
	e := &httperr.Error{
		Code: http.StatusForbidden, Reason: v.Reason, Err: v.Err, Message: v.Message,
		Public: "You are signed in, but this is not for you.",
	}
	switch v.Reason {
	case guard.ReasonNoCredential:
		e.Public = "The application has a sign-in of its own, and the gateway has none for you."
	case guard.ReasonWrongProvider:
		e.Public = "You are signed in, but this needs a sign-in of another kind."
		e.LoginURL = p.Challenge(r, v).LoginURL
	}
	if v.CrossSite.Mode == guard.CrossSiteEnforce {
		e.Public = "A page of another site sent this in your name."
	}
	if v.Identity != nil {
		e.Who = cmp.Or(v.Identity.Email, v.Identity.Subject)
	}
	return e
}

func (p *Proxy) challenge(w http.ResponseWriter, r *http.Request, v *guard.Verdict) error {
	c := p.Challenge(r, v)
	if c.Location != "" {
		h := w.Header()
		h.Set("Location", c.Location)
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusFound)
		return nil
	}
	public := "A valid credential is required."
	if v.Outcome == guard.StepUp {
		public = "This needs a newer or a stronger sign-in."
	}
	return &httperr.Error{
		Code: http.StatusUnauthorized, Reason: v.Reason, LoginURL: c.LoginURL,
		Public: public,
		Header: http.Header{"Www-Authenticate": c.WWWAuthenticate},
	}
}

// forward carries an allowed request to its upstream and the answer back.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, v guard.Verdict, event *telemetry.Event) error {
	target := p.Targets[v.Route]
	path, ok := target.path(r)
	if !ok {
		return malformed("ambiguous_path")
	}
	if most := target.maxBody(p.MaxBody); most > 0 && r.ContentLength > most {
		return tooLarge(nil)
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// Otherwise an early answer would wait for the rest of the body. An error
		// means a connection that is no network's, as in a test.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	x := p.exchanges.Get().(*exchange) //nolint:forcetypeassert // the pool's New makes nothing else
	x.verdict, x.event, x.target, x.path = v, event, target, path
	x.writer, x.start = interim{ResponseWriter: w, exchange: x}, time.Now()
	err := x.carry(r)
	// Not deferred: after a panic the exchange may still be in use.
	x.reset()
	p.exchanges.Put(x)
	return err
}

// exchange is one forwarded request. ReverseProxy's hooks have no other way to
// learn the verdict than what they are bound to, so each exchange has a
// ReverseProxy of its own, and exchanges are pooled.
type exchange struct {
	owner   *Proxy
	proxy   httputil.ReverseProxy
	verdict guard.Verdict
	event   *telemetry.Event
	target  *Target
	path    string        // to send
	request *http.Request // the client's
	writer  interim
	start   time.Time

	err      error
	body     *clientBody // nil where the request has none
	answer   *http.Response
	switched io.Closer // the upstream's side, when it has switched protocols
	stream   *stream   // nil unless it became one
	seat     seat      // zero unless one was taken
	idle     *idle     // nil where nothing is watched
}

// carry runs the exchange. A stream that it became is over when carry returns,
// or panics, as it does when an answer is broken off.
func (x *exchange) carry(r *http.Request) error {
	r = x.watchIdle(r)
	x.request = r
	defer func() {
		if x.stream != nil {
			x.stream.over(x.event)
		}
		x.idle.over(x.event)
		if x.seat != (seat{}) {
			x.owner.seats.leave(x.seat)
		}
	}()
	x.proxy.ServeHTTP(&x.writer, r)
	x.endTrailers()
	return x.err
}

func newExchange(p *Proxy) *exchange {
	x := &exchange{owner: p}
	x.proxy = httputil.ReverseProxy{
		Transport:      x,
		Rewrite:        x.rewrite,
		ModifyResponse: x.response,
		ErrorHandler:   x.failed,
		BufferPool:     &p.buffers,
		ErrorLog:       p.errorLog,
	}
	return x
}

func (x *exchange) reset() {
	x.verdict, x.event, x.target = guard.Verdict{}, nil, nil
	x.path, x.request, x.writer = "", nil, interim{}
	x.body, x.err, x.answer, x.switched, x.stream, x.seat, x.idle = nil, nil, nil, nil, nil, seat{}, nil
}

// RoundTrip implements http.RoundTripper for ReverseProxy.
func (x *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	var sticky [32]byte
	if x.event.Session != "" {
		sticky = x.verdict.Identity.Ref
	}
	return x.target.Pool.RoundTrip(r, sticky)
}

// rewrite makes the upstream's request of the client's.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	pr.Out.Header = withRoom(pr.Out.Header)
	x.verdict.Rewrite(pr.Out.Header)
	x.address(pr)
	x.owner.forwarded(pr)
	if prefix := x.target.Settings.StripPrefix; prefix != "" {
		pr.Out.Header["X-Forwarded-Prefix"] = []string{prefix}
	}
	if host := x.verdict.Route.Host; host != "" {
		pr.Out.Host = host
	}
	x.limitBody(pr)
	x.trailRequest(pr)
	// Only WebSocket may switch protocols: an h2c upgrade would open a second,
	// unjudged way to the upstream (CVE-2022-41721).
	if up := pr.Out.Header.Get("Upgrade"); up != "" && !strings.EqualFold(up, "websocket") {
		pr.Out.Header.Del("Upgrade")
		pr.Out.Header.Del("Connection")
	}
	pr.Out.Header.Del("HTTP2-Settings")
	if id := pr.In.Header[httperr.RequestIDHeader]; len(id) > 0 {
		pr.Out.Header[httperr.RequestIDHeader] = id // a Connection header could have removed it
	}
}

// failed keeps the error for the edge, which answers.
func (x *exchange) failed(_ http.ResponseWriter, _ *http.Request, err error) {
	x.err = upstreamError(err)
	if broken, ok := errors.AsType[*bodyError](err); ok {
		x.err = broken.answer(x.request)
	}
	if x.idle != nil && x.idle.fired.Load() {
		x.err = tooSlow()
	}
	x.event.Status = 0 // a switch of protocols that did not come about
}

func upstreamError(err error) error {
	if answer, ok := errors.AsType[*httperr.Error](err); ok {
		return answer
	}
	if big, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(big)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if busy, ok := errors.AsType[*upstream.BusyError](err); ok {
		return &httperr.Error{
			Code: http.StatusServiceUnavailable, Reason: "upstream_busy", Err: busy, Header: httperr.RetryAfter(time.Second),
			Public: "The application has as many requests as it can take. Try again in a moment.",
		}
	}
	if errors.Is(err, upstream.ErrNoUpstream) {
		return &httperr.Error{
			Code: http.StatusServiceUnavailable, Reason: "upstream_unhealthy", Err: err, Header: httperr.RetryAfter(5 * time.Second),
			Public: "The application says that it can't serve requests now. Try again in a moment.",
		}
	}
	timeout, ok := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return &httperr.Error{Code: http.StatusGatewayTimeout, Reason: "upstream_timeout", Err: err, Public: "The application did not answer in time."}
	}
	return &httperr.Error{Code: http.StatusBadGateway, Reason: "upstream_unreachable", Err: err, Public: "The application could not be reached."}
}

func malformed(reason string) error {
	return &httperr.Error{Code: http.StatusBadRequest, Reason: reason, Public: "The request is malformed or could be understood in two ways."}
}

func tooLarge(err error) error {
	return &httperr.Error{Code: http.StatusRequestEntityTooLarge, Reason: "body_too_large", Err: err, Public: "The request is too large."}
}
