package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

const developmentConfig = `
server: {listen: "127.0.0.1:0", public_url: "http://localhost:8080"}
admin: {listen: ""}
session: {embedded: {path: ""}}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice, groups: [staff]}, {subject: bob}]}]}
routes: [{name: app, paths: [/], upstream: "builtin:echo", policy: authenticated, auth: [session, bearer]}]
`

// devSite is a gateway and one browser that remembers its cookies.
type devSite struct {
	gw      *gateway.Gateway
	cookies map[string]string
}

func newDevSite(t *testing.T, build newGateway) *devSite {
	t.Helper()
	return &devSite{gw: runBuilt(t, build, developmentConfig), cookies: map[string]string{}}
}

// do sends a request as a page of the gateway itself would, unless headers, as
// name:value, say otherwise.
func (s *devSite) do(t *testing.T, method, path string, form url.Values, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
	r.Host = "localhost:8080"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range s.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.gw.Handler().ServeHTTP(w, r)
	res := w.Result()
	for _, c := range res.Cookies() {
		s.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(s.cookies, c.Name)
		}
	}
	return res
}

func (s *devSite) signIn(t *testing.T, who string) *http.Response {
	t.Helper()
	return s.do(t, http.MethodPost, "/.auth/login", url.Values{"provider": {"dev"}, "username": {who}})
}

// press presses a button of the panel, which must lead back to it.
func (s *devSite) press(t *testing.T, act string, more ...string) {
	t.Helper()
	form := url.Values{"act": {act}}
	for _, m := range more {
		name, value, _ := strings.Cut(m, "=")
		form.Set(name, value)
	}
	res := s.do(t, http.MethodPost, "/.auth/dev", form)
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/.auth/dev?done=") {
		t.Fatalf("%s: %s, Location %q", act, res.Status, res.Header.Get("Location"))
	}
	if page := text(t, s.do(t, http.MethodGet, res.Header.Get("Location"), nil)); !strings.Contains(page, `class="done"`) {
		t.Errorf("%s: the page does not say that it was done", act)
	}
}

// asks is what a program of the app's page gets: a status, and the reason of a refusal.
func (s *devSite) asks(t *testing.T, headers ...string) (status int, body string) {
	t.Helper()
	res := s.do(t, http.MethodGet, "/", nil, append(headers, "Accept:application/json")...)
	return res.StatusCode, text(t, res)
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestPanelEndsTheSessionAsAsked(t *testing.T) {
	t.Parallel()
	s := newDevSite(t, gateway.NewDevelopment)
	for act, want := range map[string]struct{ reason, says string }{
		"expire-idle":     {"session_idle", "it was idle for too long"},
		"expire-absolute": {"no_session", "it has reached its end, or was revoked"},
		"revoke":          {"no_session", "it has reached its end, or was revoked"},
	} {
		s.signIn(t, "alice")
		if status, body := s.asks(t); status != http.StatusOK {
			t.Fatalf("%s: not signed in: %s", act, body)
		}
		s.press(t, act)
		if status, body := s.asks(t); status != http.StatusUnauthorized || !strings.Contains(body, want.reason) {
			t.Errorf("%s: %d %s", act, status, body)
		}
		if page := text(t, s.do(t, http.MethodGet, "/.auth/dev", nil)); !strings.Contains(page, want.says) {
			t.Errorf("%s: the page does not say that %s", act, want.says)
		}
	}
}

func TestPanelMakesOneSignInFail(t *testing.T) {
	t.Parallel()
	s := newDevSite(t, gateway.NewDevelopment)
	for trouble, want := range map[string]int{"error": http.StatusBadRequest, "denied": http.StatusForbidden} {
		s.press(t, "trouble", "trouble="+trouble)
		if page := text(t, s.do(t, http.MethodGet, "/.auth/dev", nil)); !strings.Contains(page, "<strong>"+trouble+"</strong>") {
			t.Errorf("the page does not say that the next sign-in runs into %s", trouble)
		}
		if res := s.signIn(t, "alice"); res.StatusCode != want {
			t.Errorf("%s: %s", trouble, res.Status)
		}
		if res := s.signIn(t, "alice"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("the sign-in after %s: %s", trouble, res.Status)
		}
	}
	s.press(t, "trouble", "trouble=denied")
	s.press(t, "trouble", "trouble=")
	if res := s.signIn(t, "alice"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("a trouble that was taken back: %s", res.Status)
	}
}

func TestPanelBreaksTheStoreAndSignsNobodyOut(t *testing.T) {
	t.Parallel()
	s := newDevSite(t, gateway.NewDevelopment)
	s.signIn(t, "alice")
	s.press(t, "outage", "seconds=60")
	if status, body := s.asks(t); status != http.StatusServiceUnavailable {
		t.Errorf("while the store is out: %d %s", status, body)
	}
	s.press(t, "outage", "seconds=0")
	if status, body := s.asks(t); status != http.StatusOK {
		t.Errorf("after the outage: %d %s", status, body)
	}
}

var jwt = regexp.MustCompile(`(?s)<pre id="jwt"[^>]*>([^<]+)</pre>`)

func TestTokenOfThePanelIsAcceptedAlsoAfterARotation(t *testing.T) {
	t.Parallel()
	s := newDevSite(t, gateway.NewDevelopment)
	res := s.do(t, http.MethodPost, "/.auth/dev", url.Values{
		"act": {"mint"}, "subject": {"carol"}, "groups": {"staff, ops"}, "claims": {`{"tenant": "acme"}`}, "lifetime": {"1m"},
	})
	found := jwt.FindStringSubmatch(text(t, res))
	if found == nil {
		t.Fatal("the page shows no token")
	}
	if res.Header.Get("Cache-Control") != "no-store" {
		t.Error("the page with the token may be stored")
	}
	poll(t, "the list of revocations to be read", func() bool {
		status, _ := s.asks(t, "Authorization:Bearer "+found[1])
		return status != http.StatusServiceUnavailable
	})
	for _, when := range []string{"now", "after a rotation"} {
		status, body := s.asks(t, "Authorization:Bearer "+found[1])
		if status != http.StatusOK || !strings.Contains(body, `["X-Forwarded-User","carol"]`) || !strings.Contains(body, `"staff,ops"`) {
			t.Errorf("the token, %s: %d %s", when, status, body)
		}
		s.press(t, "rotate-signing")
	}
	for field, bad := range map[string]string{"subject": "", "lifetime": "2h", "claims": "[1]"} {
		form := url.Values{"act": {"mint"}, "subject": {"carol"}}
		form.Set(field, bad)
		if res := s.do(t, http.MethodPost, "/.auth/dev", form); res.StatusCode != http.StatusBadRequest || !strings.Contains(text(t, res), `role="alert"`) {
			t.Errorf("%s %q: %s", field, bad, res.Status)
		}
	}
}

func TestRotatedSealingKeySignsNobodyOut(t *testing.T) {
	t.Parallel()
	s := newDevSite(t, gateway.NewDevelopment)
	s.signIn(t, "alice")
	before := s.cookies["sp"]
	s.press(t, "rotate-sealing")
	if status, body := s.asks(t); status != http.StatusOK {
		t.Errorf("the session from before: %d %s", status, body)
	}
	s.signIn(t, "bob")
	if s.cookies["sp"] == before {
		t.Error("bob got no cookie of his own")
	}
	if status, body := s.asks(t); status != http.StatusOK || !strings.Contains(body, `"bob"`) {
		t.Errorf("a session from after: %d %s", status, body)
	}
}

func TestPanelTellsWhatTheAppIsTold(t *testing.T) {
	t.Parallel()
	s := newDevSite(t, gateway.NewDevelopment)
	s.signIn(t, "alice")
	page := text(t, s.do(t, http.MethodGet, "/.auth/dev?path=/reports", nil))
	for _, want := range []string{">X-Forwarded-User</th><td>alice<", "allow", `href="/.auth/dev/explain?path=%2freports"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, s.cookies["sp"]) {
		t.Error("the page shows the session cookie")
	}
	if body := text(t, s.do(t, http.MethodGet, "/.auth/dev/explain?path=/reports", nil)); !strings.Contains(body, `"outcome": "allow"`) || strings.Contains(body, s.cookies["sp"]) {
		t.Errorf("the explanation: %s", body)
	}
}

// TestAnotherSitesPageCantUseThePanel: a page that a developer happens to visit can
// send forms to localhost, by any name that resolves to it.
func TestAnotherSitesPageCantUseThePanel(t *testing.T) {
	t.Parallel()
	s := newDevSite(t, gateway.NewDevelopment)
	s.signIn(t, "alice")
	form := url.Values{"act": {"revoke"}}
	for want, headers := range map[int][]string{
		http.StatusForbidden:          {"Sec-Fetch-Site:cross-site", "Origin:https://evil.example"},
		http.StatusMisdirectedRequest: {"Host:rebound.example:8080"},
	} {
		if res := s.do(t, http.MethodPost, "/.auth/dev", form, headers...); res.StatusCode != want {
			t.Errorf("%v: %s", headers, res.Status)
		}
	}
	if res := s.do(t, http.MethodGet, "/.auth/dev", nil, "Host:rebound.example:8080"); res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("the page by another name: %s", res.Status)
	}
	res := s.do(t, http.MethodGet, "/.auth/dev", nil)
	for name, want := range map[string]string{"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if status, body := s.asks(t); status != http.StatusOK {
		t.Errorf("the session was ended: %s", body)
	}
}

// TestPanelIsNotServedOutsideDevelopment: whoever can open it can be anybody.
func TestPanelIsNotServedOutsideDevelopment(t *testing.T) {
	t.Parallel()
	s := newDevSite(t, gateway.New)
	s.signIn(t, "alice")
	for _, path := range []string{"/.auth/dev", "/.auth/dev/", "/.auth/dev/explain"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if res := s.do(t, method, path, url.Values{"act": {"revoke"}}); res.StatusCode != http.StatusNotFound {
				t.Errorf("%s %s: %s", method, path, res.Status)
			}
		}
	}
	if status, body := s.asks(t); status != http.StatusOK {
		t.Errorf("the session was ended: %s", body)
	}
}

func TestPanelWantsAGatewayThatNobodyElseCanReach(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("test", []byte(`
server: {listen: "0.0.0.0:8080", public_url: "https://app.example.com"}
session: {embedded: {path: ""}}
tokens: {issuers: [{issuer: shared, audiences: [api], secret: "0123456789abcdef0123456789abcdef"}]}
routes: [{name: app, paths: [/], upstream: "builtin:echo", policy: authenticated, auth: [bearer]}]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.NewDevelopment(t.Context(), cfg, zap.NewNop(), "test"); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("it was built: %v", err)
	}
}

// TestActsOfThePanelAreAudited: what became of a session is told in the audit log,
// whoever ended it.
func TestActsOfThePanelAreAudited(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.InfoLevel)
	s := newDevSite(t, func(ctx context.Context, cfg *config.Config, _ *zap.Logger, version string) (*gateway.Gateway, error) {
		return gateway.NewDevelopment(ctx, cfg, zap.New(core), version)
	})
	for _, act := range [][]string{
		{"expire-idle"}, {"expire-absolute"}, {"revoke"}, {"rotate-signing"}, {"rotate-sealing"}, {"trouble", "trouble=denied"}, {"outage", "seconds=0"},
	} {
		s.signIn(t, "alice")
		s.press(t, act[0], act[1:]...)
	}
	for _, form := range []url.Values{{"act": {"mint"}, "subject": {"carol"}}, {"act": {"outage"}, "seconds": {"-1"}}} {
		s.do(t, http.MethodPost, "/.auth/dev", form)
	}
	var got []string
	for _, line := range logs.FilterMessage("audit").All() {
		f := line.ContextMap()
		if f["operator"] != "panel" {
			continue
		}
		got = append(got, fmt.Sprint(f["event"], " ", f["outcome"], " of ", f["subject"], " ", f["note"]))
		if f["client"] != "192.0.2.1" || f["request_id"] == nil || f["event"] == "revoke_session" && f["session"] == nil {
			t.Errorf("a record that lacks something: %v", f)
		}
	}
	want := []string{
		"expire_session ok of alice <nil>", "expire_session ok of alice <nil>", "revoke_session ok of alice <nil>",
		"rotate_signing_key ok of <nil> <nil>", "rotate_sealing_key ok of <nil> <nil>",
		"rehearse_trouble ok of <nil> denied", "rehearse_outage ok of <nil> 0s", "mint_token ok of carol <nil>", "rehearse_outage failed of <nil> <nil>",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
