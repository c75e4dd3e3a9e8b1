package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

func newStepUpSite(t *testing.T) *site {
	t.Helper()
	return newSite(t, plan{
		policies: `
  - name: vault
    rules:
      - {name: keepers, allow: {groups: [users]}, require: {acr: [mfa, phrh]}}
      - {name: not mallory, deny: {subjects: [mallory]}}`,
		routes: `
  - {name: vault, paths: [/vault/], upstream: "$UP", policy: vault}
  - {name: fresh, paths: [/fresh/], upstream: "$UP", policy: users, require: {max_age: 1s}}
  - {name: strict, paths: [/strict/], upstream: "$UP", policy: authenticated, require: {acr: [mfa], amr: [otp], max_age: 5m}}
  - {name: payments, paths: [/payments/], upstream: "$UP", auth: [bearer], policy: authenticated, require: {acr: [mfa], amr: [otp], max_age: 5m}}
  - {name: either, paths: [/either/], upstream: "$UP", auth: [session, bearer], policy: authenticated, require: {acr: [mfa]}, headers: [{name: X-Forwarded-Issuer, claim: iss}]}`,
	})
}

// TestStepUpOfAProgram is RFC 9470, section 3.
func TestStepUpOfAProgram(t *testing.T) {
	s := newStepUpSite(t)
	for name, c := range map[string]struct {
		target string
		lines  []string
		want   []string // in the challenge
		login  string
	}{
		"a script of the page": {"/vault/x?y=1", []string{"Cookie: " + s.signIn(t, "alice"), "Sec-Fetch-Mode: cors"}, []string{`acr_values="mfa phrh"`}, "/.auth/login?return_to=%2Fvault%2Fx%3Fy%3D1&acr_values=mfa+phrh"},
		"a form":               {"/strict/", []string{"Cookie: " + s.signIn(t, "alice")}, []string{`acr_values="mfa"`, `max_age="300"`}, "/.auth/login?return_to=%2Fstrict%2F&acr_values=mfa&amr_values=otp&max_age=300"},
		"a token":              {"/payments/", []string{"Authorization: Bearer " + s.token(t, nil)}, []string{`acr_values="mfa"`, `max_age="300"`}, ""},
		"a WebSocket":          {"/vault/", []string{"Cookie: " + s.signIn(t, "alice"), "Origin: http://localhost:8080", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, []string{`acr_values="mfa phrh"`}, "/.auth/login?return_to=%2Fvault%2F&acr_values=mfa+phrh"},
		"a token in a browser": {"/either/", []string{"Authorization: Bearer " + s.token(t, nil), "Accept: text/html"}, []string{`acr_values="mfa"`}, ""},
	} {
		a := s.as(t, "", c.target, c.lines...)
		s.denied(t, a, http.StatusUnauthorized)
		challenge := strings.Join(a.Header["Www-Authenticate"], "; ")
		for _, want := range append(c.want, "Bearer ", `error="insufficient_user_authentication"`) {
			if !strings.Contains(challenge, want) {
				t.Errorf("%s: the challenge %s lacks %s", name, challenge, want)
			}
		}
		if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			continue
		}
		if reason := a.reason(t); reason != "insufficient_user_authentication" {
			t.Errorf("%s: %s", name, reason)
		}
		if login := strings.ReplaceAll(c.login, "&", `\u0026`); login != "" && !strings.Contains(a.text, login) {
			t.Errorf("%s: where to sign in: %s", name, a.text)
		}
	}
}

func TestStepUpOfANavigation(t *testing.T) {
	s := newStepUpSite(t)
	for _, who := range []string{"alice", ""} { // who has to sign in anyway does it once
		a := s.as(t, who, "/strict/x", "Accept: text/html", "Sec-Fetch-Mode: navigate")
		s.denied(t, a, http.StatusFound)
		if got, want := a.Header.Get("Location"), "/.auth/login?return_to=%2Fstrict%2Fx&acr_values=mfa&amr_values=otp&max_age=300"; got != want {
			t.Errorf("%q is sent to %s", who, got)
		}
		page := s.as(t, who, a.Header.Get("Location"), "Accept: text/html", "Sec-Fetch-Mode: navigate")
		if page.StatusCode != http.StatusOK || !strings.Contains(page.text, `name="max_age" value="300"`) {
			t.Errorf("%q: the sign-in is %d %s", who, page.StatusCode, page.Header.Get("Location"))
		}
	}
	// Whom the policy denies, no sign-in helps.
	s.denied(t, s.as(t, "mallory", "/vault/", "Accept: text/html"), http.StatusForbidden)
}

// TestTokensAreJudgedByTheirOwnClaims: what the user's session has proven is
// nothing to a token.
func TestTokensAreJudgedByTheirOwnClaims(t *testing.T) {
	s := newStepUpSite(t)
	good := map[string]any{"acr": "mfa", "amr": []string{"pwd", "otp"}, "auth_time": time.Now().Add(-4 * time.Minute).Unix()}
	s.passed(t, s.as(t, "", "/payments/", "Authorization: Bearer "+s.token(t, good)))
	for name, change := range map[string]map[string]any{
		"another class":      {"acr": "pwd"},
		"no class":           {"acr": nil},
		"a class in a list":  {"acr": []string{"mfa"}},
		"a method less":      {"amr": []string{"pwd"}},
		"an old sign-in":     {"auth_time": time.Now().Add(-6 * time.Minute).Unix()},
		"no time":            {"auth_time": nil},
		"a time to come":     {"auth_time": time.Now().Add(time.Hour).Unix()},
		"a token just made,": {"auth_time": nil, "iat": time.Now().Unix()},
	} {
		claims := maps.Clone(good)
		maps.Copy(claims, change)
		a := s.as(t, "", "/payments/", "Authorization: Bearer "+s.token(t, claims))
		s.denied(t, a, http.StatusUnauthorized)
		if got := a.reason(t); got != "insufficient_user_authentication" && name != "a class in a list" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestFreshSignInGoesOnUntilItIsOld(t *testing.T) {
	t.Parallel()
	s := newStepUpSite(t)
	cookie := s.newSession(t, "alice", "")
	var a answer
	poll(t, "the sign-in is too old", func() bool {
		a = s.as(t, "", "/fresh/", "Cookie: "+cookie, "Accept: text/html")
		return a.StatusCode == http.StatusFound
	})
	s.upstream.take()
	if got := a.Header.Get("Location"); got != "/.auth/login?return_to=%2Ffresh%2F&max_age=1" {
		t.Fatalf("%d to %q", a.StatusCode, got)
	}
	s.passed(t, s.as(t, "", "/app", "Cookie: "+cookie)) // elsewhere the session goes on
	again := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}, "max_age": {"1"}, "return_to": {"/fresh/"}}, "Cookie: "+cookie)
	if again.StatusCode != http.StatusSeeOther || again.Header.Get("Location") != "/fresh/" || len(again.Cookies()) != 1 {
		t.Fatalf("%d to %q\n%s", again.StatusCode, again.Header.Get("Location"), again.text)
	}
	next := again.Cookies()[0]
	s.passed(t, s.as(t, "", "/fresh/", "Cookie: "+next.Name+"="+next.Value))
	s.denied(t, s.as(t, "", "/app", "Cookie: "+cookie), http.StatusUnauthorized) // the old id is worth nothing
	if !strings.Contains(s.metrics(t), `outcome="step_up",reason="insufficient_user_authentication"`) {
		t.Error("no metric counts it")
	}
}

// TestRequirementsThatContradictAreFaults when the gateway is built.
func TestRequirementsThatContradictAreFaults(t *testing.T) {
	cfg, err := config.Parse("file", []byte(`
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
policies: [{name: p, rules: [{name: r, allow: {groups: [x]}, require: {acr: [a]}}]}]
routes: [{name: app, upstream: "builtin:echo", policy: p, require: {acr: [b]}}]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err = gateway.Check(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "routes[0]") || !strings.Contains(err.Error(), "no acr meets both") {
		t.Errorf("the faults are %v", err)
	}
}

// TestWrongPasswordsOfProgramsAreCounted: by Basic, 429 says when to come back,
// and neither the right password nor a remembered one is let in meanwhile.
func TestWrongPasswordsOfProgramsAreCounted(t *testing.T) {
	t.Parallel()
	s := newKindsSite(t) // with the default of ten
	try := func(pair string) answer { return s.as(t, "", "/basic/", basicLine(pair)) }
	s.passed(t, try("paula:"+peoplesPassword)) // remembered for a minute
	for i := range 12 {
		a := try(fmt.Sprintf("paula:guess %d", i))
		want := http.StatusUnauthorized
		if i >= 10 {
			want = http.StatusTooManyRequests
		}
		s.denied(t, a, want)
		if a.StatusCode == http.StatusTooManyRequests && (a.reason(t) != "locked_out" || !slices.Contains([]string{"899", "900"}, a.Header.Get("Retry-After"))) {
			t.Errorf("%s with Retry-After %q", a.reason(t), a.Header.Get("Retry-After"))
		}
	}
	right, wrong := try("paula:"+peoplesPassword), try("paula:another")
	s.denied(t, right, http.StatusTooManyRequests)
	s.denied(t, wrong, http.StatusTooManyRequests)
	form := s.post(t, "/.auth/login", url.Values{"provider": {"local"}, "username": {"paula"}, "password": {peoplesPassword}})
	s.denied(t, form, http.StatusTooManyRequests)
	if !strings.Contains(s.metrics(t), `outcome="too_many",reason="locked_out"`) {
		t.Error("no metric counts it")
	}
}
