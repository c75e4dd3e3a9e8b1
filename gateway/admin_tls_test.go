package gateway_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/tlstest"
)

// TestOperatorsComeByCertificate over TLS that is verified, and the probes of
// orchestrators without any.
func TestOperatorsComeByCertificate(t *testing.T) {
	t.Parallel()
	ca, strangers := tlstest.New(t), tlstest.New(t)
	server := ca.Server("127.0.0.1", "ops.example.test")
	yaml := strings.NewReplacer("$CERT", server.CertFile, "$KEY", server.KeyFile, "$CA", ca.CertFile).Replace(`
server: {listen: 127.0.0.1:0}
admin: {listen: 127.0.0.1:0, tls: {cert_file: "$CERT", key_file: "$KEY", client_ca_file: "$CA"}}
session: {embedded: {path: ""}}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
routes: [{name: app, upstream: "builtin:echo", policy: authenticated}]
`)
	gw := run(t, yaml)

	ask := func(path string, own ...tls.Certificate) (int, string) {
		t.Helper()
		c := &http.Client{Timeout: patience, Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: ca.Pool(), Certificates: own},
		}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+gw.AdminAddr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(r)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	ops := ca.Client("ops").Load(t)
	for name, c := range map[string]struct {
		path string
		own  []tls.Certificate
		want int
	}{
		"the API with a certificate":      {"/api/v1/keys", []tls.Certificate{ops}, 200},
		"a page with a certificate":       {"/sessions", []tls.Certificate{ops}, 200},
		"the API without one":             {"/api/v1/keys", nil, 401},
		"a page without one":              {"/sessions", nil, 401},
		"the API with one of a stranger":  {"/api/v1/keys", []tls.Certificate{strangers.Client("ops").Load(t)}, 0},
		"a probe, which has none":         {"/livez", nil, 200},
		"the metrics, which are for free": {"/metrics", nil, 200},
	} {
		if got, text := ask(c.path, c.own...); got != c.want && (c.want != 0 || got != 401) {
			t.Errorf("%s: %d, want %d\n%.300s", name, got, c.want, text)
		}
	}
}
