package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/forwardauth"
	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/policy"
)

// troubledStore is a store whose look-ups do what a test says.
type troubledStore struct {
	session.Store
	trouble atomic.Pointer[func(context.Context) error]
}

func (s *troubledStore) Get(ctx context.Context, key session.Key) (*session.Session, error) {
	if trouble := s.trouble.Load(); trouble != nil {
		return nil, (*trouble)(ctx)
	}
	return s.Store.Get(ctx, key)
}

// troubledSite answers checks out of a store that can be in trouble, and returns a
// session that it knows. Of the site, only what asks may be used.
func troubledSite(t *testing.T) (s *site, store *troubledStore, cookie string) {
	t.Helper()
	memory, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store = &troubledStore{Store: memory}
	cfg := config.Default()
	cfg.Server.PublicURL = "http://localhost:8080"
	manager := session.NewManager(session.Options{Store: store, Keyring: newRing(t), Server: cfg.Server, Session: cfg.Session})
	_, ck, err := manager.Start(t.Context(), session.SignIn{Identity: &identity.Identity{Subject: "alice"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := headers.Compile(nil, headers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rt := &route.Route{Name: "app", Headers: set, Policy: policy.Authenticated(), Auth: authn.Order([]authn.Authenticator{authn.NewSession(manager)})}
	table, err := route.NewTable([]route.Entry{{Route: rt, Paths: []string{"/"}}}, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	checks := forwardauth.New(forwardauth.Options{
		Judge: &frontend.Judge{
			Guard: guard.New(guard.Options{Routes: table, Cookies: manager.Cookies(), Scheme: "http"}),
			Challenge: func(*http.Request, *guard.Verdict) guard.Prompt {
				return guard.Prompt{WWWAuthenticate: []string{"Test"}}
			},
			Own: func(string) bool { return false },
		},
		Passes: frontend.NewPasses(set.Names()), Prefix: "/.auth/check", Dialects: config.Dialects(),
		Trusted: func(string) bool { return true }, Edge: &httperr.Edge{},
		OAuth2Proxy: &forwardauth.OAuth2Proxy{Scheme: "http"},
	})
	errorLog, err := zap.NewStdLogAt(zap.NewNop(), zap.WarnLevel)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve := checks.Serve
		if r.URL.Path == "/oauth2/auth" {
			serve = checks.ServeOAuth2Proxy
		}
		if err := serve(&telemetry.Recorder{ResponseWriter: w}, r); err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	server.Config.ErrorLog = errorLog // which is told of panics
	server.Start()
	t.Cleanup(func() {
		server.Close()
		manager.Close()
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	})
	return &site{addr: server.Listener.Addr().String(), host: "localhost:8080"}, store, ck.Name + "=" + ck.Value
}

// TestFailureOfTheStoreInsideACheckLetsNobodyIn (CVE-2026-41070): what the gateway
// can't find out, or trips over, is neither a yes nor a missing sign-in.
func TestFailureOfTheStoreInsideACheckLetsNobodyIn(t *testing.T) {
	s, store, cookie := troubledSite(t)
	for _, dialect := range everyDialect() {
		a := about{target: "/app", lines: []string{"Cookie: " + cookie, "Accept: text/html"}}
		open(t, dialect, s.checked(t, dialect, a))
		for name, c := range map[string]struct {
			trouble func(context.Context) error
			status  int
		}{
			"down": {func(context.Context) error { return errors.New("dial 10.1.2.3:6379: connection refused") }, 503},
			"slow": {func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
				defer cancel()
				<-ctx.Done()
				return fmt.Errorf("get: %w", ctx.Err())
			}, 503},
			"a panic": {func(context.Context) error { panic("the store") }, 500},
		} {
			store.trouble.Store(&c.trouble)
			got := s.checked(t, dialect, a)
			closed(t, dialect+", "+name, got, c.status)
			if got.Header.Get("Location") != "" || strings.Contains(got.text, "10.1.2.3") {
				t.Errorf("%s, %s: %v %s", dialect, name, got.Header, got.text)
			}
			if c.status == http.StatusServiceUnavailable && got.Header.Get("Retry-After") == "" {
				t.Errorf("%s, %s: nobody is told to try again", dialect, name)
			}
			store.trouble.Store(nil)
		}
		open(t, dialect, s.checked(t, dialect, a))
	}
}

// TestFailureOutsideACheckLetsNobodyIn (CVE-2021-32637): keys that can't be fetched,
// an authorizer that can't be asked, and a policy that can't be evaluated.
func TestFailureOutsideACheckLetsNobodyIn(t *testing.T) {
	p, keys := failing(t)
	s := asking(t, p)
	poll(t, "a first fetch", func() bool { return keys.fetches() > 0 })
	token := goodToken(t, newSigner(t, "k1"), keysIssuer)
	for _, dialect := range everyDialect() {
		for _, line := range []string{"Accept: text/html", "Accept: application/json"} {
			closed(t, dialect, s.checked(t, dialect, about{target: "/api/x", lines: []string{"Authorization: Bearer " + token, line}}), 503)
			closed(t, dialect, s.checked(t, dialect, about{target: "/judged/x", user: "alice", lines: []string{line}}), 503)
			a := s.checked(t, dialect, about{target: "/broken/x", user: "alice", lines: []string{line}})
			closed(t, dialect, a, 403)
			if got := a.Header.Get("Sallyport-Reason"); got != "policy_error" {
				t.Errorf("%s: the reason is %q", dialect, got)
			}
		}
	}
}

// failing is a site whose keys can't be fetched, with routes whose policies can't be
// asked and can't be evaluated.
func failing(t *testing.T) (plan, *keyServer) {
	t.Helper()
	keys := newKeyServer(t)
	keys.answer(answering(http.StatusInternalServerError, "down"))
	authorizer := httptest.NewServer(answering(http.StatusInternalServerError, `{"result": true}`))
	t.Cleanup(authorizer.Close)
	return plan{
		issuers: fmt.Sprintf("- {issuer: %q, audiences: [%q], algorithms: [ES256], jwks_url: %q}", keysIssuer, tokenAudience, keys.url()),
		policies: fmt.Sprintf(`
  - {name: opa, authorizer: {url: %q, timeout: 100ms}}
  - {name: broken, rules: [{name: senior, when: "identity.claims.level > 3", allow: {groups: [users]}}]}`, authorizer.URL+"/v1/data/app/authz"),
		routes: `
  - {name: judged, paths: [/judged/], upstream: "$UP", policy: opa}
  - {name: broken, paths: [/broken/], upstream: "$UP", policy: broken}`,
	}, keys
}
