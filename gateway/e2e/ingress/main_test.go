//go:build e2e

package ingress_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// patience bounds every wait. It is never a measure.
const patience = 20 * time.Second

// operator is the token of the admin API.
const operator = "the-token-of-the-operators-0123456789"

// sallyport is the binary of the gateway, which all tests share.
var sallyport string

func TestMain(m *testing.M) { os.Exit(env.Main(m, &sallyport)) }

// site is an application behind a proxy that asks a gateway. alice is staff and may
// come in, carol may not.
type site struct {
	name    string // of the folder in deploy/
	url     string // what people type
	host    string // host:port of url
	app     *application
	way     *env.TCPProxy // between the proxy and the gateway
	gateway *env.Gateway
	client  *http.Client // follows nothing

	dir     string
	at      env.Addresses
	environ []string
	tls     *tls.Config // of clients; nil on http
}

// start runs the files of a folder in deploy/. environ is more of the gateway's
// environment. With a CA, people type https.
func start(t *testing.T, name string, ca *tlstest.CA, environ ...string) *site {
	t.Helper()
	port := strconv.Itoa(porttest.Free(t))
	s := &site{
		name: name, url: "http://localhost:" + port, host: "localhost:" + port,
		dir: t.TempDir(), at: env.Reserve(t), app: startApplication(t),
	}
	a := addresses{listen: "127.0.0.1:" + port, application: s.app.addr}
	if ca != nil {
		pair := ca.Server("localhost")
		a.cert, a.key = pair.CertFile, pair.KeyFile
		s.url, s.tls = "https://"+s.host, &tls.Config{RootCAs: ca.Pool()}
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64, TLSClientConfig: s.tls, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	env.WriteFile(t, s.dir, "config.yaml", deployed(t, name, "config.yaml"))
	token := env.WriteFile(t, s.dir, "operator", operator)
	s.environ = append([]string{"SALLYPORT_SERVER__PUBLIC_URL=" + s.url, "SALLYPORT_ADMIN__TOKEN_FILE=" + token}, environ...)
	if name == "traefik" { // whose files are for another network, and for people of a provider
		s.environ = append(s.environ, "SALLYPORT_SERVER__TRUSTED_PROXIES=[127.0.0.1]",
			"SALLYPORT_LOGIN__PROVIDERS=[{name: dev, type: dev, identities: [{subject: alice, email: alice@example.com, groups: [staff]}, {subject: carol}]}]")
	}
	s.startGateway(t)
	s.way = env.StartTCPProxy(t, strings.TrimPrefix(strings.Replace(s.at.URL(), "localhost", "127.0.0.1", 1), "http://"))
	a.sallyport = s.way.Addr
	runProxy(t, name, a)
	return s
}

// startGateway starts it, at first or again.
func (s *site) startGateway(t *testing.T) {
	t.Helper()
	s.gateway = env.StartGateway(t, sallyport, s.dir, s.at, s.environ...)
}

// deployed is a file of deploy/.
func deployed(t *testing.T, name, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", name, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// signIn returns the session cookie of a new session, as name=value.
func (s *site) signIn(t *testing.T, user string) string {
	t.Helper()
	a := s.send(t, "POST", "/.auth/login", url.Values{"provider": {"dev"}, "username": {user}}.Encode(), "Content-Type: application/x-www-form-urlencoded")
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if strings.HasSuffix(c.Name, "sp") && a.status == http.StatusSeeOther {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("sign-in as %s: %d %s", user, a.status, a.body)
	return ""
}

// dial opens a connection to the proxy.
func (s *site) dial(t *testing.T) net.Conn {
	t.Helper()
	dialer := net.Dialer{Timeout: patience}
	c, err := dialer.DialContext(t.Context(), "tcp", strings.Replace(s.host, "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if s.tls != nil {
		config := s.tls.Clone()
		config.ServerName = "localhost"
		c = tls.Client(c, config)
	}
	return c
}
