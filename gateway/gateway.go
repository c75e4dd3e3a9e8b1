package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
)

// drainTimeout is how long requests under way may take after the end was asked for.
const drainTimeout = 15 * time.Second

// Gateway is one running Sallyport. New makes it, Listen binds its addresses,
// Run serves until its context ends.
type Gateway struct {
	cfg   *config.Config
	log   *zap.Logger
	parts *parts

	public, admin   net.Listener
	publicS, adminS *http.Server
}

// New builds a gateway from a configuration that was loaded with config.Load,
// and opens its session store. Faults that only building can find are returned
// as config.Faults.
func New(ctx context.Context, cfg *config.Config, log *zap.Logger, version string) (*Gateway, error) {
	p, err := build(ctx, cfg, log, version, true)
	if err != nil {
		return nil, err
	}
	return &Gateway{cfg: cfg, log: log, parts: p}, nil
}

// Check builds everything that New builds, without opening the session store
// and without listening. A nil error means that a gateway would start.
func Check(ctx context.Context, cfg *config.Config) error {
	p, err := build(ctx, cfg, zap.NewNop(), "check", false)
	if err != nil {
		return err
	}
	return p.close()
}

// HashPassword returns the argon2id hash of a password, as a users file holds it.
func HashPassword(password string) (string, error) { return login.HashPassword(password) }

// Handler is what the public listener serves, for tests that bring their own.
func (g *Gateway) Handler() http.Handler { return g.parts.handler }

// AdminHandler is what the admin listener serves.
func (g *Gateway) AdminHandler() http.Handler { return g.parts.admin }

// Listen binds the public and the admin address. After an error only Close may
// follow.
func (g *Gateway) Listen(ctx context.Context) error {
	var err error
	if g.public, err = listen(ctx, g.cfg.Server.Listen); err != nil {
		return fmt.Errorf("server.listen: %w", err)
	}
	limits := g.cfg.Server.Limits
	g.publicS = g.server(g.parts.handler, "public")
	g.publicS.MaxHeaderBytes = limits.MaxHeaderBytes
	g.publicS.ReadHeaderTimeout, g.publicS.IdleTimeout = limits.ReadHeaderTimeout, limits.IdleTimeout
	g.publicS.TLSConfig = g.parts.tls
	if g.cfg.Admin.Listen == "" {
		return nil
	}
	if g.admin, err = listen(ctx, g.cfg.Admin.Listen); err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	g.adminS = g.server(g.parts.admin, "admin")
	return nil
}

func (g *Gateway) server(h http.Handler, name string) *http.Server {
	errorLog, err := zap.NewStdLogAt(g.log.Named(name), zap.WarnLevel)
	if err != nil { // WarnLevel is a level
		errorLog = nil
	}
	// Without the general handler, "OPTIONS *" is judged and logged like the rest.
	return &http.Server{Handler: h, ErrorLog: errorLog, DisableGeneralOptionsHandler: true, ReadHeaderTimeout: 10 * time.Second}
}

// Addr returns the public listener's address, once Listen has bound it.
func (g *Gateway) Addr() net.Addr { return g.public.Addr() }

// Run serves until ctx ends, then ends the streams, lets requests under way
// finish and closes the store. It returns nil after an orderly end.
func (g *Gateway) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, work := range g.parts.background {
		running.Go(func() { work(background) })
	}
	// Streams don't finish by themselves: they would use up the drain's time, and
	// WebSockets, for which http.Server does not wait, would be cut off at its end.
	serving, beginDrain := context.WithCancel(ctx)
	defer beginDrain()
	running.Go(func() { g.parts.streams.Run(serving) })

	failed := make(chan error, 2)
	serve := func(s *http.Server, l net.Listener) {
		var err error
		if s.TLSConfig != nil {
			err = s.ServeTLS(l, "", "")
		} else {
			err = s.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}
	running.Go(func() { serve(g.publicS, g.public) })
	if g.adminS != nil {
		running.Go(func() { serve(g.adminS, g.admin) })
	}

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	beginDrain()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err = errors.Join(err, shutdown(drain, g.publicS), shutdown(drain, g.adminS))
	stop()
	running.Wait()
	return errors.Join(err, g.parts.close())
}

// Close releases what New opened, where Run was never called.
func (g *Gateway) Close() error {
	var errs []error
	for _, l := range []net.Listener{g.public, g.admin} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(append(errs, g.parts.close())...)
}

// shutdown lets requests finish; those that don't in time are cut.
func shutdown(ctx context.Context, s *http.Server) error {
	if s == nil {
		return nil
	}
	if err := s.Shutdown(ctx); err != nil {
		return s.Close()
	}
	return nil
}

// listen binds host:port, or unix:///path?mode=0660.
func listen(ctx context.Context, address string) (net.Listener, error) {
	network, address, mode, err := config.ParseListen(address)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	if network != "unix" {
		return lc.Listen(ctx, network, address)
	}
	if err := removeStaleSocket(ctx, address); err != nil {
		return nil, err
	}
	l, err := lc.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(address, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeStaleSocket removes a socket that nobody listens on any more.
func removeStaleSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil //nolint:nilerr // nothing stale is there; listening will say what is wrong
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("%s: another process listens on it", path), c.Close())
	}
	return os.Remove(path)
}

// loadTLS reads the listener's certificate; nil without one.
func loadTLS(cfg *config.Config) (*tls.Config, error) {
	t := cfg.Server.TLS
	if t.CertFile == "" {
		return nil, nil //nolint:nilnil // no certificate is a plain listener, not an error
	}
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, config.Faults{cfg.Fault("server.tls", err.Error(), "name a PEM certificate chain and its private key")}
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if t.ClientCAFile != "" {
		pem, err := os.ReadFile(t.ClientCAFile)
		if err != nil {
			return nil, config.Faults{cfg.Fault("server.tls.client_ca_file", err.Error(), "name a PEM file")}
		}
		out.ClientCAs, out.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !out.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, config.Faults{cfg.Fault("server.tls.client_ca_file", "holds no certificate", "name a PEM file")}
		}
	}
	return out, nil
}
