package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/extauthz"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/listener"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// buildExtAuthzCertificates reads the certificates of the gRPC listener; nothing
// without any.
func buildExtAuthzCertificates(cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, p *parts) error {
	files := cfg.ExtAuthz.TLS
	if cfg.ExtAuthz.Listen == "" || files.CertFile == "" {
		return nil
	}
	certs, err := listener.NewCertificates(listener.CertificateOptions{
		TLS: files.TLS(),
		Key: "ext_authz.tls", RequireClient: true, Log: log.Named("tls"), Reloaded: metrics.CertificateReload,
	})
	if err != nil {
		return certificateFaults(cfg, err)
	}
	p.certificates = append(p.certificates, certs.Ends)
	p.checkTLS = certs.Config()
	p.background = append(p.background, certs.Run)
	return nil
}

// extAuthz makes what Envoy asks by gRPC; nil where it is off.
func (a *asked) extAuthz(p *parts, policies *policies, ownCookie func(name string) bool) *extauthz.Service {
	if a.cfg.ExtAuthz.Listen == "" {
		return nil
	}
	entrances := make(map[string]*guard.Entrance, len(policies.sets))
	for name, set := range policies.sets {
		entrances[name] = &guard.Entrance{Name: "ext_authz, policy " + name, Policy: set}
	}
	return extauthz.New(extauthz.Options{
		Judge: a.judge(p), Passes: a.passes(), OwnCookie: ownCookie,
		Trusted: p.trust.peer, Policies: entrances, Watch: a.watch.check, Edge: a.edge, Log: a.log.Named("extauthz"),
		MaxTarget: a.cfg.Server.Limits.MaxTargetBytes, Turns: &p.life.turns,
	})
}

// listenExtAuthz binds the address of the gRPC listener, where it is on.
func (g *Gateway) listenExtAuthz(ctx context.Context, binder *listener.Binder) (err error) {
	p := g.core.now()
	if p.extAuthz == nil {
		return nil
	}
	if g.checksAt, err = binder.Open(ctx, p.cfg.ExtAuthz.Listen); err != nil {
		return fmt.Errorf("ext_authz.listen: %w", err)
	}
	o := extauthz.ServerOptions{
		Current:   func() *extauthz.Service { return g.core.now().extAuthz },
		Handshake: p.cfg.Server.Limits.ReadHeaderTimeout,
	}
	if p.checkTLS != nil {
		o.TLS = p.checkTLS.Clone()
		o.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return g.core.now().checkTLS.GetConfigForClient(hello)
		}
	}
	g.checks = extauthz.NewServer(o)
	g.checks.SetMaxConnections(p.cfg.Server.Limits.MaxConnections)
	return nil
}

// ExtAuthzAddr returns the address of the listener that Envoy asks at, once Listen has
// bound it; nil where it is off.
func (g *Gateway) ExtAuthzAddr() net.Addr {
	if len(g.checksAt) == 0 {
		return nil
	}
	return g.checksAt[0].Addr()
}

// serveExtAuthz serves until shutdownExtAuthz.
func (g *Gateway) serveExtAuthz() error {
	if err := g.checks.Serve(g.checksAt); err != nil {
		return fmt.Errorf("ext_authz.listen: %w", err)
	}
	return nil
}

// shutdownExtAuthz lets checks under way finish until ctx ends.
func (g *Gateway) shutdownExtAuthz(ctx context.Context) error {
	if g.checks == nil {
		return nil
	}
	return g.checks.Shutdown(ctx)
}

// closeExtAuthz closes what listenExtAuthz has opened, where it was never served.
func (g *Gateway) closeExtAuthz() error {
	var errs []error
	for _, l := range g.checksAt {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
