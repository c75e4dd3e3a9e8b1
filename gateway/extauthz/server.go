package extauthz

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/netutil"
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

// server is the gRPC server around a Service, with health and reflection beside it.
type server struct {
	grpc    *grpc.Server
	health  *health.Server
	service *Service

	ending chan struct{} // closed when streams are to end
	end    sync.Once
}

func newServer(s *Service) *server {
	srv := &server{service: s, health: health.NewServer(), ending: make(chan struct{})}
	options := []grpc.ServerOption{
		grpc.InTapHandle(srv.admit), grpc.StreamInterceptor(srv.stream),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTimeout, Time: pingInterval, Timeout: pingTimeout}),
	}
	if s.Handshake > 0 {
		options = append(options, grpc.ConnectionTimeout(s.Handshake))
	}
	if s.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.TLS)))
	}
	srv.grpc = grpc.NewServer(options...)
	authv3.RegisterAuthorizationServer(srv.grpc, s)
	healthv1.RegisterHealthServer(srv.grpc, srv.health)
	srv.health.SetServingStatus(authv3.Authorization_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	reflection.Register(srv.grpc)
	return srv
}

// Serve serves on the listeners until Shutdown or Close, and closes them. The error
// is why one of them could not go on.
func (s *Service) Serve(listeners []net.Listener) error {
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		l = &door{Listener: l, trusted: s.Trusted}
		if s.MaxConnections > 0 {
			l = netutil.LimitListener(l, s.MaxConnections)
		}
		go func() { failed <- s.server.grpc.Serve(l) }()
	}
	for range listeners {
		if err := <-failed; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			return err
		}
	}
	return nil
}

// NotServing tells whoever asks for the health that others should be asked.
func (s *Service) NotServing() { s.server.health.Shutdown() }

// Shutdown takes no more connections and lets checks under way finish until ctx
// ends, and then ends what is left: the error is that of ctx in that case.
func (s *Service) Shutdown(ctx context.Context) error {
	s.NotServing()
	s.server.endStreams()
	done := make(chan struct{})
	go func() {
		s.server.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.server.grpc.Stop()
		<-done
		return context.Cause(ctx)
	}
}

// Close ends it all at once.
func (s *Service) Close() {
	s.server.endStreams()
	s.server.grpc.Stop()
}

// admit lets peers call that may ask, before anything of their message is read.
// Health is for everybody who can connect, since orchestrators ask from addresses
// that are no proxy's.
func (s *server) admit(ctx context.Context, info *tap.Info) (context.Context, error) {
	if info.FullMethodName == healthv1.Health_Check_FullMethodName || info.FullMethodName == healthv1.Health_Watch_FullMethodName {
		return ctx, nil
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, errUntrusted
	}
	if a, ok := p.Addr.(*addr); ok && a.trusted {
		return ctx, nil
	}
	s.service.refusePeer(ctx, p.Addr)
	return nil, errUntrusted
}

var errUntrusted = status.Error(codes.PermissionDenied, "only the proxies of this site may ask here")

// stream ends the streams of health and reflection when the server does: they would
// last as long as their clients like.
func (s *server) stream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
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

func (s *server) endStreams() { s.end.Do(func() { close(s.ending) }) }

// door looks once at who connects.
type door struct {
	net.Listener
	trusted func(remoteAddr string) bool
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	remote := c.RemoteAddr()
	return &conn{Conn: c, remote: &addr{Addr: remote, trusted: d.trusted(remote.String())}}, nil
}

// conn is a connection whose address says whether its peer may ask.
type conn struct {
	net.Conn
	remote *addr
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

type addr struct {
	net.Addr
	trusted bool
}
