package login_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// stepUp asks for another sign-in and goes to the provider and back.
func (b *browser) stepUp(query string) *answer {
	b.t.Helper()
	start := b.get("/.auth/login?return_to=%2Fvault&" + query)
	if start.StatusCode != http.StatusFound || !strings.HasPrefix(start.location(), "http") {
		b.t.Fatalf("the sign-in answered %d to %q: %s", start.StatusCode, start.location(), start.body)
	}
	return b.get(b.get(start.location()).location(), "Accept", "text/html", "Sec-Fetch-Mode", "navigate")
}

// oldSession signs alice in a while ago.
func oldSession(t *testing.T, g *gateway, op *oidctest.Provider) *browser {
	t.Helper()
	op.Set(func(s *oidctest.Script) {
		s.Claims = map[string]any{"acr": "pwd", "amr": []string{"pwd"}, "auth_time": time.Now().Add(-time.Hour).Unix()}
	})
	b := g.browser(t)
	b.signIn("/")
	return b
}

func TestStepUpKeepsTheSessionUnderANewID(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := oldSession(t, g, op)
	before, old := g.Store.all(), b.session()
	op.Set(func(s *oidctest.Script) {
		s.Claims = map[string]any{"acr": "mfa", "amr": []string{"pwd", "otp"}, "auth_time": time.Now().Unix()}
	})
	back := b.stepUp("acr_values=mfa+phrh&amr_values=otp&max_age=300")
	if back.StatusCode != http.StatusFound || back.location() != "/vault" {
		t.Fatalf("came back with %d to %q: %s", back.StatusCode, back.location(), back.body)
	}
	asked := op.Authorizations()[1]
	if asked.Get("acr_values") != "mfa phrh" || asked.Get("max_age") != "300" || asked.Get("prompt") != "login" {
		t.Errorf("the provider was asked %v", asked)
	}
	after := g.Store.all()
	if len(before) != 1 || len(after) != 1 || before[0].Key() == after[0].Key() || b.session() == old {
		t.Fatalf("%d sessions, %d before", len(after), len(before))
	}
	if !after[0].CreatedAt().Equal(before[0].CreatedAt()) || !after[0].ExpiresAt().Equal(before[0].ExpiresAt()) {
		t.Errorf("the session now lasts from %v to %v, before from %v to %v", after[0].CreatedAt(), after[0].ExpiresAt(), before[0].CreatedAt(), before[0].ExpiresAt())
	}
	if id := after[0].Identity; id.ACR != "mfa" || time.Since(id.AuthTime) > time.Minute {
		t.Errorf("the proof is still %q of %v", id.ACR, id.AuthTime)
	}
	// Who has it is not asked again.
	if again := b.get("/.auth/login?return_to=%2Fvault&acr_values=mfa"); again.location() != "/vault" {
		t.Errorf("asked again: %q", again.location())
	}
}

// TestProviderThatIgnoresAStepUpDoesNotLoop: the route would ask again at once.
func TestProviderThatIgnoresAStepUpDoesNotLoop(t *testing.T) {
	hour := time.Now().Add(-time.Hour).Unix()
	for name, c := range map[string]struct {
		query  string
		claims map[string]any
		says   string // to the user
	}{
		"the old class":               {"acr_values=mfa", map[string]any{"acr": "pwd"}, "<dt>acr</dt><dd>pwd</dd>"},
		"no class":                    {"acr_values=mfa", map[string]any{"acr": nil}, "<dt>acr</dt><dd>-</dd>"},
		"an old sign-in":              {"max_age=300", map[string]any{"auth_time": hour}, "<dt>auth_time</dt><dd>" + time.Unix(hour, 0).UTC().Format(time.RFC3339) + "</dd>"},
		"a sign-in of the future":     {"max_age=300", map[string]any{"auth_time": time.Now().Add(time.Hour).Unix()}, "<dt>auth_time</dt><dd>2"},
		"no time, though it must be":  {"max_age=300", map[string]any{"auth_time": nil}, "<dt>auth_time</dt><dd>-</dd>"},
		"a method less":               {"amr_values=pwd+otp", map[string]any{"amr": []string{"pwd"}}, "<dt>amr</dt><dd>pwd</dd>"},
		"markup in place of a class":  {"acr_values=mfa", map[string]any{"acr": "<script>x</script>"}, "&lt;script&gt;"},
		"a class of a thousand words": {"acr_values=mfa", map[string]any{"acr": strings.Repeat("long ", 1000)}, "long ..."},
	} {
		t.Run(name, func(t *testing.T) {
			op := oidctest.New(t)
			g := newGateway(t, corp(op)).waitReady(t)
			b := oldSession(t, g, op)
			before := b.session()
			op.Set(func(s *oidctest.Script) {
				s.Claims = nil
				s.IDTokenClaims = func(claims map[string]any) {
					for k, v := range c.claims {
						if v == nil {
							delete(claims, k)
						} else {
							claims[k] = v
						}
					}
				}
			})
			back := b.stepUp(c.query)
			if back.StatusCode != http.StatusForbidden || !strings.Contains(back.body, login.ReasonStepUpNotMet) {
				t.Fatalf("%d %s", back.StatusCode, back.body)
			}
			name, value, _ := strings.Cut(c.query, "=")
			fact := "<dt>" + name + "</dt><dd>" + strings.ReplaceAll(value, "+", " ") + "</dd>"
			for _, text := range []string{c.says, fact, "alice", "switch=1", "return_to=%2fvault", strings.ReplaceAll(c.query, "+", "%2b")} {
				if !strings.Contains(strings.ToLower(back.body), strings.ToLower(text)) && !strings.Contains(back.body, strings.ReplaceAll(text, "%2b", "&#43;")) {
					t.Errorf("the page does not hold %q:\n%s", text, back.body)
				}
			}
			if b.session() != before {
				t.Error("the session was exchanged for one that is no better")
			}
			if len(op.Authorizations()) != 2 {
				t.Errorf("the provider was asked %d times", len(op.Authorizations()))
			}
		})
	}
}

func TestStepUpAsAnotherUserIsASessionOfItsOwn(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := oldSession(t, g, op)
	before := g.Store.all()[0]
	op.Set(func(s *oidctest.Script) { s.Subject, s.Claims = "bob", map[string]any{"acr": "mfa"} })
	if back := b.stepUp("acr_values=mfa"); back.StatusCode != http.StatusFound {
		t.Fatalf("%d %s", back.StatusCode, back.body)
	}
	all := g.Store.all()
	if len(all) != 1 || all[0].Identity.Subject != "bob" || !all[0].CreatedAt().After(before.CreatedAt()) {
		t.Errorf("the sessions are %v", all)
	}
}

// TestFirstSignInThatIsNotEnough: who signs in for a route that wants more is
// signed in for all others.
func TestFirstSignInThatIsNotEnough(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	back := b.stepUp("acr_values=mfa&max_age=60")
	if back.StatusCode != http.StatusForbidden || b.session() == "" {
		t.Fatalf("%d, session %q", back.StatusCode, b.session())
	}
	if _, status := b.me(); status != http.StatusOK {
		t.Errorf("/.auth/me answers %d", status)
	}
	if asked := op.Authorizations()[0]; asked.Has("prompt") {
		t.Errorf("a first sign-in asks for prompt=%s", asked.Get("prompt"))
	}
}

func TestWishesThatCannotBeReadAreRefusedAndNotForgotten(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := oldSession(t, g, op)
	for _, query := range []string{
		"max_age=0", "max_age=-1", "max_age=1h", "max_age=99999999999999999999", "max_age=1&max_age=2", "acr_values=a&acr_values=b",
		"acr_values=" + strings.Repeat("a", 2000), "acr_values=" + strings.Repeat("a+", 20), "acr_values=%22", "acr_values=%0a", "amr_values=%5c", "acr_values=%ED%95%9C",
	} {
		if got := b.get("/.auth/login?" + query); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d to %q", query, got.StatusCode, got.location())
		}
	}
}

func TestWithoutAJudgeNoStepUpIsEverMet(t *testing.T) {
	op := oidctest.New(t)
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op)}, change: func(o *login.Options) { o.Meets = nil }}).waitReady(t)
	op.Set(func(s *oidctest.Script) { s.Claims = map[string]any{"acr": "mfa"} })
	b := g.browser(t)
	b.signIn("/")
	if back := b.stepUp("acr_values=mfa"); back.StatusCode != http.StatusForbidden {
		t.Errorf("%d", back.StatusCode)
	}
}

// TestAccountsStepUpByTheirPassword: signing in again is all that they can do.
func TestAccountsStepUpByTheirPassword(t *testing.T) {
	g := newGateway(t, usersProvider(t, cheapUsers))
	b := g.browser(t)
	b.header.Set("Accept", "text/html")
	form := url.Values{"username": {"alice"}, "password": {"correct horse"}}
	b.post("/.auth/login", form, "Origin", g.URL)
	old, before := b.session(), g.Store.all()
	page := b.get("/.auth/login?return_to=/vault&acr_values=mfa&amr_values=pwd&max_age=1")
	for _, field := range []string{`name="acr_values" value="mfa"`, `name="amr_values" value="pwd"`, `name="max_age" value="1"`} {
		if page.StatusCode != http.StatusOK || !strings.Contains(page.body, field) {
			t.Errorf("%d without %s", page.StatusCode, field)
		}
	}
	form.Set("max_age", "60")
	form.Set("amr_values", "pwd")
	form.Set("return_to", "/vault")
	if got := b.post("/.auth/login", form, "Origin", g.URL); got.StatusCode != http.StatusSeeOther || got.location() != "/vault" {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	after := g.Store.all()
	if b.session() == old || len(after) != 1 || !after[0].ExpiresAt().Equal(before[0].ExpiresAt()) {
		t.Errorf("%d sessions until %v, before until %v", len(after), after[0].ExpiresAt(), before[0].ExpiresAt())
	}
	form.Set("acr_values", "mfa")
	if got := b.post("/.auth/login", form, "Origin", g.URL); got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, login.ReasonStepUpNotMet) {
		t.Errorf("a class that no password has: %d", got.StatusCode)
	}
}

func TestStepUpURLSaysWhatIsWanted(t *testing.T) {
	g := newGateway(t, devProvider())
	r := httptest.NewRequest(http.MethodGet, g.URL+"/vault?x=1", nil)
	for want, up := range map[string]login.StepUp{
		"/.auth/login?return_to=%2Fvault%3Fx%3D1":                                         {},
		"/.auth/login?return_to=%2Fvault%3Fx%3D1&acr_values=a+b&amr_values=otp&max_age=5": {ACR: []string{"a", "b"}, AMR: []string{"otp"}, MaxAge: 5 * time.Second},
	} {
		if got := g.Service.StepUpURL(r, up); got != want {
			t.Errorf("%s", got)
		}
	}
}
