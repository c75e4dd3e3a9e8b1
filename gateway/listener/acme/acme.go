// Package acme has the certificates of listeners issued and renewed by an authority
// (RFC 8555). It proves that the domains are the operator's own over the listeners
// that there are: by http-01 over one that redirects to https, and by tls-alpn-01
// (RFC 8737) over one with TLS. It opens no listener itself.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
)

// Protocol is what authorities speak over TLS to see a proof.
const Protocol = "acme-tls/1"

// Manager holds the certificates of the configured domains and no others. It is safe
// for concurrent use.
type Manager struct {
	domains []string
	cache   *certmagic.Cache
	config  *certmagic.Config
	issuer  *certmagic.ACMEIssuer
}

// New makes a Manager that asks nobody yet.
func New(c config.ACME, log *zap.Logger) (*Manager, error) {
	if !c.AcceptTerms {
		return nil, errors.New("the terms of the authority are not accepted")
	}
	var roots *x509.CertPool
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			return nil, errors.New("ca_file holds no certificate")
		}
	}
	m := &Manager{domains: c.Domains}
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.config, nil },
		Logger:           log,
	})
	m.config = certmagic.New(m.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: c.Storage},
		Logger:  log,
		// Clients that ask for no name get the first.
		DefaultServerName: c.Domains[0],
		// The answers would be fetched from wherever a certificate says.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	m.issuer = certmagic.NewACMEIssuer(m.config, certmagic.ACMEIssuer{
		CA: c.DirectoryURL, Email: c.Email, Agreed: true, TrustedRoots: roots, Logger: log,
		// Nothing is proven before Listen has said over what.
		DisableHTTPChallenge: true, DisableTLSALPNChallenge: true,
	})
	m.config.Issuers = []certmagic.Issuer{m.issuer}
	return m, nil
}

// Listen says at which ports of this machine there are listeners that redirect and
// such with TLS; 0 for none. It is called before Run.
func (m *Manager) Listen(redirect, secure int) {
	m.issuer.AltHTTPPort, m.issuer.DisableHTTPChallenge = redirect, redirect == 0
	m.issuer.AltTLSALPNPort, m.issuer.DisableTLSALPNChallenge = secure, secure == 0
}

// Run has the certificates issued, and renewed in time, until ctx ends. What goes
// wrong is logged and tried again, less and less often.
func (m *Manager) Run(ctx context.Context) {
	_ = m.config.ManageAsync(ctx, m.domains) // the error is of names that are asked for in between
	<-ctx.Done()
}

// Close ends what New began.
func (m *Manager) Close() { m.cache.Stop() }

// GetCertificate is for tls.Config. Names that are not of the configured domains are
// not its own: it returns nil.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName != "" && !m.owns(hello.ServerName) {
		return nil, nil //nolint:nilnil // as tls.Config.GetCertificate says
	}
	cert, err := m.config.GetCertificate(hello)
	if err != nil {
		return nil, err
	}
	return cert, nil
}

func (m *Manager) owns(host string) bool {
	return slices.Contains(m.domains, strings.ToLower(strings.TrimSuffix(host, ".")))
}

// Prove answers an authority that looks for a proof by http-01, and reports whether
// it did.
func (m *Manager) Prove(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
		return false
	}
	host, _, _ := strings.Cut(r.Host, ":")
	return m.owns(host) && m.issuer.HandleHTTPChallenge(w, r)
}

// Ends returns when the certificates that there are run out, by domain.
func (m *Manager) Ends() map[string]time.Time {
	ends := make(map[string]time.Time, len(m.domains))
	for _, domain := range m.domains {
		for _, cert := range m.cache.AllMatchingCertificates(domain) {
			if cert.Leaf != nil && cert.Leaf.NotAfter.After(ends[domain]) {
				ends[domain] = cert.Leaf.NotAfter
			}
		}
	}
	return ends
}
