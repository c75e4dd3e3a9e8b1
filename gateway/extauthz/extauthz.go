// Package extauthz is the front end that Envoy asks by gRPC, as the service
// envoy.service.auth.v3.Authorization: whether a request that it has received may
// pass, and with which headers. It asks the guard like every front end; the answer
// carries the very status, header and body that the client would get if the gateway
// forwarded by itself. Which addresses it listens on is the caller's.
package extauthz

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/peer"

	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Dialect is what this way of asking is called in logs and metrics.
const Dialect = "envoy_grpc"

// Options are what a Service needs. All fields are required but
// the limits.
type Options struct {
	Judge  *frontend.Judge // whose guard knows of entrances
	Passes *frontend.Passes
	// OwnCookie reports whether a cookie is one of the gateway's own.
	OwnCookie func(name string) bool
	// Trusted reports whether a peer is a proxy that may ask.
	Trusted func(remoteAddr string) bool
	// Policies are those that Envoy's configuration can ask for besides the route's.
	Policies  map[string]*guard.Entrance
	MaxTarget int // bytes of the target of a request that is asked about; 0 = no limit
	// Watch watches over one request that is asked about, and over what serve does
	// with it. Where serve panics, Watch does so with http.ErrAbortHandler.
	Watch func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request))
	// Edge writes refusals, for the client that Envoy asks for. It must know no gRPC:
	// Envoy tells gRPC clients itself.
	Edge *httperr.Edge
	Log  *zap.Logger // of what Watch does not see

	// Turns counts what is under way, so that what a Service uses can be closed after
	// it; nil counts nothing.
	Turns Turns

	MaxConnections int // at all listeners of the Server together; 0 = no limit
}

// Turns are what a Service answers. Enter reports false when another Service has
// taken its place. It must be safe for concurrent use.
type Turns interface {
	Enter() (turn int, ok bool)
	Leave(turn int)
}

// Service answers Envoy by one configuration. A Server has it. It is safe for
// concurrent use.
type Service struct {
	Options
	names map[string]string // of the headers that are set, as HTTP/2 spells them
}

// New makes a Service.
func New(o Options) *Service {
	s := &Service{Options: o, names: map[string]string{}}
	for _, name := range o.Passes.Names() {
		s.names[name] = strings.ToLower(name)
	}
	return s
}

// Check answers one question. Whatever happens, the answer is one
// that Envoy takes for a refusal, unless the guard has allowed: an error of gRPC
// would be left to failure_mode_allow.
func (s *Service) Check(ctx context.Context, in *authv3.CheckRequest) (out *authv3.CheckResponse, _ error) {
	c := &check{Service: s, answer: answer{header: http.Header{}}}
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint // a panic value, not a returned error
				s.Log.Error("a check panicked", zap.Any("panic", p), zap.Stack("stack"))
			}
			out = panicked()
		}
	}()

	// 1. Rebuild the request that Envoy asks about. That the peer may ask was seen
	// before the message was read.
	original, e := s.original(ctx, in.GetAttributes())
	if e != nil {
		s.Watch(&c.answer, asked(ctx), func(w http.ResponseWriter, r *http.Request) {
			event := telemetry.EventOf(w)
			event.Dialect, event.Outcome, event.Reason = Dialect, guard.Malformed.String(), e.Reason
			c.refuse(w, r, e)
		})
		return c.response(), nil
	}

	// 2. Decide, as for any request.
	s.Watch(&c.answer, original, c.decide)
	return c.response(), nil
}

// asked is the call itself, where nothing is known of a client's request.
func asked(ctx context.Context) *http.Request {
	r := &http.Request{
		Method: http.MethodPost, Header: http.Header{}, Proto: "HTTP/2.0", ProtoMajor: 2,
		URL: &url.URL{Path: authv3.Authorization_Check_FullMethodName}, RequestURI: authv3.Authorization_Check_FullMethodName,
	}
	if p, ok := peer.FromContext(ctx); ok {
		r.RemoteAddr = p.Addr.String()
	}
	return r.WithContext(ctx)
}

// check is one of them.
type check struct {
	*Service
	answer  answer
	verdict guard.Verdict

	allowed bool
	pass    frontend.Pass // where it is allowed
	sent    http.Header   // by the client
}

// decide is given to Options.Watch.
func (c *check) decide(w http.ResponseWriter, r *http.Request) {
	event := telemetry.EventOf(w)
	event.Dialect = Dialect
	v, location, e := c.Judge.Judge(w, r, event)
	c.verdict = v
	switch {
	case location != "":
		h := w.Header()
		h.Set(frontend.ReasonHeader, v.Reason)
		h.Set("Location", location)
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusFound)
	case e != nil:
		c.refuse(w, r, e)
	default:
		c.pass, c.sent = c.Passes.Pass(r, &v), r.Header
		c.allowed = true // last: whatever panics before leaves a refusal
		w.WriteHeader(http.StatusOK)
	}
}

func (c *check) refuse(w http.ResponseWriter, r *http.Request, e *httperr.Error) {
	w.Header().Set(frontend.ReasonHeader, e.Reason)
	c.Edge.Write(w, r, e)
}

// refusePeer tells of a call by somebody who may not ask.
func (s *Service) refusePeer(ctx context.Context, addr net.Addr) {
	defer func() {
		_ = recover() // the refusal stands, and the panic is in the log
	}()
	r := asked(ctx)
	r.RemoteAddr = addr.String()
	s.Watch(&answer{header: http.Header{}}, r, func(w http.ResponseWriter, _ *http.Request) {
		event := telemetry.EventOf(w)
		event.Dialect, event.Outcome, event.Reason = Dialect, guard.Forbid.String(), frontend.ReasonUntrusted
		w.WriteHeader(http.StatusForbidden)
	})
}
