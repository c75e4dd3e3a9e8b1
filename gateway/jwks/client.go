package jwks

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	clientTimeout     = 5 * time.Second
	maxRedirects      = 5
	maxResponseHeader = 64 << 10
)

// NewClient makes the client for calls to one provider: keys, discovery and, for
// those who sign people in, its other endpoints. A call takes five seconds at
// most, body included. Redirects are only followed on the same scheme and host.
// HTTPS_PROXY and its kin are honoured. With caFile, its certificates are
// trusted besides those of the system. Callers bound what they read of a body.
//
// Requests under Metadata.Context keep away from private addresses.
func NewClient(caFile string) (*http.Client, error) {
	if caFile == "" {
		return newClient(nil), nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("CA file %s: no certificate in it", caFile)
	}
	return newClient(roots), nil
}

func newClient(roots *x509.CertPool) *http.Client {
	dialer := net.Dialer{Timeout: clientTimeout, KeepAlive: 30 * time.Second}
	open := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    clientTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
	guarded := open.Clone()
	guarded.Proxy = nil
	outside := dialer
	outside.Control = outsideOnly
	guarded.DialContext = outside.DialContext
	return &http.Client{
		Transport:     &transport{open: open, guarded: guarded},
		Timeout:       clientTimeout,
		CheckRedirect: sameOrigin,
	}
}

// transport keeps two pools, so that a connection to a private address that
// one request may use is never there for one that may not.
type transport struct {
	open, guarded *http.Transport
	from, to      *url.URL // see Reroute; nil = nothing is
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	home, learned := r.Context().Value(originKey{}).(origin)
	if !learned || home.covers(r.URL) {
		return t.open.RoundTrip(t.reroute(r))
	}
	if privateName(r.URL.Hostname()) {
		return nil, errForbidden
	}
	// Through a proxy, it is the proxy that resolves the name, and only it
	// can say no.
	if proxied(t.open, r) {
		return t.open.RoundTrip(r)
	}
	return t.guarded.RoundTrip(r)
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach both pools.
func (t *transport) CloseIdleConnections() {
	t.open.CloseIdleConnections()
	t.guarded.CloseIdleConnections()
}

func proxied(t *http.Transport, r *http.Request) bool {
	if t.Proxy == nil {
		return false
	}
	proxy, err := t.Proxy(r)
	return err == nil && proxy != nil
}

// viaProxy reports whether requests to u go through a proxy of the environment.
func viaProxy(u *url.URL) bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	return err == nil && proxy != nil
}

// sameOrigin follows redirects within one origin only: an open redirect at the
// provider must not lead us into our own network (CVE-2026-41413).
func sameOrigin(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if r.URL.Scheme != first.Scheme || hostPort(r.URL) != hostPort(first) {
		return fail(classRedirect, "a redirect to another origin")
	}
	if len(via) >= maxRedirects {
		return fail(classRedirect, "%d redirects", len(via))
	}
	return nil
}

var errForbidden = &failure{classForbidden, errors.New("a learned URL leads to a private address")}

// outsideOnly refuses a connection once the address is known: after the name
// was resolved, so that a name that changes between check and use (DNS
// rebinding) gains nothing.
func outsideOnly(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return errForbidden
	}
	host, _, _ = strings.Cut(host, "%")
	if privateName(host) {
		return errForbidden
	}
	return nil
}
