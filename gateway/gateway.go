package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/extauthz"
	"github.com/sallyport/sallyport/gateway/listener"
	"github.com/sallyport/sallyport/gateway/login"
)

// adminWait is how long a request of the operators may take at the very end.
const adminWait = time.Second

// Gateway is one running Sallyport. New makes it, Listen binds its addresses,
// Run serves until its context ends.
type Gateway struct {
	log  *zap.Logger
	core *core

	group    *listener.Group
	binder   *listener.Binder
	admin    *http.Server
	adminAt  net.Listener
	checks   *extauthz.Server // nil where Envoy does not ask by gRPC
	checksAt []net.Listener
	notify   *listener.Notifier
}

// New builds a gateway from a configuration that was loaded with Load or config.Load,
// and opens its session store. Faults that only building can find are returned
// as config.Faults, all at once.
func New(ctx context.Context, cfg *config.Config, log *zap.Logger, version string) (*Gateway, error) {
	p, err := build(ctx, cfg, log, version, true)
	if err != nil {
		return nil, everyFault(ctx, cfg, err)
	}
	return newGateway(p), nil
}

// newGateway serves by the first parts.
func newGateway(p *parts) *Gateway {
	log := p.core.log
	g := &Gateway{log: log, core: p.core, notify: listener.NewNotifier(log.Named("systemd"))}
	g.core.reload = g.Reload
	g.core.reloads.generation, g.core.reloads.since, g.core.reloads.level = 1, time.Now(), zap.NewAtomicLevel()
	g.core.metrics.ConfigurationLoaded(g.core.reloads.since)
	return g
}

// Check builds everything that New builds, without opening the session store
// and without listening. A nil error means that a gateway would start.
func Check(ctx context.Context, cfg *config.Config) error {
	p, err := build(ctx, cfg, zap.NewNop(), "check", false)
	if err != nil {
		return err
	}
	return p.core.close()
}

// HashPassword returns the argon2id hash of a password, as a users file holds it.
func HashPassword(password string) (string, error) { return login.HashPassword(password) }

// Handler is what the public listener serves, for tests that bring their own.
func (g *Gateway) Handler() http.Handler {
	return &served{g.core, func(p *parts) http.Handler { return p.handler }}
}

// AdminHandler is what the admin listener serves.
func (g *Gateway) AdminHandler() http.Handler {
	return &served{g.core, func(p *parts) http.Handler { return p.admin }}
}

// Listen binds the public addresses, that where Envoy asks, and that of the operators.
// After an error only Close may follow.
func (g *Gateway) Listen(ctx context.Context) error {
	binder := listener.NewBinder()
	g.binder = binder // for addresses that a reload adds
	defer func() {
		for _, name := range binder.Close() {
			g.log.Warn("systemd has passed a socket that no listener takes", zap.String("name", name))
		}
	}()
	var err error
	if g.group, err = listener.Open(ctx, binder, g.core.now().listening()); err != nil {
		return err
	}
	g.core.metrics.Connections(g.group.Open)
	g.core.now().listened(g.group.Addresses())
	if err := g.listenExtAuthz(ctx, binder); err != nil {
		return err
	}
	cfg := g.core.now().cfg
	if cfg.Admin.Listen == "" {
		return nil
	}
	sockets, err := binder.Open(ctx, cfg.Admin.Listen)
	if err == nil && len(sockets) > 1 {
		for _, l := range sockets {
			err = errors.Join(err, l.Close())
		}
		err = errors.Join(errors.New("systemd has passed several sockets of this name, and the operators' listener has one"), err)
	}
	if err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	g.adminAt = sockets[0]
	if secure := g.core.now().adminTLS; secure != nil {
		secure = secure.Clone()
		secure.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return g.core.now().adminTLS.GetConfigForClient(hello)
		}
		g.adminAt = tls.NewListener(g.adminAt, secure)
	}
	g.admin = &http.Server{
		Handler: g.AdminHandler(), ErrorLog: listener.ErrorLog(g.log.Named("admin")),
		DisableGeneralOptionsHandler: true, ReadHeaderTimeout: 10 * time.Second,
	}
	return nil
}

// Addr returns the address of the first public listener, once Listen has bound it.
func (g *Gateway) Addr() net.Addr { return g.group.Addresses()[0].Addr }

// Addresses returns those of all public listeners, once Listen has bound them.
func (g *Gateway) Addresses() []listener.Address { return g.group.Addresses() }

// AdminAddr returns the address of the operators' listener, once Listen has bound
// it; nil where it is off.
func (g *Gateway) AdminAddr() net.Addr {
	if g.adminAt == nil {
		return nil
	}
	return g.adminAt.Addr()
}

// Run serves until ctx ends, then goes away in order: it is not ready any more, and
// for server.drain.delay serves on, so that balancers notice; then it takes no more
// connections, ends the streams, lets requests under way finish for
// server.drain.timeout, and closes the store. It returns nil after an orderly end.
func (g *Gateway) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	g.core.base = background
	for _, work := range g.core.background {
		running.Go(func() { work(background) })
	}
	g.core.now().start(background)
	running.Go(func() { g.notify.Watch(background) })
	running.Go(func() { g.watch(background) })
	// Streams don't finish by themselves: they would use up the drain's time, and
	// WebSockets, for which http.Server does not wait, would be cut off at its end.
	serving, endStreams := context.WithCancel(context.WithoutCancel(ctx))
	defer endStreams()
	running.Go(func() { g.core.streams.Run(serving) })

	failed := make(chan error, 3)
	running.Go(func() { failed <- g.group.Serve() })
	if g.checks != nil {
		running.Go(func() {
			if err := g.serveExtAuthz(); err != nil {
				failed <- err
			}
		})
	}
	if g.admin != nil {
		running.Go(func() {
			if err := g.admin.Serve(g.adminAt); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("admin.listen: %w", err)
			}
		})
	}
	g.notify.Ready()

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	g.notify.Stopping()
	g.core.draining.Store(true)
	g.core.reloads.await()
	if g.checks != nil {
		g.checks.NotServing()
	}
	if err == nil {
		err = g.lameDuck(failed)
	}
	err = errors.Join(err, g.drain(context.WithoutCancel(ctx), endStreams))
	stop()
	running.Wait()
	return errors.Join(err, g.core.close())
}

// lameDuck serves on, while nobody new should come.
func (g *Gateway) lameDuck(failed <-chan error) error {
	delay := g.core.now().cfg.Server.Drain.Delay
	if delay <= 0 {
		return nil
	}
	g.log.Info("the end was asked for, serving on for a while", zap.Duration("delay", delay))
	select {
	case <-time.After(delay):
		return nil
	case err := <-failed:
		return err
	}
}

// drain ends the listeners, the operators' last: until then it tells how things are.
func (g *Gateway) drain(ctx context.Context, endStreams func()) error {
	err := g.group.StopListening()
	endStreams()
	patience, cancel := context.WithTimeout(ctx, g.core.now().cfg.Server.Drain.Timeout)
	defer cancel()
	lateCheck := make(chan error, 1)
	go func() { lateCheck <- g.shutdownExtAuthz(patience) }()
	late := errors.Join(g.group.Shutdown(patience), <-lateCheck)
	if errors.Is(late, context.DeadlineExceeded) {
		g.log.Warn("requests were cut off that had not finished in time", zap.Duration("timeout", g.core.now().cfg.Server.Drain.Timeout))
		late = nil
	}
	err = errors.Join(err, late)
	if g.admin == nil {
		return err
	}
	last, cancel := context.WithTimeout(ctx, adminWait)
	defer cancel()
	if g.admin.Shutdown(last) != nil {
		err = errors.Join(err, g.admin.Close())
	}
	return err
}

// Close releases what New opened, where Run was never called.
func (g *Gateway) Close() error {
	var errs []error
	if g.group != nil {
		errs = append(errs, g.group.Close())
	}
	errs = append(errs, g.closeExtAuthz())
	if g.adminAt != nil {
		errs = append(errs, g.adminAt.Close())
	}
	return errors.Join(append(errs, g.core.close())...)
}
