package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/carried"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/listener"
	"github.com/sallyport/sallyport/gateway/listener/acme"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// buildCertificates reads the certificates of the listeners, and makes what has them
// issued; nothing without any.
func buildCertificates(cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, p *parts) error {
	if !cfg.Server.TLS.Given() {
		return nil
	}
	o := listener.CertificateOptions{TLS: cfg.Server.TLS, Log: log.Named("tls"), Reloaded: metrics.CertificateReload}
	if cfg.Server.TLS.ACME.Given() {
		settings := withFiles(cfg.Server.TLS.ACME, cfg.Server.TLS.ACME.CAFile)
		issued, err := carried.Take(p.hold, "acme", settings, func() (*acme.Manager, carried.Work, error) {
			issued, err := acme.New(cfg.Server.TLS.ACME, log.Named("acme"))
			if err != nil {
				return nil, carried.Work{}, err
			}
			return issued, carried.Work{Run: issued.Run, Close: issued.Close}, nil
		})
		if err != nil {
			return faultsAt(cfg, "server.tls.acme", err)
		}
		p.acme, o.Issued, o.Protocols = issued, issued.GetCertificate, []string{acme.Protocol}
	}
	certs, err := listener.NewCertificates(o)
	if err != nil {
		return certificateFaults(cfg, err)
	}
	p.certificates = append(p.certificates, certs.Ends)
	if p.acme != nil {
		p.certificates = append(p.certificates, p.acme.Ends)
	}
	p.tls = certs.Config()
	p.background = append(p.background, certs.Run)
	return nil
}

// certificateFaults says which key names the files that can't be used.
func certificateFaults(cfg *config.Config, err error) error {
	if e, ok := errors.AsType[*listener.FileError](err); ok {
		return config.Faults{cfg.Fault(e.Key, e.Err.Error(), "name a PEM certificate chain and its private key")}
	}
	return err
}

// certificateEnds tells when each certificate of any listener runs out.
func (p *parts) certificateEnds() map[string]time.Time {
	all := map[string]time.Time{}
	for _, ends := range p.certificates {
		maps.Copy(all, ends())
	}
	return all
}

// prove answers an authority that looks for a proof; nil where none is asked.
func (p *parts) prove() func(http.ResponseWriter, *http.Request) bool {
	if p.acme == nil {
		return nil
	}
	return p.acme.Prove
}

// listened tells what there is to prove domains over.
func (p *parts) listened(open []listener.Address) {
	if p.acme == nil {
		return
	}
	redirect, secure := 0, 0
	for _, a := range open {
		switch tcp, ok := a.Addr.(*net.TCPAddr); {
		case !ok:
		case a.Listener.RedirectHTTPS && redirect == 0:
			redirect = tcp.Port
		case a.TLS && secure == 0:
			secure = tcp.Port
		}
	}
	p.acme.Listen(redirect, secure)
}

// buildEntrances finds the policies of the listeners that have one, by their name.
func buildEntrances(cfg *config.Config, policies *policies) (map[string]*guard.Entrance, error) {
	entrances := map[string]*guard.Entrance{}
	for i, l := range cfg.Server.AllListeners() {
		if l.Policy == "" {
			continue
		}
		set := policies.sets[l.Policy]
		if set == nil && !policies.broken[l.Policy] {
			return nil, config.Faults{cfg.Fault(fmt.Sprintf("server.listeners[%d].policy", i), fmt.Sprintf("no policy is called %q", l.Policy), "")}
		}
		entrances[l.Name] = &guard.Entrance{Name: l.Name, Policy: set}
	}
	return entrances, nil
}

// listening is what the listeners are opened with.
func (p *parts) listening() listener.Options {
	return listener.Options{
		Server: p.cfg.Server, TLS: p.tls,
		Handler:  &served{p.core, func(p *parts) http.Handler { return p.handler }},
		Redirect: &served{p.core, func(p *parts) http.Handler { return p.redirect }},
		Trusted:  p.trust.peer, Log: p.core.log,
		Context: func(ctx context.Context, l config.Listener) context.Context { return guard.Through(ctx, l.Name) },
		Refused: p.core.metrics.ConnectionRefused, Saturated: p.core.metrics.ConnectionsSaturated,
	}
}
