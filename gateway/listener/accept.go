package listener

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/gateway/config"
)

// gate bounds the connections of all listeners together, and counts them.
type gate struct {
	slots     chan struct{} // nil without a limit
	open      atomic.Int64
	saturated func()

	mu    sync.Mutex
	fresh map[*conn]struct{} // those that have not sent anything yet
}

func newGate(limit int, saturated func()) *gate {
	g := &gate{saturated: saturated, fresh: make(map[*conn]struct{})}
	if limit > 0 {
		g.slots = make(chan struct{}, limit)
	}
	return g
}

// enter waits for a free slot. It reports false once closed is.
func (g *gate) enter(closed <-chan struct{}) bool {
	if g.slots == nil {
		return true
	}
	select {
	case g.slots <- struct{}{}:
		return true
	default:
	}
	g.saturated()
	select {
	case g.slots <- struct{}{}:
		return true
	case <-closed:
		return false
	}
}

func (g *gate) leave() {
	if g.slots != nil {
		<-g.slots
	}
}

// door is one open socket, behind the gate. While all slots are taken it keeps one
// connection waiting, and the kernel some more.
type door struct {
	net.Listener
	listener config.Listener
	tls      bool

	gate   *gate
	wrap   func(net.Conn) (net.Conn, bool) // before anything is read; false closes it. It must not block. May be nil.
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener. A slot is taken for a connection that is there:
// listeners that wait for one would hold slots that others need.
func (d *door) Accept() (net.Conn, error) {
	for {
		raw, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, ok := raw, true
		if d.wrap != nil {
			c, ok = d.wrap(raw)
		}
		if !ok {
			_ = raw.Close()
			continue
		}
		if !d.gate.enter(d.closed) {
			return nil, errors.Join(net.ErrClosed, raw.Close())
		}
		d.gate.open.Add(1)
		own := &conn{Conn: c, raw: raw, door: d}
		d.gate.mu.Lock()
		d.gate.fresh[own] = struct{}{}
		d.gate.mu.Unlock()
		return own, nil
	}
}

// Close implements net.Listener. It may be called again.
func (d *door) Close() error {
	err := error(nil)
	d.once.Do(func() {
		close(d.closed)
		err = d.Listener.Close()
	})
	return err
}

// conn is a connection that holds a slot until it is closed.
type conn struct {
	net.Conn
	raw    net.Conn // below PROXY
	door   *door
	seen   atomic.Bool // has sent something, or is gone
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	if c.closed.CompareAndSwap(false, true) {
		c.spoke()
		c.door.gate.open.Add(-1)
		c.door.gate.leave()
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
		c.door.gate.mu.Lock()
		delete(c.door.gate.fresh, c)
		c.door.gate.mu.Unlock()
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
