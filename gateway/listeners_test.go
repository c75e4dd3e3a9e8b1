package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/listener/acme/acmetest"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// sendTo sends text to an address and returns the answer, with its body.
func sendTo(t *testing.T, addr, text string) answer {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, text)
	return readAnswer(t, bufio.NewReader(c), methodOf(text))
}

func at(g *gateway.Gateway, i int) string { return g.Addresses()[i].Addr.String() }

// TestRedirectGoesToTheServedHostAlone: whatever a client says of itself, Location
// names a host that is served, the port of public_url, and what was asked for, byte
// for byte.
func TestRedirectGoesToTheServedHostAlone(t *testing.T) {
	certFile, keyFile, _ := certificate(t, "app.example.test")
	g := run(t, fmt.Sprintf(`
server:
  public_url: https://app.example.test:8443
  tls: {cert_file: %s, key_file: %s}
  listeners: [{listen: "127.0.0.1:0"}, {name: turn, listen: "127.0.0.1:0", redirect_https: true}]
admin: {listen: ""}
session: {embedded: {path: ""}}
routes:
  - {name: app, hosts: [app.example.test, "*.wild.example.test", "2001:db8::1"], upstream: "builtin:echo", public: true}
`, certFile, keyFile))
	for name, c := range map[string]struct {
		line, host string
		status     int
		location   string
	}{
		"a page":                        {"GET /a?b=c", "app.example.test", 308, "https://app.example.test:8443/a?b=c"},
		"a form keeps its method":       {"POST /a", "app.example.test", 308, "https://app.example.test:8443/a"},
		"another port":                  {"GET /", "app.example.test:80", 308, "https://app.example.test:8443/"},
		"another spelling":              {"GET /", "APP.Example.Test.", 308, "https://app.example.test:8443/"},
		"a wildcard":                    {"GET /", "x.wild.example.test", 308, "https://x.wild.example.test:8443/"},
		"an IPv6 address":               {"GET /", "[2001:db8:0::1]:80", 308, "https://[2001:db8::1]:8443/"},
		"odd bytes":                     {"GET /%2F//a;b/..%5c/?a=b;c&%zz=%00", "app.example.test", 308, "https://app.example.test:8443/%2F//a;b/..%5c/?a=b;c&%zz=%00"},
		"a target that looks like one":  {"GET //evil.test/", "app.example.test", 308, "https://app.example.test:8443//evil.test/"},
		"a gateway's own endpoint":      {"GET /.auth/login?return_to=/", "app.example.test", 308, "https://app.example.test:8443/.auth/login?return_to=/"},
		"an unknown host":               {"GET /", "evil.test", 421, ""},
		"a host that begins like it":    {"GET /", "app.example.test.evil.test", 421, ""},
		"user information in the host":  {"GET /", "app.example.test@evil.test", 400, ""},
		"two labels for a wildcard":     {"GET /", "x.y.wild.example.test", 421, ""},
		"no host":                       {"GET /", "", 421, ""},
		"an absolute target":            {"GET http://app.example.test/", "app.example.test", 400, ""},
		"a tunnel":                      {"CONNECT app.example.test:443", "app.example.test:443", 400, ""},
		"all resources":                 {"OPTIONS *", "app.example.test", 400, ""},
		"a target longer than they are": {"GET /" + strings.Repeat("a", 20<<10), "app.example.test", 414, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := sendTo(t, at(g, 1), c.line+" HTTP/1.1\r\nHost: "+c.host+"\r\nX-Forwarded-Host: evil.test\r\nConnection: close\r\n\r\n")
			if a.StatusCode != c.status || a.Header.Get("Location") != c.location {
				t.Errorf("the answer is %d, %q", a.StatusCode, a.Header.Get("Location"))
			}
			if sts := a.Header.Get("Strict-Transport-Security"); sts != "" {
				t.Errorf("over plain http it says %s", sts) // RFC 6797, section 7.2
			}
			if strings.Contains(a.text, "evil.test") {
				t.Errorf("it repeats what the client said:\n%s", a.text)
			}
		})
	}
	if text := metricsOf(t, g); !strings.Contains(text, `sallyport_requests_total{outcome="answered",reason="ok",route=".redirect"}`) {
		t.Error("redirects are not counted")
	}
}

func metricsOf(t *testing.T, g *gateway.Gateway) string {
	t.Helper()
	w := httptest.NewRecorder()
	g.AdminHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestHSTSIsSaidOnceAndNotWhereItMeansNothing(t *testing.T) {
	t.Parallel()
	certFile, keyFile, pool := certificate(t, "app.example.test")
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if own := r.URL.Query().Get("own"); own != "" {
			w.Header().Set("Strict-Transport-Security", own)
		}
		if r.URL.Query().Has("hint") {
			w.Header().Set("Link", "</a>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		}
	}))
	defer app.Close()
	for name, c := range map[string]struct{ server, target, want string }{
		"by default, with a certificate":   {"", "/", "max-age=31536000"},
		"on the gateway's own answers":     {"", "/.auth/me", "max-age=31536000"},
		"on a refusal":                     {"", "/protected", "max-age=31536000"},
		"after an early hint":              {"", "/?hint", "max-age=31536000"},
		"the application's own word":       {"", "/?own=max-age%3D1", "max-age=1"},
		"as it is configured":              {"hsts: {max_age: 8760h, include_subdomains: true, preload: true}", "/", "max-age=31536000; includeSubDomains; preload"},
		"turned off":                       {"hsts: {max_age: 0s}", "/", ""},
		"turned off, the application's":    {"hsts: {max_age: 0s}", "/?own=max-age%3D1", "max-age=1"},
		"of a shorter time":                {"hsts: {max_age: 1m}", "/", "max-age=60"},
		"not by default behind a proxy":    {"listen: \"127.0.0.1:0\"", "/", ""},
		"behind a proxy where it is asked": {"listen: \"127.0.0.1:0\"\n  hsts: {max_age: 1m}", "/", "max-age=60"},
	} {
		t.Run(name, func(t *testing.T) {
			secure := !strings.Contains(c.server, "listen")
			server := c.server
			if secure {
				server = fmt.Sprintf("listen: \"127.0.0.1:0\"\n  tls: {cert_file: %s, key_file: %s}\n  %s", certFile, keyFile, c.server)
			}
			g := run(t, fmt.Sprintf(`
server:
  public_url: https://app.example.test
  %s
admin: {listen: ""}
session: {embedded: {path: ""}}
login: {providers: [{name: corp, type: oidc, issuer: "http://127.0.0.1:1", client_id: app}]}
routes:
  - {name: app, upstream: %q, public: true}
  - {name: protected, paths: [/protected], upstream: %q, policy: authenticated}
`, server, app.URL, app.URL))
			client := &http.Client{Timeout: patience, Transport: &http.Transport{
				DisableKeepAlives: true,
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					var d net.Dialer
					return d.DialContext(ctx, "tcp", g.Addr().String())
				},
				DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					if !secure { // as a proxy that ends TLS
						var d net.Dialer
						return d.DialContext(ctx, "tcp", g.Addr().String())
					}
					d := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "app.example.test", MinVersion: tls.VersionTLS12}}
					return d.DialContext(ctx, "tcp", g.Addr().String())
				},
			}}
			res, err := client.Get("https://app.example.test" + c.target)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got := strings.Join(res.Header["Strict-Transport-Security"], " | "); got != c.want {
				t.Errorf("%s says %q", res.Status, got)
			}
		})
	}
}

// TestClientBehindTheProxyProtocol: policies, the log and the application see the
// client that the header names. His X-Forwarded-For is his own invention, though the
// proxy is a trusted one.
func TestClientBehindTheProxyProtocol(t *testing.T) {
	app := newRecorder(t)
	g := run(t, fmt.Sprintf(`
server:
  public_url: http://localhost:8080
  trusted_proxies: [127.0.0.1]
  listeners: [{listen: "127.0.0.1:0", proxy_protocol: true}]
admin: {listen: ""}
session: {embedded: {path: ""}}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
policies: [{name: inside, rules: [{name: inside, allow: {cidr: [10.0.0.0/8]}}]}]
routes:
  - {name: app, upstream: "http://%s", public: true}
  - {name: inside, paths: [/inside], upstream: "http://%s", policy: inside}
`, app.addr, app.addr))
	from := func(addr string) string { return "PROXY TCP4 " + addr + " 192.0.2.1 5555 443\r\n" }
	const spoofed = "Host: localhost\r\nX-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\nConnection: close\r\n"

	sendTo(t, at(g, 0), from("203.0.113.7")+"GET / HTTP/1.1\r\n"+spoofed+"\r\n")
	got := app.take()
	if len(got) != 1 || strings.Join(got[0].header("X-Forwarded-For"), ",") != "203.0.113.7" || len(got[0].header("X-Real-IP")) != 0 {
		t.Errorf("the application received %v", got)
	}
	const form = "provider=dev&username=alice"
	signIn := sendTo(t, at(g, 0), from("203.0.113.7")+fmt.Sprintf("POST /.auth/login HTTP/1.1\r\n%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", spoofed, len(form), form))
	if len(signIn.Cookies()) == 0 {
		t.Fatalf("sign-in: %d\n%s", signIn.StatusCode, signIn.text)
	}
	cookie := "Cookie: " + signIn.Cookies()[0].Name + "=" + signIn.Cookies()[0].Value + "\r\n"
	for addr, want := range map[string]int{"10.1.2.3": 200, "203.0.113.7": 403} {
		if a := sendTo(t, at(g, 0), from(addr)+"GET /inside HTTP/1.1\r\n"+spoofed+cookie+"\r\n"); a.StatusCode != want {
			t.Errorf("from %s: %d", addr, a.StatusCode)
		}
	}
	for _, text := range []string{"GET / HTTP/1.1\r\n" + spoofed + "\r\n", "PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n" + spoofed + "\r\n"} {
		app.take()
		if a := sendTo(t, at(g, 0), text); a.StatusCode != 0 || len(app.take()) != 0 {
			t.Errorf("%q was answered with %d", text, a.StatusCode)
		}
	}
	if text := metricsOf(t, g); !strings.Contains(text, `sallyport_connections_refused_total{reason="bad_proxy_header"} 2`) {
		t.Error("they are not counted")
	}
}

func TestCertificatesAreOnTheMetricsPage(t *testing.T) {
	certFile, keyFile, _ := certificate(t, "app.example.test")
	g := run(t, fmt.Sprintf(`
server: {listen: "127.0.0.1:0", public_url: "https://app.example.test", tls: {cert_file: %s, key_file: %s}}
admin: {listen: ""}
session: {embedded: {path: ""}}
routes: [{name: app, upstream: "builtin:echo", public: true}]
`, certFile, keyFile))
	text := metricsOf(t, g)
	for _, want := range []string{fmt.Sprintf("sallyport_tls_certificate_expiry_seconds{certificate=%q} ", certFile), "sallyport_open_connections 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %s", want)
		}
	}
}

// TestEveryListenerServesTheSameGateway: one session, by TLS and without.
func TestEveryListenerServesTheSameGateway(t *testing.T) {
	certFile, keyFile, pool := certificate(t, "localhost")
	g := run(t, fmt.Sprintf(`
server:
  public_url: https://localhost:8443
  tls: {cert_file: %s, key_file: %s}
  listeners: [{listen: "127.0.0.1:0"}, {name: inside, listen: "127.0.0.1:0", plain: true}]
admin: {listen: ""}
session: {embedded: {path: ""}}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
routes: [{name: app, upstream: "builtin:echo", policy: authenticated}]
`, certFile, keyFile))
	const form = "provider=dev&username=alice"
	in := sendTo(t, at(g, 1), fmt.Sprintf("POST /.auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(form), form))
	if len(in.Cookies()) == 0 {
		t.Fatalf("sign-in: %d\n%s", in.StatusCode, in.text)
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+at(g, 0)+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "localhost:8443"
	req.AddCookie(in.Cookies()[0])
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var echo struct{ Headers [][2]string }
	if err := json.NewDecoder(res.Body).Decode(&echo); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", res.Status, err)
	}
	if !strings.Contains(fmt.Sprint(echo.Headers), "[X-Forwarded-User alice]") {
		t.Errorf("the application got %v", echo.Headers)
	}
}

// TestCertificateFromAnAuthority: a gateway without any certificate proves its domain
// over its own listeners, and is secure a moment later.
func TestCertificateFromAnAuthority(t *testing.T) {
	redirect, secure := porttest.Free(t), porttest.Free(t)
	a := acmetest.New(t, redirect, secure)
	g := run(t, fmt.Sprintf(`
server:
  public_url: https://app.example.test
  listeners: [{listen: "127.0.0.1:%d"}, {listen: "127.0.0.1:%d", redirect_https: true}]
  tls: {acme: {domains: [app.example.test], accept_terms: true, directory_url: %q, ca_file: %q, storage: %q}}
admin: {listen: ""}
session: {embedded: {path: ""}}
routes: [{name: app, upstream: "builtin:echo", public: true}]
`, secure, redirect, a.Directory, a.CAFile, t.TempDir()))
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: a.Roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", at(g, 0))
		},
	}}
	defer client.CloseIdleConnections()
	var res *http.Response
	poll(t, "a certificate", func() bool {
		var err error
		res, err = client.Get("https://app.example.test/")
		return err == nil
	})
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s, %v", res.Status, res.Header)
	}
	if !strings.Contains(metricsOf(t, g), `sallyport_tls_certificate_expiry_seconds{certificate="app.example.test"} `) {
		t.Error("its end is not on the metrics page")
	}
	// Paths of proofs that nobody asked for are sent on like any other.
	b := sendTo(t, at(g, 1), "GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n")
	if b.StatusCode != http.StatusPermanentRedirect {
		t.Errorf("for a proof of nobody: %d\n%s", b.StatusCode, b.text)
	}
}
