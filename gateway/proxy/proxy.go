// Package proxy is the front end that forwards: it asks the guard, then lets
// httputil.ReverseProxy carry the exchange. It owns what an upstream is told
// about the client, the mapping of transport failures to
// answers, and how a stream is brought to its end. Who may pass is the guard's
// business, when a stream is over that of package session.
package proxy

import (
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

	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// Options are what a Proxy needs. All fields are required but Now and TrustedProxy.
type Options struct {
	Guard     *guard.Guard
	Challenge guard.Challenger
	Targets   map[*guard.Route]*Target
	Scheme    string           // of public_url: what browsers see
	MaxBody   int64            // bytes, where a route says nothing; 0 = no limit
	Streams   *session.Streams // what ends them is the caller's to run
	// Trace opens the span of a request to an application and tells it in the
	// headers; it is closed when the answer begins, with 0 where none did. nil: off.
	Trace   func(r *http.Request, route string) (answered func(status int))
	Metrics *telemetry.Metrics
	Log     *zap.Logger
	// Now is the Guard that decides about streams that are open, where another one
	// has taken the place of Guard; nil is Guard.
	Now func() *guard.Guard
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
	event.DecideStart, event.DecideTime = start, time.Since(start)
	frontend.Record(event, &v)
	if err != nil {
		return frontend.Outage(event, err)
	}
	if v.Outcome != guard.Allow {
		refused := v // or every verdict would be on the heap
		return p.refuse(w, r, &refused)
	}
	return p.forward(w, r, v, event)
}

// refuse answers what may not pass, by the table of answers.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, v *guard.Verdict) error {
	location, e := frontend.Refuse(w, r, v, p.Challenge)
	if location == "" {
		return e
	}
	h := w.Header()
	h.Set("Location", location)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusFound)
	return nil
}

// forward carries an allowed request to its upstream and the answer back.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, v guard.Verdict, event *telemetry.Event) error {
	target := p.Targets[v.Route]
	if target == nil {
		event.Outcome, event.Reason = guard.NoRoute.String(), frontend.ReasonCheckOnly
		return frontend.NotServed(frontend.ReasonCheckOnly)
	}
	path, ok := target.path(r)
	if !ok {
		return frontend.Malformed("ambiguous_path")
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
	if x.owner.Trace == nil {
		return x.target.Pool.RoundTrip(r, sticky)
	}
	answered := x.owner.Trace(r, x.event.Route)
	res, err := x.target.Pool.RoundTrip(r, sticky)
	if err != nil {
		answered(0)
		return nil, err
	}
	answered(res.StatusCode)
	return res, nil
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

func tooLarge(err error) error {
	return &httperr.Error{Code: http.StatusRequestEntityTooLarge, Reason: "body_too_large", Err: err, Public: "The request is too large."}
}
