package authorizer_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport/sallyport/policy/authorizer"
	"github.com/sallyport/sallyport/policy/authorizer/opatest"
)

// newTCP serves on a loopback socket, and returns the URL of a rule there.
func newTCP(tb testing.TB, h http.Handler) string {
	tb.Helper()
	server := httptest.NewServer(h)
	tb.Cleanup(server.Close)
	return server.URL + "/v1/data/app/authz"
}

func TestTheServiceHasToProveItself(t *testing.T) {
	for name, tt := range map[string]struct {
		trusted bool
		most    uint16 // the newest version of TLS that the service knows
		want    string
	}{
		"by a certificate that is vouched for": {true, tls.VersionTLS13, "allow"},
		"by one that is not":                   {false, tls.VersionTLS13, outage},
		"by TLS 1.2":                           {true, tls.VersionTLS12, "allow"},
		"by TLS 1.1":                           {true, tls.VersionTLS11, outage},
	} {
		t.Run(name, func(t *testing.T) {
			service := opatest.New()
			service.Says(http.StatusOK, `{"result": true}`)
			server := httptest.NewUnstartedServer(service)
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tt.most}
			server.Config.ErrorLog = quietLog(t)
			server.StartTLS()
			t.Cleanup(server.Close)
			roots := x509.NewCertPool()
			if tt.trusted {
				roots.AddCert(server.Certificate())
			}
			c, err := authorizer.New(authorizer.Options{Policy: "app", URL: server.URL + "/v1/data/app/authz", Timeout: 10 * time.Second, RootCAs: roots})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			if got := asks(t, c, alice()); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if asked := len(service.Asked()); (asked == 1) != (tt.want == "allow") {
				t.Errorf("%d questions arrived", asked)
			}
		})
	}
}

func TestWithoutTLSItIsPlain(t *testing.T) {
	service := opatest.New()
	service.Rule("app/authz", func(map[string]any) (any, error) { return map[string]any{"allow": true}, nil })
	url := newTCP(t, service)
	c, err := authorizer.New(authorizer.Options{Policy: "app", URL: url, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if got := asks(t, c, alice()); got != "allow" {
		t.Error(got)
	}
}
