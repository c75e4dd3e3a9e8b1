package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// run starts a gateway from YAML and ends it with the test.
func run(t *testing.T, yaml string) *gateway.Gateway {
	t.Helper()
	return runBuilt(t, gateway.New, yaml)
}

type newGateway = func(context.Context, *config.Config, *zap.Logger, string) (*gateway.Gateway, error)

// runBuilt is run for a gateway that is not made by New.
func runBuilt(t *testing.T, build newGateway, yaml string) *gateway.Gateway {
	t.Helper()
	cfg, err := config.Parse("test", []byte(yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := build(t.Context(), cfg, zap.NewNop(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		seeMetrics(t, g)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
	})
	return g
}

// certificate makes a certificate for a host, and the pool that trusts it.
func certificate(t *testing.T, host string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	ca := tlstest.New(t)
	pair := ca.Server(host)
	return pair.CertFile, pair.KeyFile, ca.Pool()
}

func TestListenerWithACertificateIssuesSecureHostCookies(t *testing.T) {
	t.Parallel()
	certFile, keyFile, pool := certificate(t, "app.example.test")
	users := filepath.Join(t.TempDir(), "users.yaml")
	hash, err := gateway.HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(users, fmt.Appendf(nil, "users: [{username: alice, password_hash: '%s'}]", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	g := run(t, fmt.Sprintf(`
server: {listen: "127.0.0.1:0", public_url: "https://app.example.test", tls: {cert_file: %s, key_file: %s}}
admin: {listen: ""}
session: {embedded: {path: ""}}
login: {providers: [{name: local, type: users, file: %s}]}
routes: [{name: app, upstream: "builtin:echo", policy: authenticated}]
`, certFile, keyFile, users))

	client := &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", g.Addr().String())
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.PostForm("https://app.example.test/.auth/login", url.Values{"username": {"alice"}, "password": {"correct horse"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther || res.ProtoMajor != 2 {
		t.Fatalf("sign-in over TLS: %s %s", res.Proto, res.Status)
	}
	cookie := res.Header.Get("Set-Cookie")
	for _, want := range []string{"__Host-sp=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie lacks %s: %s", want, cookie)
		}
	}
	if strings.Contains(cookie, "Domain") {
		t.Errorf("the cookie has a domain: %s", cookie)
	}
}

func TestUnixSocketHasItsModeAndReplacesAStaleOne(t *testing.T) {
	dir, err := os.MkdirTemp("", "sp") //nolint:usetesting // a short path: sockets allow 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s.sock")
	// A socket that its process left behind.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}

	run(t, fmt.Sprintf(`
server: {listen: "unix://%s?mode=0600", public_url: "http://localhost:8080"}
admin: {listen: ""}
session: {embedded: {path: ""}}
routes: [{name: app, upstream: "builtin:echo", public: true}]
`, socket))
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}
	res, err := client.Get("http://localhost:8080/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("over the socket: %s", res.Status)
	}
}

func TestAddressThatIsTakenIsAnErrorAndNothingStaysOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg, err := config.Parse("test", fmt.Appendf(nil, `
server: {listen: "127.0.0.1:0"}
admin: {listen: %q}
session: {embedded: {path: ""}}
routes: [{name: app, upstream: "builtin:echo", public: true}]
`, taken.Addr()), nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(t.Context(), cfg, zap.NewNop(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "admin.listen") {
		t.Errorf("got %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", g.Addr().String()); err == nil {
		conn.Close()
		t.Error("the public listener stayed open")
	}
}
