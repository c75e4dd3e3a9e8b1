package acme_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/listener"
	"github.com/sallyport/sallyport/gateway/listener/acme"
	"github.com/sallyport/sallyport/gateway/listener/acme/acmetest"
)

const (
	patience = 30 * time.Second
	domain   = "app.example.test"
)

// gateway is a group with one listener that redirects and one with TLS. Its Manager
// comes when its ports are known.
func gateway(t *testing.T, m *atomic.Pointer[acme.Manager]) (redirect, secure int) {
	t.Helper()
	certs, err := listener.NewCertificates(listener.CertificateOptions{
		Log: zap.NewNop(), Protocols: []string{acme.Protocol},
		Issued: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return m.Load().GetCertificate(hello) },
	})
	if err != nil {
		t.Fatal(err)
	}
	g, err := listener.Open(t.Context(), listener.NewBinder(), listener.Options{
		Server: config.Server{Listeners: []config.Listener{{Name: "a", Listen: "127.0.0.1:0", RedirectHTTPS: true}, {Name: "b", Listen: "127.0.0.1:0"}}},
		TLS:    certs.Config(), Log: zap.NewNop(), Trusted: func(string) bool { return false },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }),
		Redirect: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !m.Load().Prove(w, r) {
				w.WriteHeader(http.StatusPermanentRedirect)
			}
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve() }()
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	port := func(i int) int { return g.Addresses()[i].Addr.(*net.TCPAddr).Port } //nolint:forcetypeassert // as it was opened
	return port(0), port(1)
}

func TestCertificateIsIssuedAndKept(t *testing.T) {
	for name, over := range map[string]func(redirect, secure int) (int, int){
		"http-01":     func(redirect, _ int) (int, int) { return redirect, 0 },
		"tls-alpn-01": func(_, secure int) (int, int) { return 0, secure },
	} {
		t.Run(name, func(t *testing.T) {
			var current atomic.Pointer[acme.Manager]
			redirect, secure := gateway(t, &current)
			a := acmetest.New(t, redirect, secure)
			c := config.ACME{Domains: []string{domain}, AcceptTerms: true, DirectoryURL: a.Directory, CAFile: a.CAFile, Storage: t.TempDir(), Email: "ops@example.test"}
			m := manager(t, c)
			current.Store(m)
			m.Listen(over(redirect, secure))
			run(t, m)
			first := awaitCertificate(t, a, secure)
			if byHTTP := strings.Contains(a.Log(), "Attempting to validate w/ HTTP"); byHTTP != (name == "http-01") {
				t.Errorf("the authority looked by http: %v", byHTTP)
			}
			if end := m.Ends()[domain]; !end.Equal(first.NotAfter) {
				t.Errorf("it is said to run out at %s, and does at %s", end, first.NotAfter)
			}
			if _, err := presented(t, a, secure, "other.example.test"); err == nil {
				t.Error("a certificate was presented for a name that is not configured")
			}

			// The next process finds it, and asks nobody.
			orders := strings.Count(a.Log(), "Issued certificate serial")
			next := manager(t, c)
			current.Store(next)
			run(t, next)
			if second := awaitCertificate(t, a, secure); second.SerialNumber.Cmp(first.SerialNumber) != 0 {
				t.Error("another certificate is presented after a restart")
			}
			if n := strings.Count(a.Log(), "Issued certificate serial"); n != orders || n == 0 {
				t.Errorf("the authority issued %d certificates, before %d", n, orders)
			}
		})
	}
}

func manager(t *testing.T, c config.ACME) *acme.Manager {
	t.Helper()
	m, err := acme.New(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func run(t *testing.T, m *acme.Manager) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { m.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
}

// presented is the certificate that a client gets that trusts the authority alone.
func presented(t *testing.T, a *acmetest.Authority, port int, name string) (*x509.Certificate, error) {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{RootCAs: a.Roots, ServerName: name, MinVersion: tls.VersionTLS12}}
	c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil //nolint:forcetypeassert // as tls.Dialer says
}

func awaitCertificate(t *testing.T, a *acmetest.Authority, port int) *x509.Certificate {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		cert, err := presented(t, a, port, domain)
		if err == nil {
			return cert
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no certificate: %v\n%s", err, a.Log())
		}
	}
}

func TestProofsAreForTheConfiguredDomainsAlone(t *testing.T) {
	m := manager(t, config.ACME{Domains: []string{domain}, AcceptTerms: true, DirectoryURL: "https://127.0.0.1:1/", Storage: t.TempDir()})
	m.Listen(80, 443)
	for _, host := range []string{domain, "evil.test", "", "[::1]:80"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.well-known/acme-challenge/aGVsbG8", nil)
		r.Host = host
		if m.Prove(w, r) || w.Body.Len() > 0 {
			t.Errorf("%q: something is proven that nobody asked for: %s", host, w.Body)
		}
	}
	hello := &tls.ClientHelloInfo{ServerName: "other.example.test"}
	if cert, err := m.GetCertificate(hello); cert != nil || err != nil {
		t.Errorf("for another name: %v, %v", cert, err)
	}
}

func TestTermsHaveToBeAccepted(t *testing.T) {
	if _, err := acme.New(config.ACME{Domains: []string{domain}}, zap.NewNop()); err == nil {
		t.Error("they were not, and a manager was made")
	}
}
