package listener

import (
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/slots"
)

// gate bounds the connections of all listeners together, and counts them.
type gate struct {
	slots *slots.Slots
	open  atomic.Int64

	mu    sync.Mutex
	fresh map[*conn]struct{} // those that have not sent anything yet
}

func newGate(limit int) *gate {
	return &gate{slots: slots.New(limit), fresh: make(map[*conn]struct{})}
}

// socket is one open socket. What becomes of its connections is its door's to say,
// and changes with the configuration.
type socket struct {
	net.Listener
	gate   *gate
	door   atomic.Pointer[door]
	closed chan struct{}
	once   sync.Once
}

// door is what a listener of the configuration does with the connections of its
// sockets. It is immutable.
type door struct {
	listener  config.Listener
	server    *server
	tls       *tls.Config                     // nil without TLS
	wrap      func(net.Conn) (net.Conn, bool) // before anything is read; false closes it. It must not block. May be nil.
	saturated func()
	log       *zap.Logger
}

// run accepts connections until the socket is closed; any other error is returned.
// A slot is taken for a connection that is there: listeners that wait for one would
// hold slots that others need. While all are taken, one connection is kept waiting,
// and the kernel keeps some more.
func (s *socket) run() error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		raw, err := s.Accept()
		if err != nil {
			select {
			case <-s.closed:
				return nil
			default:
			}
			if passing, ok := errors.AsType[syscall.Errno](err); !ok || !passing.Temporary() {
				return err
			}
			s.door.Load().log.Warn("a connection could not be taken", zap.Error(err), zap.Duration("retry_in", pause))
			select {
			case <-s.closed:
				return nil
			case <-time.After(pause):
			}
			pause = min(2*pause, longest)
			continue
		}
		pause = shortest
		s.admit(raw)
	}
}

func (s *socket) admit(raw net.Conn) {
	d := s.door.Load()
	c, ok := raw, true
	if d.wrap != nil {
		c, ok = d.wrap(raw)
	}
	if !ok || !s.gate.slots.Take(s.closed, d.saturated) {
		_ = raw.Close()
		return
	}
	s.gate.open.Add(1)
	own := &conn{Conn: c, raw: raw, door: d, gate: s.gate}
	s.gate.mu.Lock()
	s.gate.fresh[own] = struct{}{}
	s.gate.mu.Unlock()
	d.server.take(own)
}

// Close implements net.Listener. It may be called again.
func (s *socket) Close() error {
	err := error(nil)
	s.once.Do(func() {
		close(s.closed)
		err = s.Listener.Close()
	})
	return err
}

// conn is a connection that holds a slot until it is closed.
type conn struct {
	net.Conn
	raw    net.Conn // below PROXY
	door   *door
	gate   *gate
	server *server     // that has it; set before anybody else knows of the connection
	seen   atomic.Bool // has sent something, or is gone
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	if c.closed.CompareAndSwap(false, true) {
		c.spoke()
		if c.server != nil {
			c.server.held.Add(-1)
		}
		c.gate.open.Add(-1)
		c.gate.slots.Leave()
	}
	return err
}

// CloseWrite lets net/http end the answer to a request that it has not read to the
// end: the client can still read it.
func (c *conn) CloseWrite() error {
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *conn) spoke() {
	if !c.seen.Load() && c.seen.CompareAndSwap(false, true) { // mostly it has: this is on every request's way
		c.gate.mu.Lock()
		delete(c.gate.fresh, c)
		c.gate.mu.Unlock()
	}
}

// unheard lists the connections that have not sent anything yet.
func (g *gate) unheard() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.fresh))
}

// underTLS finds the connection that a server got, or the one in its *tls.Conn.
func underTLS(c net.Conn) (own *conn, ok bool) {
	if over, is := c.(interface{ NetConn() net.Conn }); is {
		c = over.NetConn()
	}
	own, ok = c.(*conn)
	return own, ok
}

// follow is a hook for http.Server.ConnState.
func follow(c net.Conn, state http.ConnState) {
	if state == http.StateNew {
		return
	}
	if own, ok := underTLS(c); ok {
		own.spoke()
	}
}
