package gateway

import (
	"errors"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/listener"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// buildCertificates reads the certificates of the listeners; nil without any.
func buildCertificates(cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, p *parts) error {
	if !cfg.Server.TLS.Given() {
		return nil
	}
	certs, err := listener.NewCertificates(listener.CertificateOptions{
		TLS: cfg.Server.TLS, Log: log.Named("tls"), Reloaded: metrics.CertificateReload,
	})
	if e, ok := errors.AsType[*listener.FileError](err); ok {
		return config.Faults{cfg.Fault(e.Key, e.Err.Error(), "name a PEM certificate chain and its private key")}
	}
	if err != nil {
		return err
	}
	metrics.Certificates(certs.Ends)
	p.tls = certs.Config()
	p.background = append(p.background, certs.Run)
	return nil
}

// listening is what the listeners are opened with.
func (p *parts) listening(cfg *config.Config, log *zap.Logger) listener.Options {
	return listener.Options{
		Server: cfg.Server, Handler: p.handler, Redirect: p.redirect, TLS: p.tls,
		Trusted: p.trust.peer, Log: log,
		Refused: p.metrics.ConnectionRefused, Saturated: p.metrics.ConnectionsSaturated,
	}
}
