package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
)

// Options are what a Group listens for. Server, Handler, Trusted and Log are
// required.
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
	o      Options
	gate   *gate
	doors  []*door
	main   *http.Server
	turner *http.Server // of the listeners that redirect
	ending atomic.Bool
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
	if o.Refused == nil {
		o.Refused = func(string) {}
	}
	if o.Saturated == nil {
		o.Saturated = func() {}
	}
	g := &Group{o: o, gate: newGate(o.Server.Limits.MaxConnections, o.Saturated)}
	g.main, g.turner = g.server(o.Handler, "public"), g.server(o.Redirect, "redirect")
	g.main.TLSConfig = o.TLS
	for i, l := range o.Server.AllListeners() {
		key := "server.listen"
		if len(o.Server.Listeners) > 0 {
			key = fmt.Sprintf("server.listeners[%d].listen", i)
		}
		sockets, err := b.Open(ctx, l.Listen)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", key, err), g.Close())
		}
		var wrap func(net.Conn) (net.Conn, bool)
		if l.ProxyProtocol {
			p := &proxied{trusted: o.Trusted, timeout: o.Server.Limits.ReadHeaderTimeout, refused: o.Refused, log: o.Log.Named(l.Name)}
			wrap = p.wrap
		}
		for _, s := range sockets {
			g.doors = append(g.doors, &door{
				Listener: s, gate: g.gate, wrap: wrap, closed: make(chan struct{}),
				listener: l, tls: o.TLS != nil && !l.Plain && !l.RedirectHTTPS,
			})
		}
	}
	return g, nil
}

// server makes a server with the limits of the configuration.
func (g *Group) server(h http.Handler, name string) *http.Server {
	limits := g.o.Server.Limits
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	// With prior knowledge alone, as gRPC clients do without TLS: an upgrade would
	// be a second way in (CVE-2022-41721).
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
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
		ErrorLog:                     ErrorLog(g.o.Log.Named(name)),
		ConnState:                    follow,
		ConnContext:                  g.context,
	}
}

// ErrorLog is where an http.Server tells of trouble with connections.
func ErrorLog(to *zap.Logger) *log.Logger {
	out, err := zap.NewStdLogAt(to, zap.WarnLevel)
	if err != nil { // WarnLevel is a level
		return nil
	}
	return out
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
	out := make([]Address, len(g.doors))
	for i, d := range g.doors {
		out[i] = Address{Listener: d.listener, Addr: d.Addr(), TLS: d.tls}
	}
	return out
}

// Open tells how many connections there are.
func (g *Group) Open() int64 { return g.gate.open.Load() }

// Serve serves until Shutdown or Close. The error is why one listener could not go
// on; the others do.
func (g *Group) Serve() error {
	failed := make(chan error, len(g.doors))
	var running sync.WaitGroup
	for _, d := range g.doors {
		running.Go(func() {
			server := g.main
			if d.listener.RedirectHTTPS {
				server = g.turner
			}
			var err error
			if d.tls {
				err = server.ServeTLS(d, "", "")
			} else {
				err = server.Serve(d)
			}
			if !errors.Is(err, http.ErrServerClosed) && !g.ending.Load() {
				failed <- fmt.Errorf("listener %s: %w", d.listener.Name, err)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	select {
	case err := <-failed:
		return err
	case <-done:
		return nil
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
	for _, s := range []*http.Server{g.main, g.turner} {
		servers.Go(func() {
			if s.Shutdown(ctx) != nil {
				cut.Store(true)
				_ = s.Close() // the connections' own errors are of no use any more
			}
		})
	}
	servers.Wait()
	if cut.Load() {
		return errors.Join(err, context.Cause(ctx))
	}
	return err
}

// StopListening closes the sockets, and lets the connections be.
func (g *Group) StopListening() error {
	g.ending.Store(true)
	var errs []error
	for _, d := range g.doors {
		errs = append(errs, d.Close())
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
	return errors.Join(g.StopListening(), g.main.Close(), g.turner.Close())
}
