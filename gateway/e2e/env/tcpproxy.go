//go:build e2e

package env

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TCPProxy forwards TCP connections to one target and can do to them what
// networks do. Its methods are safe for concurrent use, and have taken effect
// when they return.
type TCPProxy struct {
	Addr string // host:port where it listens

	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	hold   bool // new connections are black-holed
	refuse bool
	delay  time.Duration
	conns  map[*proxied]struct{}

	sent, opened atomic.Int64
}

// StartTCPProxy listens on loopback and forwards to target (host:port). It ends
// with the test.
func StartTCPProxy(tb testing.TB, target string) *TCPProxy {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &TCPProxy{Addr: l.Addr().String(), target: target, listener: l, conns: map[*proxied]struct{}{}}
	p.wg.Go(p.accept)
	tb.Cleanup(func() {
		_ = l.Close()
		p.Refuse() // what was accepted but is not yet known
		p.Cut()
		p.wg.Wait()
	})
	return p
}

func (p *TCPProxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		client := conn.(*net.TCPConn)
		p.mu.Lock()
		if p.refuse {
			p.mu.Unlock()
			reset(client)
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		c := &proxied{proxy: p, client: client, abort: cancel, done: ctx.Done()}
		c.up.set(!p.hold)
		c.down.set(!p.hold)
		p.conns[c] = struct{}{}
		p.opened.Add(1)
		c.wg.Add(1)
		p.mu.Unlock()
		p.wg.Go(func() {
			defer c.wg.Done()
			defer cancel()
			c.run(ctx)
			p.mu.Lock()
			delete(p.conns, c)
			p.mu.Unlock()
		})
	}
}

// BlackHole stops all forwarding: connections stay open, new ones too, and take
// bytes until their buffers are full, but nothing arrives at the other side, no
// close either.
func (p *TCPProxy) BlackHole() { p.setHold(true, true) }

// BlackHoleExisting does that to the connections that are open now; new ones
// work. A connection is open when it has carried a byte.
func (p *TCPProxy) BlackHoleExisting() { p.setHold(true, false) }

// Heal ends a black hole: what was sent meanwhile arrives, as after an outage
// that was shorter than the time-outs of TCP.
func (p *TCPProxy) Heal() { p.setHold(false, false) }

func (p *TCPProxy) setHold(existing, future bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = future
	for c := range p.conns {
		c.up.set(!existing)
		c.down.set(!existing)
	}
}

// Retarget makes new connections lead to another target; open ones stay.
func (p *TCPProxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *TCPProxy) currentTarget() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// Refuse closes new connections at once, with a reset.
func (p *TCPProxy) Refuse() { p.setRefuse(true) }

// Accept ends Refuse.
func (p *TCPProxy) Accept() { p.setRefuse(false) }

func (p *TCPProxy) setRefuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Delay makes everything that is sent from now on arrive later by d, in each
// direction: a round trip takes 2d longer.
func (p *TCPProxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

func (p *TCPProxy) currentDelay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

// Cut closes every connection with a reset, on both sides, black-holed or not.
func (p *TCPProxy) Cut() {
	p.mu.Lock()
	var cut []*proxied
	for c := range p.conns {
		c.abort()
		cut = append(cut, c)
	}
	p.mu.Unlock()
	for _, c := range cut {
		c.wg.Wait()
	}
}

// Sent counts the bytes that clients have sent so far.
func (p *TCPProxy) Sent() int64 { return p.sent.Load() }

// Opened counts the connections that there ever were.
func (p *TCPProxy) Opened() int64 { return p.opened.Load() }

// Connections counts those that are open.
func (p *TCPProxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// proxied is one connection from a client and the one to the target.
type proxied struct {
	proxy    *TCPProxy
	client   *net.TCPConn
	up, down valve // towards the target, and back
	wg       sync.WaitGroup
	abort    context.CancelFunc
	done     <-chan struct{} // closed by abort: both connections are reset
}

func (c *proxied) run(ctx context.Context) {
	defer reset(c.client)
	if !c.up.wait(c.done) {
		return
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.proxy.currentTarget())
	if err != nil {
		return
	}
	target := conn.(*net.TCPConn)
	var pumps sync.WaitGroup
	pumps.Go(func() { c.pump(target, c.client, &c.up) })
	pumps.Go(func() { c.pump(c.client, target, &c.down) })
	ended := make(chan struct{})
	go func() { pumps.Wait(); close(ended) }()
	select {
	case <-ended: // both sides have closed, and the other side knows
		_ = target.Close()
		_ = c.client.Close()
	case <-c.done:
		reset(target)
		reset(c.client)
		<-ended
	}
}

// chunk is something that was received and is to be passed on.
type chunk struct {
	due  time.Time
	data []byte
	err  error // instead of data: the end of the stream, io.EOF if in order
}
