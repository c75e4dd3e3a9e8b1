package login_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

const aliceSID = "provider-session-of-alice"

// backChannel posts a logout token as the provider does: without a cookie, an
// origin or a referrer.
func (g *gateway) backChannel(t *testing.T, token string) *answer {
	t.Helper()
	return g.program(t).post("/.auth/backchannel-logout/corp", url.Values{"logout_token": {token}})
}

// checkTold asserts that the provider got the answer of section 2.8.
func checkTold(t *testing.T, a *answer, status int) {
	t.Helper()
	if a.StatusCode != status || a.Header.Get("Cache-Control") != "no-store" || len(a.Header["Set-Cookie"]) != 0 {
		t.Errorf("%d with %v: %s", a.StatusCode, a.Header, a.body)
	}
	if status != http.StatusBadRequest {
		return
	}
	var doc struct{ Error string }
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.Error != "invalid_request" {
		t.Errorf("the body is %s", a.body)
	}
}

func alive(t *testing.T, b *browser) bool {
	t.Helper()
	_, status := b.me()
	if status != http.StatusOK && status != http.StatusUnauthorized {
		t.Fatalf("/.auth/me answers %d", status)
	}
	return status == http.StatusOK
}

func TestProviderEndsOneSessionOrAllOfAUser(t *testing.T) {
	p := oidctest.New(t)
	g := newGateway(t, corp(p)).waitReady(t)
	signIn := func(subject, sid string) *browser {
		p.Set(func(s *oidctest.Script) { s.Subject, s.Claims = subject, map[string]any{"sid": sid} })
		b := g.browser(t)
		b.signIn("/")
		return b
	}
	var laptop, laptopToo, phone, bob *browser
	begin := func() {
		laptop, laptopToo, phone, bob = signIn("alice", "sid-1"), signIn("alice", "sid-1"), signIn("alice", "sid-2"), signIn("bob", "sid-3")
	}
	for name, c := range map[string]struct {
		over                          map[string]any
		laptop, laptopToo, phone, bob bool
	}{
		"sid: that session, in every browser": {map[string]any{"sid": "sid-1"}, false, false, true, true},
		"sid and sub: the session alone":      {map[string]any{"sid": "sid-1", "sub": "alice"}, false, false, true, true},
		"sub: all of the user":                {map[string]any{"sub": "alice"}, false, false, false, true},
		"a sid that nobody has":               {map[string]any{"sid": "sid-9"}, true, true, true, true},
		"a sub that nobody has":               {map[string]any{"sub": "ALICE"}, true, true, true, true},
		"a pattern":                           {map[string]any{"sub": "*"}, true, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			begin()
			checkTold(t, g.backChannel(t, p.LogoutToken(c.over)), http.StatusOK)
			for who, one := range map[string]struct {
				b    *browser
				want bool
			}{"laptop": {laptop, c.laptop}, "laptop too": {laptopToo, c.laptopToo}, "phone": {phone, c.phone}, "bob": {bob, c.bob}} {
				if got := alive(t, one.b); got != one.want {
					t.Errorf("%s is signed in: %v", who, got)
				}
			}
		})
	}
	audits := g.auditLog()
	if last := audits[len(audits)-1]; last.Event != login.EventProviderLogout || last.Outcome != login.OutcomeOK || last.Provider != "corp" || last.Issuer != p.Issuer {
		t.Errorf("audited as %+v", last)
	}
}

// TestForgedLogoutTokenEndsNothing: whoever could make one could sign out
// everybody.
func TestForgedLogoutTokenEndsNothing(t *testing.T) {
	p := oidctest.New(t)
	other := oidctest.New(t)
	var idToken, accessToken string
	p.Set(func(s *oidctest.Script) {
		s.TokenAnswer = func(a map[string]any) { idToken, accessToken = a["id_token"].(string), a["access_token"].(string) }
	})
	g := newGateway(t, corp(p)).waitReady(t)
	b := g.browser(t)
	b.signIn("/")
	claims := func(over map[string]any) map[string]any {
		all := p.LogoutClaims(map[string]any{"sid": aliceSID, "sub": "alice"})
		for name, v := range over {
			if all[name] = v; v == nil {
				delete(all, name)
			}
		}
		return all
	}
	event := "http://schemas.openid.net/event/backchannel-logout"
	good := p.SignType("logout+jwt", claims(nil))
	access := map[string]any{"iss": p.Issuer, "aud": oidctest.ClientID, "sub": "alice", "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60, "jti": "a"}
	for name, token := range map[string]string{
		"no token":                     "",
		"not a token":                  "logout",
		"alg none":                     oidctest.Unsigned(claims(nil)),
		"HS256 by the client's secret": oidctest.SignSecret(claims(nil)),
		"an unknown key":               p.SignForeign(claims(nil)),
		"another provider's key":       other.LogoutToken(claims(nil)),
		"a changed token":              good[:len(good)-8] + "AAAAAAAA",
		"a token cut short":            good[:len(good)-1],
		"more behind it":               good + ".x",
		"an ID token":                  idToken,
		"an opaque access token":       accessToken,
		"a JWT access token":           p.SignType("at+jwt", access),
		"an access token without typ":  p.SignType("", access),
		"a logout token called at+jwt": p.SignType("at+jwt", claims(nil)),

		"no events":            p.SignType("logout+jwt", claims(map[string]any{"events": nil})),
		"another event":        p.SignType("logout+jwt", claims(map[string]any{"events": map[string]any{"x": map[string]any{}}})),
		"an event of no value": p.SignType("logout+jwt", claims(map[string]any{"events": map[string]any{event: true}})),
		"a nonce":              p.SignType("logout+jwt", claims(map[string]any{"nonce": "n"})),
		"neither sub nor sid":  p.SignType("logout+jwt", claims(map[string]any{"sub": nil, "sid": nil})),
		"an empty sid":         p.SignType("logout+jwt", claims(map[string]any{"sid": ""})),
		"an empty sub":         p.SignType("logout+jwt", claims(map[string]any{"sub": "", "sid": nil})),
		"another audience":     p.SignType("logout+jwt", claims(map[string]any{"aud": "other"})),
		"another issuer":       p.SignType("logout+jwt", claims(map[string]any{"iss": other.Issuer})),
		"no iat":               p.SignType("logout+jwt", claims(map[string]any{"iat": nil})),
		"an old iat":           p.SignType("logout+jwt", claims(map[string]any{"iat": time.Now().Add(-time.Hour).Unix()})),
		"no jti":               p.SignType("logout+jwt", claims(map[string]any{"jti": nil})),
		"exp has passed":       p.SignType("logout+jwt", claims(map[string]any{"iat": time.Now().Unix() - 100, "exp": time.Now().Unix() - 90})),
	} {
		t.Run(name, func(t *testing.T) {
			a := g.backChannel(t, token)
			checkTold(t, a, http.StatusBadRequest)
			if strings.Contains(a.body, p.Issuer) {
				t.Errorf("the answer tells what is inside: %s", a.body)
			}
			if !alive(t, b) {
				t.Fatal("the session is gone")
			}
		})
	}
	checkTold(t, g.backChannel(t, good), http.StatusOK)
	if alive(t, b) {
		t.Error("the good token ended nothing")
	}
	if strings.Contains(g.everythingLogged(), good) {
		t.Error("the log holds the token")
	}
}

func TestRequestThatIsNoLogoutTokenInAForm(t *testing.T) {
	p := oidctest.New(t)
	g := newGateway(t, corp(p), devProvider()).waitReady(t)
	b := g.browser(t)
	b.signInWith(t, "corp")
	token := p.LogoutToken(map[string]any{"sid": aliceSID})
	post := func(contentType, body string) *answer {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/.auth/backchannel-logout/corp", strings.NewReader(body))
		r.Host = g.Host
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		if err := g.Service.BackChannelLogout(w, r); err != nil {
			t.Fatal(err)
		}
		return &answer{w.Result(), w.Body.String()}
	}
	form := "application/x-www-form-urlencoded"
	for name, got := range map[string]*answer{
		"JSON":               post("application/json", `{"logout_token":"`+token+`"}`),
		"plain text":         post("text/plain", "logout_token="+token),
		"several tokens":     post(form, "logout_token="+token+"&logout_token="+token),
		"a body of no end":   post(form, "x="+strings.Repeat("a", 70<<10)+"&logout_token="+token),
		"a malformed escape": post(form, "logout_token=%zz"),
		"an empty body":      post(form, ""),
	} {
		t.Run(name, func(t *testing.T) { checkTold(t, got, http.StatusBadRequest) })
	}
	if got := g.program(t).post("/.auth/backchannel-logout/corp?logout_token="+token, url.Values{}); got.StatusCode != http.StatusBadRequest {
		t.Errorf("a token in the URL: %d", got.StatusCode)
	}
	if got := g.program(t).get("/.auth/backchannel-logout/corp?logout_token=" + token); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", got.StatusCode)
	}
	for _, name := range []string{"dev", "nobody", "", "corp/x", "%2e%2e/corp"} {
		if got := g.program(t).post("/.auth/backchannel-logout/"+name, url.Values{"logout_token": {token}}); got.StatusCode != http.StatusNotFound {
			t.Errorf("provider %q: %d", name, got.StatusCode)
		}
	}
	if !alive(t, b) {
		t.Error("the session is gone")
	}
}

// TestLogoutTokenIsUsedOnce: who signs in again after the provider's sign-out
// stays signed in, whoever has seen the token.
func TestLogoutTokenIsUsedOnce(t *testing.T) {
	p := oidctest.New(t)
	g := newGateway(t, corp(p)).waitReady(t)
	b := g.browser(t)
	b.signIn("/")
	claims := p.LogoutClaims(map[string]any{"sub": "alice"})
	token, again := p.SignType("logout+jwt", claims), p.SignType("JWT", claims)
	checkTold(t, g.backChannel(t, token), http.StatusOK)
	b.signIn("/")
	for name, replay := range map[string]string{"the same token": token, "the same, signed and encoded anew": again} {
		t.Run(name, func(t *testing.T) {
			got := g.backChannel(t, replay)
			checkTold(t, got, http.StatusBadRequest)
			if !strings.Contains(got.body, login.ReasonReplayedLogoutToken) {
				t.Error(got.body)
			}
			if !alive(t, b) {
				t.Fatal("the new session is gone")
			}
		})
	}
	// Another provider's token with the same jti is another token.
	checkTold(t, g.backChannel(t, p.LogoutToken(map[string]any{"sub": "alice"})), http.StatusOK)
	if alive(t, b) {
		t.Error("a new token ended nothing")
	}
}

func TestSameJTIOfTwoProvidersIsTwoTokens(t *testing.T) {
	one, two := oidctest.New(t), oidctest.New(t)
	second := corp(two)
	second.Name = "second"
	g := newGateway(t, corp(one), second).waitReady(t)
	for _, p := range []struct {
		p    *oidctest.Provider
		name string
	}{{one, "corp"}, {two, "second"}} {
		token := p.p.LogoutToken(map[string]any{"sub": "alice", "jti": "same"})
		checkTold(t, g.program(t).post("/.auth/backchannel-logout/"+p.name, url.Values{"logout_token": {token}}), http.StatusOK)
		// At the other's address it is from the wrong issuer.
		other := map[string]string{"corp": "second", "second": "corp"}[p.name]
		checkTold(t, g.program(t).post("/.auth/backchannel-logout/"+other, url.Values{"logout_token": {token}}), http.StatusBadRequest)
	}
}

// TestProviderIsAskedToTryAgain: what could not be done must never look done,
// and the second try must count.
func TestProviderIsAskedToTryAgain(t *testing.T) {
	for name, fault := range map[string]struct{ stop, heal func(*gateway) }{
		"the store is down":         {func(g *gateway) { g.Store.setDown(true) }, func(g *gateway) { g.Store.setDown(false) }},
		"the store takes no writes": {func(g *gateway) { g.Store.setReadOnly(true) }, func(g *gateway) { g.Store.setReadOnly(false) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := oidctest.New(t)
			g := newGateway(t, corp(p)).waitReady(t)
			b := g.browser(t)
			b.signIn("/")
			token := p.LogoutToken(map[string]any{"sid": aliceSID})
			fault.stop(g)
			got := g.backChannel(t, token)
			checkTold(t, got, http.StatusServiceUnavailable)
			if got.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			fault.heal(g)
			if !alive(t, b) {
				t.Fatal("the session is gone")
			}
			checkTold(t, g.backChannel(t, token), http.StatusOK)
			if alive(t, b) {
				t.Error("the second try ended nothing")
			}
		})
	}
	t.Run("the provider's keys are not known", func(t *testing.T) {
		p := oidctest.New(t)
		p.Set(func(s *oidctest.Script) { s.KeysStatus = 500 })
		g := newGateway(t, corp(p)).waitReady(t)
		got := g.backChannel(t, p.LogoutToken(map[string]any{"sid": aliceSID}))
		checkTold(t, got, http.StatusServiceUnavailable)
	})
	t.Run("the provider was never reached", func(t *testing.T) {
		p := oidctest.New(t)
		p.Set(func(s *oidctest.Script) { s.MetadataStatus = 500 })
		got := newGateway(t, corp(p)).backChannel(t, p.LogoutToken(map[string]any{"sid": aliceSID}))
		checkTold(t, got, http.StatusServiceUnavailable)
	})
}

// TestStormOfUnknownKeysAtTheBackChannel: tokens with keys that nobody has cost
// the provider no more fetches than the limit that sign-ins share.
func TestStormOfUnknownKeysAtTheBackChannel(t *testing.T) {
	p := oidctest.New(t)
	g := newGateway(t, corp(p)).waitReady(t)
	b := g.browser(t)
	b.signIn("/") // the keys are known
	before := p.Calls(oidctest.Keys)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 25 {
				token := p.SignKey(fmt.Sprintf("unknown-%p", new(int)), p.LogoutClaims(map[string]any{"sid": aliceSID}))
				checkTold(t, g.backChannel(t, token), http.StatusBadRequest)
			}
		})
	}
	wait.Wait()
	if n := p.Calls(oidctest.Keys) - before; n > 2 {
		t.Errorf("200 tokens cost %d fetches of the keys", n)
	}
	checkTold(t, g.backChannel(t, p.LogoutToken(map[string]any{"sid": aliceSID})), http.StatusOK)
	if alive(t, b) {
		t.Error("the good token ended nothing")
	}
}

func TestUserWhoIsKnownByAnotherClaimIsFoundByIt(t *testing.T) {
	p := oidctest.New(t)
	cfg := corp(p)
	cfg.ClaimMapping = config.ClaimMapping{SubjectClaim: "oid", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups"}
	g := newGateway(t, cfg).waitReady(t)
	// sub alone names nobody whom a session here could name.
	checkTold(t, g.backChannel(t, p.LogoutToken(map[string]any{"sub": "alice"})), http.StatusBadRequest)
	checkTold(t, g.backChannel(t, p.LogoutToken(map[string]any{"sub": "alice", "oid": "o-1"})), http.StatusOK)
	checkTold(t, g.backChannel(t, p.LogoutToken(map[string]any{"sid": aliceSID})), http.StatusOK)
}
