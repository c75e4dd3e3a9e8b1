//go:build e2e

package carry_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/porttest"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// patience bounds every wait. It is never a measure: a test that runs into it
// has failed.
const patience = 20 * time.Second

// sallyport is the binary of the gateway, which all tests share.
var sallyport string

func TestMain(m *testing.M) { os.Exit(env.Main(m, &sallyport)) }

// gate is a running gateway where alice, who is staff, and bob can sign in.
type gate struct {
	*env.Process
	dir      string
	URL      string // https where it has a certificate
	AdminURL string
	Host     string       // host:port of URL
	CA       *tlstest.CA  // who signed its certificate; nil without one
	client   *http.Client // HTTP/1.1, follows nothing
}

// plan is what differs between gateways.
type plan struct {
	tls     bool
	ca      *tlstest.CA // default: one of its own
	routes  string      // YAML list items
	server  string      // more YAML members of server
	session string      // YAML members of session; default: the store is in memory
	issuer  string      // one more YAML list item of tokens.issuers
	admin   string      // more YAML members of admin
}

const (
	tokenIssuer = "https://id.example.test"
	tokenSecret = "0123456789abcdef0123456789abcdef"
)

func start(t *testing.T, p plan) *gate {
	t.Helper()
	public, admin := porttest.Free(t), porttest.Free(t)
	if p.session == "" {
		p.session = `{store: embedded, embedded: {path: ""}}`
	}
	g := &gate{
		dir: t.TempDir(),
		URL: "http://localhost:" + strconv.Itoa(public), AdminURL: "http://127.0.0.1:" + strconv.Itoa(admin),
		Host: "localhost:" + strconv.Itoa(public),
	}
	if p.tls {
		if p.ca == nil {
			p.ca = tlstest.New(t)
		}
		g.CA, g.URL = p.ca, strings.Replace(g.URL, "http:", "https:", 1)
		pair := g.CA.Server("localhost", "127.0.0.1")
		p.server += fmt.Sprintf("\n  tls: {cert_file: %q, key_file: %q}", pair.CertFile, pair.KeyFile)
	}
	env.WriteFile(t, g.dir, "config.yaml", fmt.Sprintf(`
server:
  listen: 127.0.0.1:%d
  public_url: %s
  %s
admin: {listen: 127.0.0.1:%d%s}
session: %s
login:
  providers: [{name: dev, type: dev, identities: [{subject: alice, groups: [staff]}, {subject: bob}]}]
tokens:
  issuers:
    - {issuer: %q, audiences: [api], secret: %s}
    %s
policies: [{name: staff, rules: [{name: staff only, allow: {groups: [staff]}}]}]
routes:
%s
log: {level: info}
`, public, g.URL, p.server, admin, p.admin, p.session, tokenIssuer, tokenSecret, p.issuer, p.routes))
	g.client = g.speak(t, "http/1.1")
	g.launch(t)
	return g
}

// launch starts the gateway, at first or again.
func (g *gate) launch(t *testing.T) {
	t.Helper()
	g.Process = env.Start(t, g.dir, nil, sallyport)
	g.WaitHTTP(g.AdminURL + "/livez")
}

// speak makes a client that speaks one protocol alone: http/1.1, h2 or h2c. It
// follows no redirects, and has no limit of time.
func (g *gate) speak(t *testing.T, protocol string) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, ExpectContinueTimeout: patience}
	if g.CA != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: g.CA.Pool()}
	}
	switch protocol {
	case "http/1.1":
		transport.Protocols.SetHTTP1(true)
	case "h2":
		transport.Protocols.SetHTTP2(true)
	case "h2c":
		transport.Protocols.SetUnencryptedHTTP2(true)
	default:
		t.Fatalf("there is no %s", protocol)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dial opens a connection that speaks HTTP/1.1, with TLS where the gateway does.
func (g *gate) dial(t *testing.T) net.Conn {
	t.Helper()
	dialer := net.Dialer{Timeout: patience}
	var c net.Conn
	var err error
	if g.CA == nil {
		c, err = dialer.DialContext(t.Context(), "tcp", g.Host)
	} else {
		c, err = tls.DialWithDialer(&dialer, "tcp", g.Host, &tls.Config{RootCAs: g.CA.Pool(), NextProtos: []string{"http/1.1"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// signIn returns the session cookie of a new session, as name=value.
func (g *gate) signIn(t *testing.T, user string) string {
	t.Helper()
	res, err := g.client.PostForm(g.URL+"/.auth/login", url.Values{"provider": {"dev"}, "username": {user}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if strings.HasSuffix(c.Name, "sp") && res.StatusCode == http.StatusSeeOther {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("sign-in as %s: %d", user, res.StatusCode)
	return ""
}

// signOut ends a session.
func (g *gate) signOut(t *testing.T, cookie string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/.auth/logout", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign-out: %d", res.StatusCode)
	}
}

// bearer makes an access token of alice, who is staff, or of somebody else.
func bearer(t *testing.T, subject string) string {
	t.Helper()
	signer, err := jose.NewSecretSigner("HS256", "", []byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	groups := map[string][]string{"alice": {"staff"}}[subject]
	token, err := signer.Sign("at+jwt", map[string]any{
		"groups": groups, "iss": tokenIssuer, "aud": "api", "sub": subject, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// application is an upstream over HTTP/1.1, and h2c where its URL says so.
func application(t *testing.T, h http.HandlerFunc) (url string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections) // first: a failed test leaves requests behind
	return srv.URL
}

// once is how soon the contract wants something to have ended, with the slack that
// a machine needs on which other tests run.
const once = 2 * time.Second

// within fails unless the channel gives something soon.
func within[T any](t *testing.T, limit time.Duration, what string, c <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(limit):
		t.Fatalf("not within %v: %s", limit, what)
	}
	return got
}
