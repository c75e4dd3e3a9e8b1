package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/tlstest"
)

// clientCert issues a certificate that is valid between two times from now.
func clientCert(ca *tlstest.CA, subject pkix.Name, email string, from, to time.Duration) *tls.Certificate {
	template := &x509.Certificate{Subject: subject, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to)}
	if email != "" {
		template.EmailAddresses = []string{email}
	}
	cert := ca.Issue(template)
	return &cert
}

// TestClientCertificateThroughTheListener: from the handshake to what the
// application is told.
func TestClientCertificateThroughTheListener(t *testing.T) {
	certFile, keyFile, pool := certificate(t, "app.example.test")
	clients, strangers := tlstest.New(t), tlstest.New(t)
	g := run(t, fmt.Sprintf(`
server:
  listen: "127.0.0.1:0"
  public_url: https://app.example.test
  tls: {cert_file: %s, key_file: %s, client_ca_file: %s, client_subject: cn}
admin: {listen: ""}
session: {embedded: {path: ""}}
login: {providers: [{name: corp, type: oidc, issuer: "http://127.0.0.1:1", client_id: app}]}
routes:
  - {name: machines, paths: [/machines/], upstream: "builtin:echo", auth: [client_cert], policy: authenticated, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: both, paths: [/both/], upstream: "builtin:echo", auth: [client_cert, session], policy: authenticated, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: open, paths: [/open/], upstream: "builtin:echo", public: true}
`, certFile, keyFile, clients.CertFile))

	billing := pkix.Name{CommonName: "billing", OrganizationalUnit: []string{"ops", "staff"}}
	forged := http.Header{
		"Client-Cert": {":AAAA:"}, "X-Forwarded-Client-Cert": {`Subject="CN=root"`}, "X-Ssl-Client-S-Dn": {"CN=root"},
		"X_ssl_client_verify": {"SUCCESS"}, "Ssl-Client-Cert": {"x"}, "X-Forwarded-User": {"root"},
	}
	for name, c := range map[string]struct {
		cert   *tls.Certificate
		target string
		header http.Header
		status int // 0: no connection
		user   string
	}{
		"no certificate":                          {nil, "/machines/", nil, 401, ""},
		"headers that tell of one":                {nil, "/machines/", forged, 401, ""},
		"the same where everybody may":            {nil, "/open/", forged, 200, ""},
		"a certificate":                           {clientCert(clients, billing, "billing@example.test", -time.Hour, time.Hour), "/machines/", nil, 200, "billing"},
		"a certificate, and headers for another":  {clientCert(clients, billing, "billing@example.test", -time.Hour, time.Hour), "/machines/", forged, 200, "billing"},
		"a certificate where sessions count, too": {clientCert(clients, billing, "billing@example.test", -time.Hour, time.Hour), "/both/", nil, 200, "billing"},
		"a certificate where everybody may":       {clientCert(clients, billing, "billing@example.test", -time.Hour, time.Hour), "/open/", nil, 200, ""},
		"a certificate that names nobody":         {clientCert(clients, pkix.Name{OrganizationalUnit: []string{"ops"}}, "", -time.Hour, time.Hour), "/machines/", nil, 401, ""},
		"a token beside it":                       {clientCert(clients, billing, "", -time.Hour, time.Hour), "/both/", http.Header{"Authorization": {"Bearer x"}}, 401, ""},
		"one of another authority":                {clientCert(strangers, pkix.Name{CommonName: "root"}, "", -time.Hour, time.Hour), "/machines/", nil, 0, ""},
		"one that has expired":                    {clientCert(clients, billing, "", -2*time.Hour, -time.Hour), "/machines/", nil, 0, ""},
		"one that is not valid yet":               {clientCert(clients, billing, "", time.Hour, 2*time.Hour), "/machines/", nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if c.cert == nil {
						return &tls.Certificate{}, nil
					}
					return c.cert, nil
				}},
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					var d net.Dialer
					return d.DialContext(ctx, "tcp", g.Addr().String())
				},
			}
			defer transport.CloseIdleConnections()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://app.example.test"+c.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(r.Header, c.header)
			res, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
			if err != nil {
				if c.status != 0 {
					t.Fatal(err)
				}
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != c.status {
				t.Fatalf("%d, want %d\n%s", res.StatusCode, c.status, body)
			}
			switch c.status {
			case http.StatusUnauthorized:
				if got := strings.Join(res.Header.Values("WWW-Authenticate"), ", "); !strings.Contains(got, "ClientCertificate realm=") {
					t.Errorf("challenge %q", got)
				}
			case http.StatusOK:
				got := headersShown(t, body)
				want := map[string]string{}
				if c.user != "" {
					want = map[string]string{"X-Forwarded-User": c.user, "X-Forwarded-Groups": "ops,staff", "X-Forwarded-Issuer": "client_cert", "X-Forwarded-Email": "billing@example.test"}
				}
				for _, name := range []string{"X-Forwarded-User", "X-Forwarded-Groups", "X-Forwarded-Issuer", "X-Forwarded-Email"} {
					if got[name] != want[name] {
						t.Errorf("%s is %q, want %q", name, got[name], want[name])
					}
				}
				for name := range got {
					if f := folded(name); strings.Contains(f, "clientcert") || strings.Contains(f, "sslclient") {
						t.Errorf("%s reached the application", name)
					}
				}
			}
		})
	}
}

// headersShown returns the headers that the built-in application shows.
func headersShown(t *testing.T, body []byte) map[string]string {
	t.Helper()
	var shown struct{ Headers [][2]string }
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&shown); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	all := map[string]string{}
	for _, h := range shown.Headers {
		all[h[0]] = h[1]
	}
	return all
}
