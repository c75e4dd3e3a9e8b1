package gateway_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/guard"
)

// loginSite is a site whose applications have logins of their own: /wiki/ one for
// all by Basic, /metrics/ one for all by Bearer, /mail/ one for each user, /forum/
// likewise, but only for some.
type loginSite struct {
	*site
	dir string
}

func newLoginSite(t *testing.T) *loginSite {
	t.Helper()
	l := &loginSite{dir: t.TempDir()}
	l.write(t, "wiki", "open sesame\n")
	l.write(t, "metrics", "metrics-token\n")
	l.write(t, "users", `
users:
  - {subject: alice, username: al, password: "swordfish"}
  - {email: root@example.test, token: "token-of-root"}
`)
	l.site = newSite(t, plan{
		adminToken: adminToken(t),
		routes: strings.ReplaceAll(`
  - {name: wiki, paths: [/wiki/], upstream: "$UP", policy: users, upstream_credential: {username: gateway, password_file: "$DIR/wiki"}}
  - {name: metrics, paths: [/metrics/], upstream: "$UP", policy: users, upstream_credential: {token_file: "$DIR/metrics"}}
  - {name: mail, paths: [/mail/], upstream: "$UP", policy: users, upstream_credential: {users_file: "$DIR/users"}}
  - {name: forum, paths: [/forum/], upstream: "$UP", policy: users, upstream_credential: {users_file: "$DIR/users", optional: true}}`, "$DIR", l.dir),
	})
	return l
}

func (l *loginSite) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func basicAuth(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// secretsIn asserts that no credential of an application is in a text.
func (l *loginSite) secretsIn(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{
		"open sesame", "metrics-token", "swordfish", "token-of-root", "changed", basicAuth("gateway", "open sesame")[6:], basicAuth("al", "swordfish")[6:],
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds the secret %q", what, secret)
		}
	}
}

func TestApplicationsWithALoginOfTheirOwn(t *testing.T) {
	l := newLoginSite(t)
	for _, tt := range []struct{ user, target, want string }{
		{"alice", "/wiki/", basicAuth("gateway", "open sesame")},
		{"mallory", "/wiki/", basicAuth("gateway", "open sesame")},
		{"alice", "/metrics/", "Bearer metrics-token"},
		{"alice", "/mail/", basicAuth("al", "swordfish")},
		{"root", "/mail/", "Bearer token-of-root"},
		{"root", "/forum/", "Bearer token-of-root"},
		{"mallory", "/forum/", ""},
	} {
		var want []string
		if tt.want != "" {
			want = []string{tt.want}
		}
		// Nothing that a client declares removes it, and none of its own comes along.
		for _, line := range []string{"X-A: 1", "Connection: authorization, x", "Author-Ization: Basic eDp5"} {
			if got := l.passed(t, l.as(t, tt.user, tt.target, line)).header("Authorization"); !slices.Equal(got, want) {
				t.Errorf("%s at %s with %s: the application got %q, want %q", tt.user, tt.target, line, got, want)
			}
		}
	}
	if got := l.passed(t, l.as(t, "alice", "/app")).header("Authorization"); len(got) > 0 {
		t.Errorf("another application got %q", got)
	}
	l.denied(t, l.as(t, "alice", "/wiki/", "Authorization: Basic eDp5"), http.StatusUnauthorized)
	l.denied(t, l.as(t, "", "/wiki/"), http.StatusUnauthorized)
	a := l.as(t, "mallory", "/mail/")
	if l.denied(t, a, http.StatusForbidden); !strings.Contains(a.text, `"no_upstream_credential"`) {
		t.Errorf("the answer does not say why:\n%s", a.text)
	}
	l.secretsIn(t, "the log", l.logText.String())
}

// TestAChangedCredentialCountsWithoutARestart, and a file that can't be taken changes
// nothing.
func TestAChangedCredentialCountsWithoutARestart(t *testing.T) {
	t.Parallel()
	l := newLoginSite(t)
	sent := func(user, target string) string {
		a := l.as(t, user, target)
		if a.StatusCode != http.StatusOK {
			return fmt.Sprint(a.StatusCode)
		}
		return strings.Join(l.passed(t, a).header("Authorization"), "|")
	}
	if got := sent("alice", "/wiki/"); got != basicAuth("gateway", "open sesame") {
		t.Fatal(got)
	}
	l.write(t, "wiki", "changed")
	l.write(t, "users", `users: [{subject: mallory, token: "changed"}]`)
	poll(t, "the password", func() bool { return sent("alice", "/wiki/") == basicAuth("gateway", "changed") })
	poll(t, "the users", func() bool { return sent("mallory", "/mail/") == "Bearer changed" })
	if got := sent("alice", "/mail/"); got != "403" {
		t.Errorf("who has no entry any more: %s", got)
	}

	untaken := func() int { return l.log.FilterMessageSnippet("what it held before still counts").Len() }
	for _, text := range []string{"", "users: [{subject: alice, tokken: changed}]", "users: [{subject: alice, token: *changed}]"} {
		before := untaken()
		l.write(t, "users", text)
		poll(t, "the log to tell of "+text, func() bool { return untaken() > before })
		if got := sent("mallory", "/mail/"); got != "Bearer changed" {
			t.Errorf("with %q in the file the application got %q", text, got)
		}
	}
	if err := os.Remove(filepath.Join(l.dir, "wiki")); err != nil {
		t.Fatal(err)
	}
	before := untaken()
	poll(t, "the log to tell of the file that is gone", func() bool { return untaken() > before })
	if got := sent("alice", "/wiki/"); got != basicAuth("gateway", "changed") {
		t.Errorf("without its file the application got %q", got)
	}
	l.secretsIn(t, "the log", l.logText.String())
}

// TestTheBrowserIsNotAskedForAPasswordOfTheApplication: it would send what the user
// types with every request to the site from then on, where it is refused.
func TestTheBrowserIsNotAskedForAPasswordOfTheApplication(t *testing.T) {
	body := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(upstreamSays), upstreamSays)
	challenge := func(lines string) string { return "HTTP/1.1 401 Unauthorized\r\n" + lines + body }
	l := newLoginSite(t)
	for _, tt := range []struct {
		user, target, answer string
		status               int
		reason               string // empty: it is the application's
	}{
		{"alice", "/wiki/", challenge("WWW-Authenticate: Basic realm=\"wiki\"\r\n"), 502, "upstream_credential_refused"},
		{"alice", "/wiki/", challenge("www-authenticate: Negotiate\r\nWWW-Authenticate: Digest realm=\"wiki\"\r\n"), 502, "upstream_credential_refused"},
		{"root", "/mail/", challenge("WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"), 502, "upstream_credential_refused"},
		{"mallory", "/forum/", challenge("WWW-Authenticate: Basic realm=\"forum\"\r\n"), 403, "no_upstream_credential"},
		{"alice", "/wiki/", challenge(""), 401, ""},
		{"alice", "/wiki/", "HTTP/1.1 200 OK\r\nWWW-Authenticate: Basic\r\n" + body, 200, ""},
		{"alice", "/own/", challenge("WWW-Authenticate: Basic realm=\"app\"\r\n"), 401, ""}, // who signs in there is the browser
	} {
		l.upstream.answers(tt.answer)
		a := l.as(t, tt.user, tt.target)
		own := strings.Contains(a.text, upstreamSays)
		if a.StatusCode != tt.status || own != (tt.reason == "") || !strings.Contains(a.text, tt.reason) {
			t.Errorf("%s to %q: %d %s", tt.target, tt.answer, a.StatusCode, a.text)
		}
		if got := a.Header["Www-Authenticate"]; (len(got) > 0) != (tt.target == "/own/") {
			t.Errorf("%s to %q: the browser is told %q", tt.target, tt.answer, got)
		}
	}
	if text := l.metrics(t); !strings.Contains(text, `reason="upstream_credential_refused",route="wiki"} 2`) {
		t.Error("the metrics do not count what was refused")
	}
	poll(t, "the log line", func() bool {
		return strings.Contains(l.logText.String(), "the application answers 401 to the credential that upstream_credential holds")
	})
	l.secretsIn(t, "the log", l.logText.String())
}

func TestExplanationsShowNoCredentialOfAnApplication(t *testing.T) {
	l := newLoginSite(t)
	for target, want := range map[string]string{"/wiki/": "allow", "/metrics/": "allow", "/mail/": "forbid", "/forum/": "allow"} {
		var x gateway.Explanation
		status, text := l.ask(t, "POST", "/explain", map[string]any{"method": "GET", "url": target, "session": l.sessionOf(t, "mallory")}, &x)
		if status != http.StatusOK || x.Verdict.Outcome != want {
			t.Errorf("%s: %d %+v", target, status, x.Verdict)
		}
		if want == "forbid" && x.Verdict.Reason != "no_upstream_credential" {
			t.Errorf("%s is explained by %s", target, x.Verdict.Reason)
		}
		shown := slices.ContainsFunc(x.Headers, func(h guard.HeaderLine) bool {
			return h.Name == "Authorization" && h.Set && strings.HasPrefix(h.Value, "(")
		})
		if shown != (target == "/wiki/" || target == "/metrics/") {
			t.Errorf("%s: the application would get %+v", target, x.Headers)
		}
		l.secretsIn(t, "the explanation", text)
	}
}

// TestAFileOfCredentialsIsJudgedBeforeAnythingIsServed, with each of its faults.
func TestAFileOfCredentialsIsJudgedBeforeAnythingIsServed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(file, []byte("users:\n  - {subject: alice, password: swordfish}\n  - {subject: bob, token: \"sword fish\"}\n  - {subject: carol, token: x}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("site.yaml", fmt.Appendf(nil, `
login:
  providers:
    - {name: a, type: oidc, issuer: "https://a.example.com", client_id: app}
    - {name: b, type: oidc, issuer: "https://b.example.com", client_id: app}
routes:
  - name: app
    upstream: builtin:echo
    policy: authenticated
    headers: [{name: X-Forwarded-Issuer, claim: iss}]
    upstream_credential: {users_file: %q}
`, file), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = gateway.Check(t.Context(), cfg)
	if err == nil {
		t.Fatal("it was taken")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		"line 2: more than one issuer can name the subject", "line 2: it needs username and password", "line 3: more than one issuer", "line 3: the token holds spaces", "line 4: more than one issuer",
	} {
		if i >= len(lines) || !strings.Contains(lines[i], "site.yaml:11: routes[0].upstream_credential.users_file: ") || !strings.Contains(lines[i], want) {
			t.Errorf("want a fault %q, got:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "swordfish") || strings.Contains(err.Error(), "sword fish") {
		t.Errorf("a secret is shown:\n%v", err)
	}
}
