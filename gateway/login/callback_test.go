package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// refused asserts that a callback signed nobody in.
func refused(t *testing.T, b *browser, got *answer, status int, reason string) {
	t.Helper()
	if got.StatusCode != status || got.reason() != reason {
		t.Errorf("answered with %d %s, want %d %s: %s", got.StatusCode, got.reason(), status, reason, got.body)
	}
	if b.session() != "" {
		t.Error("there is a session cookie")
	}
	if n := b.g.Store.created(); n != 0 {
		t.Errorf("%d sessions were made", n)
	}
}

func TestCallbackWithStateThatIsMissingWrongOrForeignIsRefusedUnasked(t *testing.T) {
	op := oidctest.New(t)
	other := corp(op)
	other.Name, other.ClientSecret = "other", "another secret"
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op), other}, known: []string{"other.example.test"}}).waitReady(t)
	const otherHost = "other.example.test"
	mallory := g.browser(t)
	own := mallory.get(mallory.get("/.auth/login?provider=corp").location()).location()
	tests := map[string]func(b *browser) string{
		"no state":    func(*browser) string { return "/.auth/callback/corp?code=x" },
		"empty state": func(*browser) string { return "/.auth/callback/corp?code=x&state=" },
		"a random state": func(*browser) string {
			return "/.auth/callback/corp?code=x&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		},
		"an enormous state":                           func(*browser) string { return "/.auth/callback/corp?code=x&state=" + strings.Repeat("A", 20_000) },
		"mallory's code and state in alice's browser": func(*browser) string { return own },
		"mallory's state while alice signs in herself": func(b *browser) string {
			b.get("/.auth/login?provider=corp")
			return own
		},
		"a tampered state": func(b *browser) string {
			callback := b.get(b.get("/.auth/login?provider=corp").location()).location()
			return withQuery(t, callback, func(q url.Values) {
				s := []byte(q.Get("state"))
				s[40] ^= 1
				q.Set("state", string(s))
			})
		},
		"the state of another provider": func(b *browser) string {
			callback := b.get(b.get("/.auth/login?provider=other").location()).location()
			return strings.Replace(callback, "/callback/other", "/callback/corp", 1)
		},
		"a login cookie of mallory's making": func(b *browser) string {
			b.setCookie("sp_login", strings.Repeat("A", 12))
			return own
		},
		"a callback on an unknown host": func(b *browser) string {
			callback := b.get(b.get("/.auth/login?provider=corp").location()).location()
			return strings.Replace(callback, "127.0.0.1", "localhost", 1)
		},
	}
	for name, make := range tests {
		t.Run(name, func(t *testing.T) {
			b := g.browser(t)
			callback := make(b)
			got := b.get(callback)
			refused(t, b, got, http.StatusBadRequest, login.ReasonInvalidState)
		})
	}
	b := g.browser(t)
	callback := b.get(b.get("/.auth/login?provider=corp").location()).location()
	refused(t, b, b.get(callback, "Host", otherHost, "Cookie", "sp_login="+b.cookie("sp_login")), http.StatusBadRequest, login.ReasonInvalidState)
	if n := op.Calls(oidctest.Token); n != 0 {
		t.Errorf("the token endpoint was asked %d times", n)
	}
}

func TestCallbackIsSingleUseAndShortLived(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	callback := b.beginLogin("/deep?x=1")
	b.get(callback)
	if b.session() == "" {
		t.Fatal("the first use does not sign in")
	}
	if left, _ := login.ParseLoginCookie(b.cookie("sp_login")); len(left) != 0 {
		t.Error("the finished sign-in is still in the login cookie")
	}
	if got := b.get(callback); got.StatusCode != http.StatusFound || got.location() != "/deep?x=1" || got.setCookie("sp") != nil {
		t.Errorf("the second use by who is signed in: %d to %q", got.StatusCode, got.location())
	}
	thief := g.browser(t)
	if got := thief.get(callback); got.StatusCode != http.StatusBadRequest || thief.session() != "" {
		t.Errorf("the second use in another browser: %d", got.StatusCode)
	}
	if n := op.Calls(oidctest.Token); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}

	late := g.browser(t)
	for age, works := range map[time.Duration]bool{9*time.Minute + 50*time.Second: true, 10*time.Minute + time.Second: false, -2 * time.Minute: false} {
		state, cookie := g.Service.StateStarted("corp", g.URL, "/", time.Now().Add(-age))
		late.setCookie("sp_login", cookie)
		before := op.Calls(oidctest.Token)
		late.get("/.auth/callback/corp?code=x&iss=" + url.QueryEscape(op.Issuer) + "&state=" + state)
		if asked := op.Calls(oidctest.Token) > before; asked != works {
			t.Errorf("a sign-in begun %v ago: the code was sent: %v", age, asked)
		}
	}
}

func TestReturnURLIsJudgedAgainWhenItIsUsed(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	b.signIn("/")
	// A state of this gateway whose host is served no more.
	state, _ := g.Service.StateStarted("corp", g.URL, "https://gone.example.test/x", time.Now())
	if got := b.get("/.auth/callback/corp?code=x&state=" + state); got.StatusCode != http.StatusFound || got.location() != "/" {
		t.Errorf("%d to %q", got.StatusCode, got.location())
	}
}

func TestFailedCallbackCannotBeUsedAgain(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	callback := b.beginLogin("/")
	op.Set(func(s *oidctest.Script) { s.TokenStatus = http.StatusInternalServerError })
	refused(t, b, b.get(callback), http.StatusServiceUnavailable, login.ReasonProviderUnavailable)
	op.Reset()
	refused(t, b, b.get(callback), http.StatusBadRequest, login.ReasonInvalidState)
	if b.cookie("sp_login") != "" {
		t.Error("the failed sign-in is still in the login cookie")
	}
}

func TestRepeatedProtocolParametersAreRefusedUnasked(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	for name, change := range map[string]func(url.Values){
		"two codes":        func(q url.Values) { q.Add("code", "b") },
		"code and error":   func(q url.Values) { q.Set("error", "x") },
		"two states":       func(q url.Values) { q.Add("state", q.Get("state")) },
		"two errors":       func(q url.Values) { q.Del("code"); q["error"] = []string{"a", "b"} },
		"two issuers":      func(q url.Values) { q.Add("iss", q.Get("iss")) },
		"neither":          func(q url.Values) { q.Del("code") },
		"an empty code":    func(q url.Values) { q.Set("code", "") },
		"an enormous code": func(q url.Values) { q.Set("code", strings.Repeat("a", 5000)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := g.browser(t)
			refused(t, b, b.get(withQuery(t, b.beginLogin("/"), change)), http.StatusBadRequest, login.ReasonMalformed)
		})
	}
	if n := op.Calls(oidctest.Token); n != 0 {
		t.Errorf("the token endpoint was asked %d times", n)
	}
}

func TestNoTokenIsTakenFromTheFrontChannel(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	for name, change := range map[string]func(url.Values){
		"an ID token instead of a code":     func(q url.Values) { q.Del("code"); q.Set("id_token", "x") },
		"an ID token beside a code":         func(q url.Values) { q.Set("id_token", "x") },
		"an access token beside a code":     func(q url.Values) { q.Set("access_token", "x") },
		"an access token instead of a code": func(q url.Values) { q.Del("code"); q.Set("access_token", "x") },
	} {
		t.Run(name, func(t *testing.T) {
			b := g.browser(t)
			refused(t, b, b.get(withQuery(t, b.beginLogin("/"), change)), http.StatusBadRequest, login.ReasonMalformed)
		})
	}
	b := g.browser(t)
	callback := b.beginLogin("/")
	u, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	got := b.post(u.Path, u.Query())
	refused(t, b, got, http.StatusMethodNotAllowed, login.ReasonMethod)
	if got.Header.Get("Allow") != "GET" {
		t.Errorf("Allow is %q", got.Header.Get("Allow"))
	}
	if n := op.Calls(oidctest.Token); n != 0 {
		t.Errorf("the token endpoint was asked %d times", n)
	}
}

func TestProviderErrorIsAPlainPageAndNoLoop(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	for code, want := range map[string]struct {
		status int
		reason string
	}{
		"access_denied":             {http.StatusForbidden, login.ReasonAccessDenied},
		"temporarily_unavailable":   {http.StatusServiceUnavailable, login.ReasonProviderUnavailable},
		"server_error":              {http.StatusServiceUnavailable, login.ReasonProviderUnavailable},
		"login_required":            {http.StatusBadRequest, login.ReasonProviderError},
		"<script>alert(1)</script>": {http.StatusBadRequest, login.ReasonProviderError},
	} {
		t.Run(code, func(t *testing.T) {
			b := g.browser(t)
			for range 5 {
				callback := withQuery(t, b.beginLogin("/"), func(q url.Values) {
					q.Del("code")
					q.Set("error", code)
					q.Set("error_description", "\r\nX-Evil: 1 <script>alert(2)</script>")
				})
				refused(t, b, b.get(callback), want.status, want.reason)
				page := b.get(callback, "Accept", "text/html")
				if page.StatusCode != http.StatusBadRequest || page.location() != "" || b.cookie("sp_login") != "" {
					t.Errorf("the error can be used again: %d", page.StatusCode)
				}
				if strings.Contains(page.body, "alert(") || page.Header.Get("X-Evil") != "" {
					t.Error("what the link said is in the answer")
				}
			}
			callback := withQuery(t, b.beginLogin("/"), func(q url.Values) { q.Del("code"); q.Set("error", code); q.Set("error_description", "alert(") })
			page := b.get(callback, "Accept", "text/html")
			if page.StatusCode != want.status || strings.Contains(page.body, "alert(") || !strings.Contains(page.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("the page: %d %s", page.StatusCode, page.body)
			}
		})
	}
	refused(t, g.browser(t), g.browser(t).get("/.auth/callback/corp?error=access_denied"), http.StatusBadRequest, login.ReasonInvalidState)
	if n := op.Calls(oidctest.Token); n != 0 {
		t.Errorf("the token endpoint was asked %d times", n)
	}
}

func TestIssuerOfTheAuthorizationResponse(t *testing.T) {
	op := oidctest.New(t)
	announced := newGateway(t, corp(op)).waitReady(t)
	op.Set(func(s *oidctest.Script) {
		s.Metadata = func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") }
	})
	silent := newGateway(t, corp(op)).waitReady(t)
	op.Reset()

	missing := func(q url.Values) { q.Del("iss") }
	foreign := func(q url.Values) { q.Set("iss", "https://evil.test") }
	b := announced.browser(t)
	refused(t, b, b.get(withQuery(t, b.beginLogin("/"), missing)), http.StatusBadRequest, login.ReasonWrongIssuer)
	refused(t, b, b.get(withQuery(t, b.beginLogin("/"), foreign)), http.StatusBadRequest, login.ReasonWrongIssuer)
	b = silent.browser(t)
	refused(t, b, b.get(withQuery(t, b.beginLogin("/"), foreign)), http.StatusBadRequest, login.ReasonWrongIssuer)
	if n := op.Calls(oidctest.Token); n != 0 {
		t.Errorf("the code was sent %d times", n)
	}
	if got := b.get(withQuery(t, b.beginLogin("/"), missing)); got.StatusCode != http.StatusFound || b.session() == "" {
		t.Errorf("without iss from a provider that announces none: %d", got.StatusCode)
	}
}

func TestMixUpBetweenProvidersNeverSendsOneProvidersCodeToTheOther(t *testing.T) {
	honest, evil := oidctest.New(t), oidctest.New(t)
	attacker := corp(evil)
	attacker.Name = "evil"
	g := newGateway(t, corp(honest), attacker).waitReady(t)
	b := g.browser(t)
	// Alice chose the evil provider, which sends her on to the honest one with
	// the state that it got.
	state := mustQuery(t, b.get("/.auth/login?provider=evil").location()).Get("state")
	honestURL := withQuery(t, b.get("/.auth/login?provider=corp").location(), func(q url.Values) { q.Set("state", state) })
	callback := b.get(honestURL).location()
	refused(t, b, b.get(callback), http.StatusBadRequest, login.ReasonInvalidState)
	toEvil := strings.Replace(callback, "/callback/corp", "/callback/evil", 1)
	refused(t, b, b.get(toEvil), http.StatusBadRequest, login.ReasonWrongIssuer)
	if n := evil.Calls(oidctest.Token) + honest.Calls(oidctest.Token); n != 0 {
		t.Errorf("a code was sent %d times", n)
	}
}

func TestStaleCallbackOffersANewStart(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	callback := g.browser(t).beginLogin("/deep")
	got := g.browser(t).get(callback)
	if want := `"login_url":"/.auth/login?provider=corp\u0026return_to=%2Fdeep"`; !strings.Contains(got.body, want) {
		t.Errorf("%s does not hold %s", got.body, want)
	}
}

func TestSessionIDsFromBeforeTheSignInAreWorthlessAfterIt(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op), devProvider()).waitReady(t)
	planted := g.browser(t)
	planted.post("/.auth/login", url.Values{"provider": {"dev"}, "username": {"mallory"}})
	old := planted.session()

	b := g.browser(t)
	b.setCookie("sp", old)
	consent := b.get(b.get("/.auth/login?provider=corp&switch=1").location())
	b.get(consent.location())
	if b.session() == old || b.session() == "" {
		t.Fatal("the session id was not exchanged")
	}
	if who, _ := b.me(); who["subject"] != "alice" {
		t.Errorf("signed in as %v", who["subject"])
	}
	if _, status := planted.me(); status != http.StatusUnauthorized {
		t.Errorf("the planted session answers %d", status)
	}
	b.post("/.auth/login", url.Values{"provider": {"dev"}, "username": {"mallory"}})
	if all := g.Store.all(); len(all) != 1 || all[0].Identity.Subject != "mallory" {
		t.Errorf("after signing in as another there are %d sessions", len(all))
	}
	for _, value := range []string{"attacker-chosen", strings.Repeat("A", 34)} {
		b := g.browser(t)
		b.setCookie("sp", value)
		b.get(b.get(b.get("/.auth/login?provider=corp").location()).location())
		if b.session() == value {
			t.Error("a chosen session id was kept")
		}
	}
}

func TestStoreOutageAtTheCallbackIsNoRefusalAndDeletesNoSession(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	b.signIn("/")
	was := b.session()
	consent := b.get(b.get("/.auth/login?switch=1").location())
	g.Store.setDown(true)
	for _, target := range []string{consent.location(), "/.auth/login", "/.auth/logout", "/.auth/me"} {
		got := b.get(target)
		if got.StatusCode != http.StatusServiceUnavailable || got.reason() != login.ReasonStoreUnavailable || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s answers %d %s", target, got.StatusCode, got.reason())
		}
	}
	if got := b.post("/.auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin"); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the sign-out answers %d", got.StatusCode)
	}
	if b.session() != was {
		t.Error("the session cookie is gone")
	}
	g.Store.setDown(false)
	if _, status := b.me(); status != http.StatusOK {
		t.Errorf("after the outage /.auth/me answers %d", status)
	}
}

func TestStrictCookieLandsOnAPageOfOurOwn(t *testing.T) {
	op := oidctest.New(t)
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op)}, cookie: config.Cookie{SameSite: "strict"}}).waitReady(t)
	b := g.browser(t)
	got := b.get(b.beginLogin("/deep;x=1,2?y='\""))
	if got.StatusCode != http.StatusOK || got.Header.Get("Refresh") != "0;url=/deep;x=1,2?y='\"" || got.location() != "" {
		t.Errorf("answered with %d, Refresh %q", got.StatusCode, got.Header.Get("Refresh"))
	}
	if ck := got.setCookie("sp"); ck == nil || ck.SameSite != http.SameSiteStrictMode {
		t.Errorf("the session cookie is %v", ck)
	}
}
