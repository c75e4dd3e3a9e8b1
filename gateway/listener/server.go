package listener

import (
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
)

// server is an http.Server, which can't change its limits, and the connections that
// it was given. Another one gets those that come later.
type server struct {
	http  http.Server
	given chan net.Conn
	ended chan struct{}
	once  sync.Once
	next  atomic.Pointer[server] // gets what this one does not take any more
	held  atomic.Int64           // connections
}

// limits are what a server can't change.
type limits struct {
	headerBytes, streams int
	header, idle         time.Duration
}

func limitsOf(c *config.Server) limits {
	l := &c.Limits
	return limits{l.MaxHeaderBytes, l.MaxStreams, l.ReadHeaderTimeout, l.IdleTimeout}
}

// newServer makes a server with the limits of the configuration.
func (g *Group) newServer(o *Options, h http.Handler, name string) *server {
	limits := &o.Server.Limits
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	// With prior knowledge alone, as gRPC clients do without TLS: an upgrade would
	// be a second way in (CVE-2022-41721).
	protocols.SetUnencryptedHTTP2(true)
	s := &server{given: make(chan net.Conn), ended: make(chan struct{})}
	s.http = http.Server{
		Handler:   h,
		Protocols: &protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: limits.MaxStreams,
			MaxReadFrameSize:     16 << 10, // the least: a connection holds a buffer of this size
		},
		MaxHeaderBytes:    limits.MaxHeaderBytes,
		ReadHeaderTimeout: limits.ReadHeaderTimeout,
		IdleTimeout:       limits.IdleTimeout,
		// Without the general handler, "OPTIONS *" is judged and logged like the rest.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     ErrorLog(o.Log.Named(name)),
		ConnState:                    follow,
		ConnContext:                  g.context,
	}
	return s
}

// ErrorLog is where an http.Server tells of trouble with connections.
func ErrorLog(to *zap.Logger) *log.Logger {
	out, err := zap.NewStdLogAt(to, zap.WarnLevel)
	if err != nil { // WarnLevel is a level
		return nil
	}
	return out
}

// take gives the server a connection, or the one that has taken its place.
func (s *server) take(c *conn) {
	given := net.Conn(c)
	if c.door.tls != nil {
		given = tls.Server(c, c.door.tls)
	}
	for s != nil {
		c.server = s
		s.held.Add(1)
		select {
		case s.given <- given:
			return
		case <-s.ended:
			c.server = nil
			s.held.Add(-1)
			s = s.next.Load()
		}
	}
	_ = c.Close()
}

// Accept implements net.Listener: what the server is given.
func (s *server) Accept() (net.Conn, error) {
	select {
	case c := <-s.given:
		return c, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener. Connections know theirs.
func (s *server) Addr() net.Addr { return &net.UnixAddr{} }

// Close implements net.Listener: the server takes no more connections. Those that it
// has go on.
func (s *server) Close() error {
	s.once.Do(func() { close(s.ended) })
	return nil
}

// serve serves until Close.
func (s *server) serve() error {
	err := s.http.Serve(s)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// end ends it with all its connections.
func (s *server) end() error {
	return errors.Join(s.Close(), s.http.Close())
}
