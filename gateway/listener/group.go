package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
)

// Options are what a Group listens for. Server, Handler, Trusted and Log are
// required. Handler, Redirect, Context and Log are for good: a Change does not
// exchange them.
type Options struct {
	Server   config.Server
	Handler  http.Handler
	Redirect http.Handler // of the listeners that redirect to https
	TLS      *tls.Config  // of those that are not plain; nil makes all of them so
	// Trusted reports whether a peer is one of the operator's own proxies.
	Trusted func(remoteAddr string) bool
	// Context adds to the context of all requests that come in by a listener what
	// others want to know of it. It may be nil.
	Context func(context.Context, config.Listener) context.Context
	Log     *zap.Logger
	// Refused is told why a connection was refused before HTTP; Saturated, that
	// all connections there may be are open. They may be nil.
	Refused   func(reason string)
	Saturated func()
}

// Group is the listeners of one gateway. They share its limits and its end.
type Group struct {
	o      Options // those that are for good
	gate   *gate
	ending atomic.Bool
	failed chan error

	running sync.WaitGroup // sockets and servers

	mu      sync.Mutex
	serving bool
	sockets []*socket // in the order of the configuration
	limits  limits    // of the servers that take connections
	main    *server
	turner  *server   // of the listeners that redirect
	former  []*server // which may have connections yet
}

// Address is one open socket: what it is called in the configuration, and where it
// really is.
type Address struct {
	Listener config.Listener
	Addr     net.Addr
	TLS      bool
}

// Open binds the addresses and serves nobody yet. After an error nothing is open;
// the error names the key of the configuration.
func Open(ctx context.Context, b *Binder, o Options) (*Group, error) {
	g := &Group{o: o, gate: newGate(o.Server.Limits.MaxConnections), failed: make(chan error, 1)}
	change, err := g.Prepare(ctx, b, o)
	if err != nil {
		return nil, err
	}
	change.Commit()
	return g, nil
}

func (g *Group) context(ctx context.Context, c net.Conn) context.Context {
	own, ok := underTLS(c)
	if !ok || g.o.Context == nil {
		return ctx
	}
	return g.o.Context(ctx, own.door.listener)
}

// Addresses lists the open sockets in the order of the configuration.
func (g *Group) Addresses() []Address {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]Address, len(g.sockets))
	for i, s := range g.sockets {
		d := s.door.Load()
		out[i] = Address{Listener: d.listener, Addr: s.Addr(), TLS: d.tls != nil}
	}
	return out
}

// Open tells how many connections there are.
func (g *Group) Open() int64 { return g.gate.open.Load() }

// Serve serves until Shutdown or Close. The error is why one listener could not go
// on; the others do.
func (g *Group) Serve() error {
	g.mu.Lock()
	g.serving = true
	g.serve(g.main, g.turner)
	g.accept(g.sockets)
	g.mu.Unlock()
	done := make(chan struct{})
	go func() {
		g.running.Wait()
		close(done)
	}()
	select {
	case err := <-g.failed:
		return err
	case <-done:
		return nil
	}
}

// serve lets servers serve. The lock is held.
func (g *Group) serve(servers ...*server) {
	for _, s := range servers {
		g.running.Go(func() { g.tell(s.serve()) })
	}
}

// accept lets sockets accept. The lock is held.
func (g *Group) accept(sockets []*socket) {
	for _, s := range sockets {
		g.running.Go(func() {
			if err := s.run(); err != nil {
				g.tell(fmt.Errorf("listener %s: %w", s.door.Load().listener.Name, err))
			}
		})
	}
}

// tell makes an error that of Serve.
func (g *Group) tell(err error) {
	if err == nil || g.ending.Load() {
		return
	}
	select {
	case g.failed <- err:
	default: // there was one before
	}
}

// freshWait is how long a connection that was made a moment before the end may take
// to send its request: net/http would close it unread.
const freshWait = time.Second

// Shutdown takes no more connections, lets requests under way finish until ctx
// ends, and then closes what is left: the error is that of ctx in that case.
func (g *Group) Shutdown(ctx context.Context) error {
	err := g.StopListening()
	g.awaitFresh(ctx)
	var servers sync.WaitGroup
	var cut atomic.Bool
	for _, s := range g.servers() {
		servers.Go(func() {
			if s.http.Shutdown(ctx) != nil {
				cut.Store(true)
				_ = s.end() // the connections' own errors are of no use any more
			}
			_ = s.Close()
		})
	}
	servers.Wait()
	if cut.Load() {
		return errors.Join(err, context.Cause(ctx))
	}
	return err
}

// servers are all that may have connections.
func (g *Group) servers() []*server {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*server{g.main, g.turner}, g.former...)
}

// StopListening closes the sockets, and lets the connections be.
func (g *Group) StopListening() error {
	g.ending.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	var errs []error
	for _, s := range g.sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

func (g *Group) awaitFresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(g.gate.unheard()) > 0 {
		select {
		case <-ctx.Done():
			for _, c := range g.gate.unheard() { // net/http would wait for them
				_ = c.Close()
			}
			return
		case <-tick.C:
		}
	}
}

// Close ends it all at once.
func (g *Group) Close() error {
	err := g.StopListening()
	for _, s := range g.servers() {
		err = errors.Join(err, s.end())
	}
	return err
}
