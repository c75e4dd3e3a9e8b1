package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// patience bounds every wait for the network. It is never a measure: a test
// that runs into it has failed.
const patience = 20 * time.Second

const (
	tokenIssuer   = "https://op1.test"
	tokenAudience = "api://app"
	upstreamSays  = "this text is the application's"
)

// site is a whole gateway on a loopback socket, in front of an application
// that records what it receives, byte by byte. alice is in users, root in
// users and admin, mallory in users.
type site struct {
	gw       *gateway.Gateway
	addr     string
	host     string // the Host header that browsers send
	cookie   string // name of the session cookie
	upstream *recorder
	log      *observer.ObservedLogs
	logText  *lockedBuffer // the same, as the JSON that operators get
	signer   *jose.Signer
	stop     func() error // ends the gateway, and returns what Run did

	file string // of the configuration, where it is followed
	keys string // the file of the issuer's keys
	plan plan   // of the file at the start

	mu       sync.Mutex
	sessions map[string]string
}

// plan is what differs between sites.
type plan struct {
	publicURL  string // default http://localhost:8080
	trusted    string // a YAML list
	session    string // YAML members of session
	limits     string // YAML members of server.limits
	server     string // more YAML members of server
	listeners  string // a YAML list, in place of the one listener
	policies   string // more YAML list items
	routes     string // more YAML list items
	identities string // more YAML list items
	providers  string // more YAML list items
	login      string // more YAML members of login
	issuers    string // more YAML list items of tokens.issuers
	tokens     string // more YAML members of tokens
	adminToken string // a file; "" turns the admin API off
	admin      string // more YAML members of admin
	upstream   string // default: the recorder
	top        string // more YAML sections
	followed   bool   // the configuration is a file, and is followed
}

func newSite(t *testing.T, p plan) *site {
	t.Helper()
	p.publicURL = orDefault(p.publicURL, "http://localhost:8080")
	s := &site{upstream: newRecorder(t), sessions: map[string]string{}}
	p.upstream = orDefault(p.upstream, "http://"+s.upstream.addr)
	p.routes = strings.ReplaceAll(p.routes, "$UP", p.upstream)

	var err error
	if s.signer, err = jose.NewSigner("ES256", "k1"); err != nil {
		t.Fatal(err)
	}
	jwks, err := s.signer.PublicJWKS()
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(keys, jwks, 0o600); err != nil {
		t.Fatal(err)
	}

	yaml := siteYAML(&p, keys)
	cfg, err := config.Parse("site.yaml", []byte(yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.followed {
		s.file, s.keys, s.plan = filepath.Join(t.TempDir(), "site.yaml"), keys, p
		s.write(t, yaml)
	}
	s.start(t, cfg)
	return s
}

// start runs the gateway of a configuration until the test ends.
func (s *site) start(t *testing.T, cfg *config.Config) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s.log, s.logText = logs, &lockedBuffer{}
	written, level, err := telemetry.NewTunedLogger(config.Log{Level: "debug", Format: "json"}, s.logText)
	if err != nil {
		t.Fatal(err)
	}
	if s.gw, err = gateway.New(t.Context(), cfg, zap.New(zapcore.NewTee(core, written.Core())), "test"); err != nil {
		t.Fatal(err)
	}
	if s.file != "" {
		s.gw.FollowFile(s.file, nil, level)
	}
	if err := s.gw.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.addr = s.gw.Addr().String()
	s.host = cfg.Server.URL().Host
	s.cookie = "sp"
	if cfg.Server.Secure() {
		s.cookie = "__Host-sp"
	}

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.gw.Run(ctx) }()
	s.stop = sync.OnceValue(func() error { seeMetrics(t, s.gw); stop(); return <-ended })
	t.Cleanup(func() {
		if s.upstream != nil {
			s.upstream.stop() // first: it may keep requests waiting
		}
		if err := s.stop(); err != nil {
			t.Errorf("the gateway ended with: %v", err)
		}
	})
}

// lockedBuffer is a log that is read while others write it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func siteYAML(p *plan, keys string) string {
	listen := "listen: 127.0.0.1:0"
	if p.listeners != "" {
		listen = "listeners: [" + p.listeners + "]"
	}
	return strings.NewReplacer(
		"$TOP", p.top,
		"$LISTEN", listen,
		"$PUBLIC", p.publicURL, "$TRUSTED", p.trusted, "$LIMITS", p.limits, "$SERVER", p.server, "$SESSION", p.session,
		"$IDENTITIES", p.identities, "$PROVIDERS", p.providers, "$LOGIN", p.login, "$POLICIES", p.policies, "$ROUTES", p.routes, "$UP", p.upstream,
		"$TOKENS", p.tokens, "$ADMIN_TOKEN", p.adminToken, "$ADMIN_MORE", p.admin,
		"$ISSUERS", p.issuers, "$ISSUER", tokenIssuer, "$AUDIENCE", tokenAudience, "$KEYS", keys,
	).Replace(`
server:
  $LISTEN
  public_url: $PUBLIC
  trusted_proxies: [$TRUSTED]
  limits: {$LIMITS}
  $SERVER
admin: {listen: "", token_file: "$ADMIN_TOKEN", $ADMIN_MORE}
session: {embedded: {path: ""}, $SESSION}
login:
  providers:
    - name: dev
      type: dev
      identities:
        - {subject: alice, email: alice@example.test, groups: [users]}
        - {subject: root, email: root@example.test, groups: [users, admin]}
        - {subject: mallory, groups: [users]}
        $IDENTITIES
    $PROVIDERS
  $LOGIN
tokens:
  issuers:
    - {issuer: "$ISSUER", audiences: ["$AUDIENCE", "api://b"], algorithms: [ES256], jwks_file: "$KEYS", groups_claim: groups}
    $ISSUERS
  $TOKENS
policies:
  - {name: users, rules: [{name: users, allow: {groups: [users]}}]}
  - {name: admins, rules: [{name: admins, allow: {groups: [admin]}}]}
  $POLICIES
routes:
  - {name: app, paths: [/], upstream: "$UP", policy: authenticated}
  - {name: public, paths: [/public/, "~^/pub/[a-z]+"], upstream: "$UP", public: true}
  - {name: endpoint, paths: ["~^/shared/.*/endpoint"], upstream: "$UP", public: true}
  - {name: admin, paths: [/admin/], upstream: "$UP", policy: admins}
  - {name: api, paths: [/api/], upstream: "$UP", auth: [bearer], policy: authenticated, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: both, paths: [/both/], upstream: "$UP", auth: [session, bearer], policy: users, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: own-authorization, paths: [/own/], upstream: "$UP", policy: users, upstream_authorization: true}
  - {name: ws, paths: [/ws/], upstream: "$UP", policy: users}
  - {name: read, paths: [/rw/], methods: [GET, HEAD], upstream: "$UP", policy: users}
  - {name: write, paths: [/rw/], methods: [POST, PUT, DELETE], upstream: "$UP", policy: admins}
  - {name: drive, paths: [/drive/], upstream: "$UP", policy: users, allow_encoded_slash: true}
  - {name: drive-admin, paths: [/drive/admin/], upstream: "$UP", policy: admins, allow_encoded_slash: true}
  - {name: admin-host, hosts: [admin.localhost], paths: [/], upstream: "$UP", policy: admins}
  - {name: wild-host, hosts: ["*.localhost"], paths: [/], upstream: "$UP", policy: users}
  $ROUTES
$TOP
`)
}

// signIn returns the Cookie header value of a session of user.
func (s *site) signIn(t *testing.T, user string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ck, ok := s.sessions[user]; ok {
		return ck
	}
	ck := s.newSession(t, user, "")
	s.sessions[user] = ck
	return ck
}

// newSession signs user in with what the browser already holds.
func (s *site) newSession(t *testing.T, user, browserCookies string) string {
	t.Helper()
	var lines []string
	if browserCookies != "" {
		lines = append(lines, "Cookie: "+browserCookies)
	}
	a := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {user}}, lines...)
	if a.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign-in of %s: %d\n%s", user, a.StatusCode, a.text)
	}
	for _, ck := range a.Cookies() {
		if ck.Name == s.cookie {
			return ck.Name + "=" + ck.Value
		}
	}
	t.Fatalf("sign-in of %s set no session cookie: %v", user, a.Header)
	return ""
}

func (s *site) post(t *testing.T, target string, form url.Values, lines ...string) answer {
	t.Helper()
	body := form.Encode()
	lines = append([]string{
		"Content-Type: application/x-www-form-urlencoded",
		fmt.Sprintf("Content-Length: %d", len(body)), "Connection: close",
	}, lines...)
	return s.raw(t, s.request("POST", target, lines...)+body)
}

// token makes a bearer token of the accepted issuer. Claims of the argument
// replace the good ones; nil removes them.
func (s *site) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	all := map[string]any{
		"iss": tokenIssuer, "aud": tokenAudience, "sub": "caller",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	for name, v := range claims {
		if v == nil {
			delete(all, name)
		} else {
			all[name] = v
		}
	}
	token, err := s.signer.Sign("at+jwt", all)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// as sends a GET with the cookie of a user; nobody's for "".
func (s *site) as(t *testing.T, user, target string, lines ...string) answer {
	t.Helper()
	if user != "" {
		lines = append(lines, "Cookie: "+s.signIn(t, user))
	}
	return s.raw(t, s.request("GET", target, append(lines, "Connection: close")...))
}

// denied asserts that the answer is a refusal, that nothing came to the
// application and nothing from it.
func (s *site) denied(t *testing.T, a answer, statuses ...int) {
	t.Helper()
	if len(statuses) == 0 {
		statuses = []int{0, 302, 303, 400, 401, 403, 404, 405, 421, 431, 501, 502, 503}
	}
	if !slices.Contains(statuses, a.StatusCode) {
		t.Errorf("the answer is %d, want one of %v\n%.300s", a.StatusCode, statuses, a.text)
	}
	if strings.Contains(a.text, upstreamSays) {
		t.Error("the answer is the application's")
	}
	for _, got := range s.upstream.take() {
		t.Errorf("the application received:\n%s", got.raw)
	}
}

// passed asserts that the application answered, and returns the one request
// that it received.
func (s *site) passed(t *testing.T, a answer) received {
	t.Helper()
	got := s.upstream.take()
	if a.StatusCode != http.StatusOK || len(got) != 1 {
		t.Fatalf("the answer is %d and the application received %d requests, want 200 and one\n%.300s", a.StatusCode, len(got), a.text)
	}
	return got[0]
}

// browser is an HTTP client that is on its way to the gateway whatever host
// it asks for, and follows no redirect.
func (s *site) browser() *http.Client {
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", s.addr)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// http2 serves the same handler by TLS and HTTP/2, and returns a client for it.
func (s *site) http2(t *testing.T) (client *http.Client, base string) {
	t.Helper()
	server := httptest.NewUnstartedServer(s.gw.Handler())
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Client(), server.URL
}

// poll asks until done says so, as often as a ticker of a few milliseconds.
func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("still waiting: " + what)
		}
	}
}
