package extauthz

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/sallyport/sallyport/gateway/slots"
)

// What a client may cost. Envoy's headers are 60 KiB by default, and a body is no
// part of a check unless somebody asks Envoy for it.
const (
	maxMessage = 1 << 20
	// Envoy has one connection for each of its workers, and a stream for each request
	// that waits there for its answer.
	maxStreams = 1000
	// Pings that come faster are an attack (CVE-2019-9512).
	minPingInterval = 10 * time.Second
	// A peer that is gone is found by pings of ours.
	pingInterval, pingTimeout = time.Minute, 20 * time.Second
	idleTimeout               = 15 * time.Minute
)

// ServerOptions are what a Server needs.
type ServerOptions struct {
	TLS       *tls.Config   // nil: without TLS
	Handshake time.Duration // how long a connection may take to be one
	// Current returns the Service that answers now, which can be another one each time.
	Current func() *Service
}

// current is the Service that answers now. leave must be called when it has.
func (s *Server) current() (now *Service, turn int) {
	for {
		now = s.o.Current()
		if now.Turns == nil {
			return now, 0
		}
		if turn, ok := now.Turns.Enter(); ok {
			return now, turn
		}
	}
}

func (s *Service) leave(turn int) {
	if s.Turns != nil {
		s.Turns.Leave(turn)
	}
}

// Server is what Envoy connects to, with health and reflection beside it. It is safe
// for concurrent use.
type Server struct {
	authv3.UnimplementedAuthorizationServer
	o      ServerOptions
	grpc   *grpc.Server
	health *health.Server
	slots  *slots.Slots

	ending chan struct{} // closed when streams are to end
	end    sync.Once
}

var _ authv3.AuthorizationServer = (*Server)(nil)

// NewServer makes a Server. It serves nobody until Serve.
func NewServer(o ServerOptions) *Server {
	srv := &Server{o: o, health: health.NewServer(), slots: slots.New(0), ending: make(chan struct{})}
	options := []grpc.ServerOption{
		grpc.InTapHandle(srv.admit), grpc.StreamInterceptor(srv.stream),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTimeout, Time: pingInterval, Timeout: pingTimeout}),
	}
	if o.Handshake > 0 {
		options = append(options, grpc.ConnectionTimeout(o.Handshake))
	}
	if o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(o.TLS)))
	}
	srv.grpc = grpc.NewServer(options...)
	authv3.RegisterAuthorizationServer(srv.grpc, srv)
	healthv1.RegisterHealthServer(srv.grpc, srv.health)
	srv.health.SetServingStatus(authv3.Authorization_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	reflection.Register(srv.grpc)
	return srv
}

// Check implements authv3.AuthorizationServer.
func (s *Server) Check(ctx context.Context, in *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	service, turn := s.current()
	defer service.leave(turn)
	return service.Check(ctx, in)
}

// SetMaxConnections changes how many there may be; 0 = no limit.
func (s *Server) SetMaxConnections(limit int) { s.slots.SetLimit(limit) }

// Serve serves on the listeners until Shutdown or Close, and closes them. The error
// is why one of them could not go on.
func (s *Server) Serve(listeners []net.Listener) error {
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- s.grpc.Serve(&door{Listener: l, slots: s.slots, closed: make(chan struct{})}) }()
	}
	for range listeners {
		if err := <-failed; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			return err
		}
	}
	return nil
}

// NotServing tells whoever asks for the health that others should be asked.
func (s *Server) NotServing() { s.health.Shutdown() }

// Shutdown takes no more connections and lets checks under way finish until ctx
// ends, and then ends what is left: the error is that of ctx in that case.
func (s *Server) Shutdown(ctx context.Context) error {
	s.NotServing()
	s.endStreams()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return context.Cause(ctx)
	}
}

// Close ends it all at once.
func (s *Server) Close() {
	s.endStreams()
	s.grpc.Stop()
}

// admit lets peers call that may ask, before anything of their message is read.
// Health is for everybody who can connect, since orchestrators ask from addresses
// that are no proxy's.
func (s *Server) admit(ctx context.Context, info *tap.Info) (context.Context, error) {
	if info.FullMethodName == healthv1.Health_Check_FullMethodName || info.FullMethodName == healthv1.Health_Watch_FullMethodName {
		return ctx, nil
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, errUntrusted
	}
	service, turn := s.current()
	defer service.leave(turn)
	if a, ok := p.Addr.(*addr); ok && a.trustedBy(service) {
		return ctx, nil
	}
	service.refusePeer(ctx, p.Addr)
	return nil, errUntrusted
}

var errUntrusted = status.Error(codes.PermissionDenied, "only the proxies of this site may ask here")

// stream ends the streams of health and reflection when the server does: they would
// last as long as their clients like.
func (s *Server) stream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if recover() != nil {
				done <- status.Error(codes.Internal, "")
			}
		}()
		done <- handler(srv, stream)
	}()
	select {
	case err := <-done:
		return err
	case <-s.ending:
		return status.Error(codes.Unavailable, "the server is going away")
	}
}

func (s *Server) endStreams() { s.end.Do(func() { close(s.ending) }) }

// door bounds how many connections there are, and lets them be looked at.
type door struct {
	net.Listener
	slots  *slots.Slots
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !d.slots.Take(d.closed, nil) {
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	return &conn{Conn: c, remote: &addr{Addr: c.RemoteAddr()}, leave: sync.OnceFunc(d.slots.Leave)}, nil
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Listener.Close()
}

// conn is a connection whose address says whether its peer may ask. It holds a slot
// until it is closed.
type conn struct {
	net.Conn
	remote *addr
	leave  func()
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// Close implements net.Conn.
func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// addr remembers what the last Service said of it: who is trusted changes with the
// configuration, also for connections that are open.
type addr struct {
	net.Addr
	said atomic.Pointer[judgement]
}

// judgement is immutable.
type judgement struct {
	by      *Service
	trusted bool
}

func (a *addr) trustedBy(s *Service) bool {
	j := a.said.Load()
	if j == nil || j.by != s {
		j = &judgement{by: s, trusted: s.Trusted(a.String())}
		a.said.Store(j)
	}
	return j.trusted
}
