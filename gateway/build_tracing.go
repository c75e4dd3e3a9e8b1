package gateway

import (
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/tracing"
)

// openTracing makes the tracer, where spans are wanted.
func (c *core) openTracing(cfg *config.Config) error {
	if !c.open || !tracing.Wanted(cfg.Tracing) {
		return nil
	}
	headers, err := config.ReadSecret("", cfg.FileName(cfg.Tracing.HeadersFile))
	if err != nil && !errors.Is(err, config.ErrNoSecret) {
		return err
	}
	c.tracer, err = tracing.New(tracing.Options{
		Tracing: cfg.Tracing, Headers: headers, CAFile: cfg.FileName(cfg.Tracing.CAFile), Version: c.version, Log: c.log.Named("tracing"),
	})
	if err != nil {
		return faultsAt(cfg, "tracing", err)
	}
	c.closers = append(c.closers, c.tracer.Close)
	return nil
}

// callWatch returns a transport whose calls to a provider or token issuer are watched.
type callWatch func(provider string, next http.RoundTripper) http.RoundTripper

// calls is the callWatch of a gateway: calls are counted, timed and traced.
func (c *core) calls(provider string, next http.RoundTripper) http.RoundTripper {
	return c.tracer.Transport(provider, c.metrics.Provider(provider, next))
}

func unwatched(_ string, next http.RoundTripper) http.RoundTripper { return next }

// traceUpstream is proxy.Options.Trace.
func (c *core) traceUpstream() func(r *http.Request, route string) func(status int) {
	if c.tracer == nil {
		return nil
	}
	return c.tracer.Upstream
}
