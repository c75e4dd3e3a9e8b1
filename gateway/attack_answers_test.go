package gateway_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/proxy"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/gateway/upstream"
	"github.com/sallyport/sallyport/policy"
)

// clients are the ways in which a request shows who sends it.
func clients() map[string][]string {
	return map[string][]string{
		"navigation":     {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none", "Accept: text/html"},
		"old browser":    {"Accept: text/html,application/xhtml+xml,*/*;q=0.8"},
		"program":        nil,
		"JSON client":    {"Accept: application/json"},
		"XMLHttpRequest": {"Accept: text/html, */*", "X-Requested-With: XMLHttpRequest"},
		"fetch":          {"Accept: */*", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin"},
		"fetch of HTML":  {"Accept: text/html", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin"},
		"image":          {"Accept: text/html", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"},
		"frame":          {"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"},
		"prefetch":       {"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Purpose: prefetch"},
		"WebSocket":      handshake("Accept: text/html", "Origin: http://localhost:8080"),
		"no gRPC client": {"Content-Type: application/grpc", "TE: trailers"}, // those speak HTTP/2, and POST
	}
}

func isPerson(client string) bool { return client == "navigation" || client == "old browser" }

// TestEachClientGetsTheAnswerThatItUnderstands is the table of answers: pages and
// redirects for people, problem documents for programs, statuses for gRPC.
func TestEachClientGetsTheAnswerThatItUnderstands(t *testing.T) {
	s := newSite(t, plan{})
	for name, c := range map[string]struct {
		user, target string
		lines        []string
		status       int
		reason       string
	}{
		"no credential":         {"", "/app?a=b", nil, 401, "no_credential"},
		"a bad cookie":          {"", "/app", []string{"Cookie: sp=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, 401, "no_credential"},
		"proven, not allowed":   {"alice", "/admin/x", nil, 403, "no_rule_matched"},
		"a malformed request":   {"alice", "/x/..", nil, 400, "ambiguous_path"},
		"another host":          {"alice", "/app", []string{"Host: unknown.test"}, 421, "unknown_host"},
		"no such own endpoint":  {"alice", "/.auth/nothing", nil, 404, "no_route"},
		"a token where no such": {"", "/api/", []string{"Authorization: Bearer a.b.c"}, 401, "malformed_token"},
	} {
		for client, lines := range clients() {
			t.Run(name+" to "+client, func(t *testing.T) {
				a := s.as(t, c.user, c.target, append(slices.Clone(lines), c.lines...)...)
				judgeAnswer(t, a, client, c.status, c.reason)
				s.denied(t, a, a.StatusCode)
			})
		}
	}
}

func judgeAnswer(t *testing.T, a answer, client string, status int, reason string) {
	t.Helper()
	h := a.Header
	switch {
	case status == 401 && isPerson(client) && reason == "no_credential":
		location, err := url.Parse(h.Get("Location"))
		if a.StatusCode != http.StatusFound || err != nil || location.Path != "/.auth/login" || location.Host != "" {
			t.Errorf("the answer is %d to %q, want 302 to the sign-in", a.StatusCode, h.Get("Location"))
		}
	case isPerson(client):
		if a.StatusCode != status || !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
			t.Errorf("the answer is %d %s, want a page with %d", a.StatusCode, h.Get("Content-Type"), status)
		}
	default:
		var p struct {
			Status            int
			Reason, RequestID string
			LoginURL          string `json:"login_url"`
		}
		if err := json.Unmarshal([]byte(a.text), &p); err != nil {
			t.Fatalf("%d: %v in %q", a.StatusCode, err, a.text)
		}
		if a.StatusCode != status || p.Status != status || p.Reason != reason || h.Get("Content-Type") != "application/problem+json" || h.Get("Location") != "" {
			t.Errorf("the answer is %d %v %+v, want %d %s", a.StatusCode, h, p, status, reason)
		}
		if status == 401 && h.Get("WWW-Authenticate") == "" {
			t.Error("a 401 without WWW-Authenticate")
		}
		if len(h["Set-Cookie"]) != 0 {
			t.Errorf("a program got a cookie: %v", h["Set-Cookie"])
		}
	}
}

// TestGRPCClientsGetAStatusOfTheirOwn: HTTP 200 with the status beside it. Only
// they do: whoever else reads a 200 takes it for a yes.
func TestGRPCClientsGetAStatusOfTheirOwn(t *testing.T) {
	s := newSite(t, plan{})
	client, base := s.http2(t)
	call := func(target, user string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+target, strings.NewReader("\x00\x00\x00\x00\x00"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = s.host
		req.Header = http.Header{"Content-Type": {"application/grpc+proto"}, "Te": {"trailers"}}
		if user != "" {
			req.Header.Set("Cookie", s.signIn(t, user))
		}
		return client.Do(req)
	}
	for target, want := range map[string]struct{ user, status, reason string }{
		"/app.Service/Call":       {"", "16", "no_credential"},
		"/admin/app.Service/Call": {"alice", "7", "no_rule_matched"},
		"/x/../Call":              {"alice", "3", "ambiguous_path"},
	} {
		res, err := call(target, want.user)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Get("Grpc-Status"); res.StatusCode != http.StatusOK || got != want.status || res.Header.Get("Grpc-Message") != want.reason {
			t.Errorf("%s: %d with grpc-status %s %s", target, res.StatusCode, got, res.Header.Get("Grpc-Message"))
		}
	}
	for _, target := range []string{"/.auth/check/nginx", "/.auth/me", "/.auth/login"} {
		res, err := call(target, "")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("%s answers %d", target, res.StatusCode)
		}
	}
	if got := s.upstream.take(); len(got) != 0 {
		t.Errorf("the application received %q", got)
	}
}

// TestOnlyNavigationsStartASignIn: other methods, other clients, and a body.
func TestOnlyNavigationsStartASignIn(t *testing.T) {
	s := newSite(t, plan{})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
		for client, lines := range clients() {
			a := s.raw(t, s.request(method, "/app", append([]string{"Content-Length: 0", "Connection: close"}, lines...)...))
			s.denied(t, a, http.StatusUnauthorized)
			if a.Header.Get("Location") != "" || len(a.Header["Set-Cookie"]) != 0 {
				t.Errorf("%s by %s: %v", method, client, a.Header)
			}
		}
	}
	for _, lines := range [][]string{{}, {"Content-Type: x\"'><script>"}, {"Content-Type: multipart/form-data; boundary=x"}} {
		lines = append(lines, "Content-Length: 100000", "Connection: close")
		a := s.raw(t, s.request("POST", "/app", lines...)+strings.Repeat("planted", 100000/7)+"planted")
		if a.StatusCode != 0 {
			s.denied(t, a, http.StatusUnauthorized)
		}
		if strings.Contains(a.text, "planted") || strings.Contains(a.text, "<script>") {
			t.Errorf("the answer repeats the request:\n%s", a.text)
		}
	}
	head := s.raw(t, s.request("HEAD", "/app", "Accept: text/html", "Connection: close"))
	s.denied(t, head, http.StatusFound)
	if got := head.Header.Get("Location"); got != "/.auth/login?return_to=%2Fapp" {
		t.Errorf("HEAD is sent to %q", got)
	}
}

// TestSignInComesBackToTheVeryURL: for every URL that the application would have
// got, byte by byte, and never to another host.
func TestSignInComesBackToTheVeryURL(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{"/app?a=b&c=d", "/app?x=%2F..%2F&y=%26", "/a%20b", "/app//x", "/app;v=1", "/app?", "/%E4%BD%A0", "/app?q=a+b", "/"} {
		a := s.as(t, "", target, "Accept: text/html")
		s.denied(t, a, http.StatusFound)
		location, err := url.Parse(a.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		if got := location.Query().Get("return_to"); got != target {
			t.Errorf("%q is remembered as %q", target, got)
		}
		in := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}, "return_to": {location.Query().Get("return_to")}})
		if got := in.Header.Get("Location"); got != target {
			t.Errorf("%q is come back to as %q", target, got)
		}
	}
	for _, target := range []string{"//evil.test/x", "///evil.test", "/\\evil.test", "//evil.test@localhost:8080/"} {
		a := s.as(t, "", target, "Accept: text/html")
		if a.StatusCode != http.StatusFound {
			s.denied(t, a, http.StatusBadRequest)
			continue
		}
		location, err := url.Parse(a.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		back, err := url.Parse(location.Query().Get("return_to"))
		if err != nil || location.Host != "" || back.Host != "" && back.Host != s.host {
			t.Errorf("%q leads to %q", target, a.Header.Get("Location"))
		}
	}
}

// verdictOf is an authenticator that answers as it is told.
type verdictOf struct {
	kind authn.Kind
	id   *identity.Identity
	err  error
}

func (v verdictOf) Kind() authn.Kind { return v.kind }

func (v verdictOf) Extract(*http.Request) (authn.Credential, error) {
	return authn.Credential{Kind: v.kind, Active: true}, nil
}

func (v verdictOf) Authenticate(context.Context, authn.Credential) (*identity.Identity, error) {
	return v.id, v.err
}

func (v verdictOf) Strip(http.Header) {}

func newRing(tb testing.TB) *session.Keyring {
	tb.Helper()
	secret := make([]byte, session.KeySize)
	rand.Read(secret)
	ring, err := session.NewKeyring(secret)
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

// frontOf serves one route behind a single authenticator.
func frontOf(t *testing.T, a authn.Authenticator, rules []policy.Rule, set []config.Header, app string) http.Handler {
	t.Helper()
	compiled, err := headers.Compile(set, headers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := policy.NewEngine(policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := engine.Compile(policy.Policy{Name: "test", Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	settings := config.Route{Name: "app", Upstream: config.Upstreams{app}}
	pool, err := upstream.New(upstream.Options{Route: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	rt := &route.Route{Name: "app", Auth: authn.Order(authn.Chain{a}), Policy: pol, Headers: compiled}
	table, err := route.NewTable([]route.Entry{{Route: rt, Paths: []string{"/"}}}, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	cookies := session.NewCookies(config.Server{PublicURL: "http://localhost:8080"}, config.Session{}, newRing(t))
	front, err := proxy.New(proxy.Options{
		Guard: guard.New(guard.Options{Routes: table, Cookies: cookies, Scheme: "http"}),
		Challenge: func(*http.Request, *guard.Verdict) guard.Prompt {
			return guard.Prompt{Location: "/.auth/login", WWWAuthenticate: []string{"Test"}, LoginURL: "/.auth/login"}
		},
		Targets: map[*route.Route]*proxy.Target{rt: {Pool: pool, Settings: settings}}, Scheme: "http", Metrics: telemetry.NewMetrics("test"), Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return (&httperr.Edge{}).Handle(front.Serve)
}

// TestOutageIsNeverAnAnswer: a store that can't be asked says neither yes nor
// no. Nobody is let in, nobody is sent to sign in, nobody's cookie is deleted.
func TestOutageIsNeverAnAnswer(t *testing.T) {
	app := newRecorder(t)
	everybody := []policy.Rule{{Name: "all", Allow: &policy.Match{Groups: []string{"users"}}}}
	for name, err := range map[string]error{
		"refused":           errors.New("dial 10.1.2.3:6379: connection refused"),
		"out of time":       context.DeadlineExceeded,
		"with an identity":  errors.New("half an answer"),
		"a wrapped timeout": errors.Join(errors.New("keys of https://op1.test"), context.DeadlineExceeded),
	} {
		for _, kind := range []authn.Kind{authn.KindSession, authn.KindBearer} {
			fake := verdictOf{kind: kind, err: err}
			if name == "with an identity" {
				fake.id = &identity.Identity{Subject: "alice", Groups: []string{"users"}}
			}
			serve := frontOf(t, fake, everybody, nil, "http://"+app.addr)
			for client, lines := range clients() {
				t.Run(name+" "+string(kind)+" to "+client, func(t *testing.T) {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/app", nil)
					r.Host = "localhost:8080"
					for _, line := range lines {
						k, v, _ := strings.Cut(line, ": ")
						r.Header.Add(k, v)
					}
					w := httptest.NewRecorder()
					serve.ServeHTTP(w, r)
					if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || len(w.Header()["Set-Cookie"]) != 0 || w.Header().Get("Location") != "" {
						t.Errorf("the answer is %d with %v", w.Code, w.Header())
					}
					if strings.Contains(w.Body.String(), "10.1.2.3") || strings.Contains(w.Body.String(), "op1.test") || len(app.take()) != 0 {
						t.Errorf("the answer tells more than it should, or comes from the application:\n%s", w.Body)
					}
				})
			}
		}
	}
}

// TestWhoIsNobodyIsNotLetIn: an authenticator that proves an identity without a
// subject, or none at all, must not be believed.
func TestWhoIsNobodyIsNotLetIn(t *testing.T) {
	app := newRecorder(t)
	users := []policy.Rule{{Name: "users", Allow: &policy.Match{Groups: []string{"users"}}}}
	for name, c := range map[string]struct {
		fake   verdictOf
		status int
	}{
		"an identity without a subject":        {verdictOf{kind: authn.KindSession, id: &identity.Identity{Groups: []string{"users"}}}, http.StatusForbidden},
		"no identity and no error":             {verdictOf{kind: authn.KindSession}, http.StatusServiceUnavailable},
		"a refusal beside an identity":         {verdictOf{kind: authn.KindSession, id: &identity.Identity{Subject: "alice", Groups: []string{"users"}}, err: &authn.Refusal{Reason: "no_session"}}, http.StatusFound},
		"a header that is required and absent": {verdictOf{kind: authn.KindBearer, id: &identity.Identity{Subject: "alice", Groups: []string{"users"}}}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			serve := frontOf(t, c.fake, users, []config.Header{{Name: "X-Department", Claim: "department", Required: true}}, "http://"+app.addr)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/app", nil)
			r.Host = "localhost:8080"
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if p := recover(); p != nil {
						t.Errorf("a panic: %v", p)
					}
				}()
				serve.ServeHTTP(w, r)
			}()
			if w.Code != c.status || len(app.take()) != 0 {
				t.Errorf("the answer is %d, want %d", w.Code, c.status)
			}
		})
	}
}
