package listener

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/gateway/config"
)

// gate bounds the connections of all listeners together, and counts them.
type gate struct {
	slots     chan struct{} // nil without a limit
	open      atomic.Int64
	fresh     atomic.Int64 // of those, the ones that have not sent anything yet
	saturated func()
}

func newGate(limit int, saturated func()) *gate {
	g := &gate{saturated: saturated}
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

// door is one open socket, behind the gate. While all slots are taken it accepts
// nobody, so that the kernel keeps a few waiting and refuses the rest.
type door struct {
	net.Listener
	listener config.Listener
	tls      bool

	gate   *gate
	wrap   func(net.Conn) (net.Conn, bool) // before anything is read; false closes it. It must not block. May be nil.
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	if !d.gate.enter(d.closed) {
		return nil, net.ErrClosed
	}
	for {
		raw, err := d.Listener.Accept()
		if err != nil {
			d.gate.leave()
			return nil, err
		}
		c := raw
		if d.wrap != nil {
			var ok bool
			if c, ok = d.wrap(raw); !ok {
				_ = raw.Close()
				continue
			}
		}
		d.gate.open.Add(1)
		d.gate.fresh.Add(1)
		return &conn{Conn: c, raw: raw, door: d}, nil
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
	if c.seen.CompareAndSwap(false, true) {
		c.door.gate.fresh.Add(-1)
	}
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
