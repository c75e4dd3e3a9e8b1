package gateway

import (
	"crypto/x509"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/authorizer"
)

// authorizerMaker makes the authorizer of a policy; nil without an error where the
// policy has none.
type authorizerMaker func(*config.Policy) (policy.Authorizer, error)

// standIns puts one authorizer in the place of every other; nil leaves them out.
func standIns(one policy.Authorizer) authorizerMaker {
	return func(c *config.Policy) (policy.Authorizer, error) {
		if c.Authorizer == nil {
			return nil, nil //nolint:nilnil // no authorizer is configured, which is no error
		}
		return one, nil
	}
}

// newAuthorizers returns what makes a client for each policy that asks a service.
// Each has connections and a memory of its own, and ends with p.
func newAuthorizers(log *zap.Logger, metrics *telemetry.Metrics, p *parts) authorizerMaker {
	log = log.Named("authorizer")
	return func(c *config.Policy) (policy.Authorizer, error) {
		a := c.Authorizer
		if a == nil {
			return nil, nil //nolint:nilnil // no authorizer is configured, which is no error
		}
		roots, err := authorities(a.CAFile)
		if err != nil {
			return nil, err
		}
		o := authorizer.Options{
			Policy: c.Name, URL: a.URL, Timeout: a.Timeout, Cache: a.Cache, Headers: a.Headers, RootCAs: roots, Log: log,
			Observe: func(result authorizer.Result, took time.Duration) { metrics.Authorizer(c.Name, string(result), took) },
		}
		if a.Token != "" || a.TokenFile != "" {
			o.Token = func() (string, error) {
				token, err := config.ReadSecret(a.Token, a.TokenFile)
				return token.Reveal(), err
			}
		}
		client, err := authorizer.New(o)
		if err != nil {
			return nil, err
		}
		p.closers = append(p.closers, func() error { client.Close(); return nil })
		return client, nil
	}
}

// authorities are those of the system and those of a file; nil is those of the
// system alone.
func authorities(caFile string) (*x509.CertPool, error) {
	const fix = "name a file of certificates in PEM"
	if caFile == "" {
		return nil, nil //nolint:nilnil // which is what nil means to crypto/tls
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, &keyError{"ca_file", err.Error(), fix}
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, &keyError{"ca_file", "there is no certificate in " + caFile, fix}
	}
	return roots, nil
}
