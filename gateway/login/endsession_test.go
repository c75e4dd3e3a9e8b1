package login_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

const byeElsewhere = "https://www.example.com/bye?from=app"

// newSignOut is a gateway with a provider that has all endpoints for signing
// out, and a browser that is signed in there.
func newSignOut(t *testing.T, change func(*oidctest.Script)) (*gateway, *oidctest.Provider, *browser) {
	t.Helper()
	p := oidctest.New(t)
	p.Set(func(s *oidctest.Script) {
		s.WithSignOut = true
		if change != nil {
			change(s)
		}
	})
	g := newGatewayWith(t, options{
		providers: []config.Provider{corp(p)}, logoutTargets: []string{byeElsewhere},
	}).waitReady(t)
	b := g.browser(t)
	b.signIn("/")
	return g, p, b
}

// signOut posts as a form of an application's own page does.
func (b *browser) signOut(form url.Values, header ...string) *answer {
	b.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	return b.post("/.auth/logout", form, append([]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Accept", "text/html"}, header...)...)
}

func (b *browser) navigate(target string) *answer {
	b.t.Helper()
	return b.get(target, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", "text/html")
}

func TestSignOutGoesOnToTheProviderAndComesBack(t *testing.T) {
	for name, c := range map[string]struct{ wish, lands string }{
		"without a wish":                  {"", ""},
		"to a page of the site":           {"/bye?x=1", "/bye?x=1"},
		"to another site that was listed": {byeElsewhere, byeElsewhere},
	} {
		t.Run(name, func(t *testing.T) {
			g, p, b := newSignOut(t, nil)
			old := b.session()
			got := b.signOut(url.Values{"return_to": {c.wish}})
			if got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.location(), p.Issuer+"/end?") {
				t.Fatalf("%d to %q", got.StatusCode, got.location())
			}
			if ck := got.setCookie("sp"); ck == nil || ck.MaxAge >= 0 {
				t.Error("the cookie is not deleted")
			}
			if got.Header.Get("Clear-Site-Data") != `"cache"` {
				t.Errorf("Clear-Site-Data: %q", got.Header.Get("Clear-Site-Data"))
			}
			// The session is over before the browser has left.
			b.setCookie("sp", old)
			if _, status := b.me(); status != http.StatusUnauthorized {
				t.Errorf("the old cookie answers %d", status)
			}
			back := b.get(got.location())
			q := p.Ended()[0]
			if q.Get("client_id") != oidctest.ClientID || q.Get("post_logout_redirect_uri") != g.URL+"/.auth/logout/done" {
				t.Errorf("the provider was asked %v", q)
			}
			if strings.Count(q.Get("id_token_hint"), ".") != 2 {
				t.Errorf("the hint is %q", q.Get("id_token_hint"))
			}
			done := b.navigate(back.location())
			if c.lands == "" {
				if done.StatusCode != http.StatusOK || !strings.Contains(done.body, "You are signed out") || strings.Contains(done.body, "still") {
					t.Errorf("%d %s", done.StatusCode, done.body)
				}
			} else if done.StatusCode != http.StatusFound || done.location() != c.lands {
				t.Errorf("%d to %q", done.StatusCode, done.location())
			}
		})
	}
}

// TestSignOutFromTheGatewaysOwnPageCrossesTheBorderByAPage: the page's own
// form-action would stop a redirect to the provider, with the user still looking
// at the form.
func TestSignOutFromTheGatewaysOwnPageCrossesTheBorderByAPage(t *testing.T) {
	_, p, b := newSignOut(t, nil)
	token := formToken(t, b.navigate("/.auth/logout"))
	got := b.signOut(url.Values{"csrf": {token}})
	refresh := got.Header.Get("Refresh")
	if got.StatusCode != http.StatusOK || !strings.Contains(refresh, "url="+p.Issuer+"/end?") || !strings.Contains(html.UnescapeString(got.body), p.Issuer+"/end?") {
		t.Errorf("%d, Refresh %q\n%s", got.StatusCode, refresh, got.body)
	}
	if ck := got.setCookie("sp"); ck == nil || ck.MaxAge >= 0 {
		t.Error("the cookie is not deleted")
	}
}

func TestProgramsAreNotSentToTheProvidersPages(t *testing.T) {
	_, p, b := newSignOut(t, nil)
	got := b.post("/.auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors")
	if got.StatusCode != http.StatusSeeOther || got.location() != "/.auth/logout" {
		t.Errorf("%d to %q", got.StatusCode, got.location())
	}
	waitFor(t, "the tokens to be revoked", func() bool { return len(p.Revocations()) == 2 })
}

func TestSignOutWorksWithoutTheProviderAndSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		before, after func(*oidctest.Script)
		wish, lands   string
	}{
		"a provider that has no such page": {before: func(s *oidctest.Script) { s.WithSignOut = false }, lands: "/.auth/logout/done?still=corp"},
		"the same, with a wish":            {before: func(s *oidctest.Script) { s.WithSignOut = false }, wish: "/bye", lands: "/bye"},
		"a provider that is down":          {after: func(s *oidctest.Script) { s.MetadataStatus = 502 }, lands: "/.auth/logout/done?still=corp"},
		"the same, with a wish: first the page": {
			after: func(s *oidctest.Script) { s.MetadataStatus = 502 }, wish: byeElsewhere, lands: "/.auth/logout/done?state=",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, p, b := newSignOut(t, c.before)
			if c.after != nil {
				p.Set(c.after)
			}
			got := b.signOut(url.Values{"return_to": {c.wish}})
			if got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.location(), c.lands) {
				t.Fatalf("%d to %q", got.StatusCode, got.location())
			}
			if n := len(g.Store.all()); n != 0 || b.session() != "" {
				t.Errorf("%d sessions and the cookie %q are left", n, b.session())
			}
			if !strings.HasPrefix(c.lands, "/.auth/") {
				return
			}
			page := b.navigate(got.location())
			if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "corp could not be told") {
				t.Errorf("%d %s", page.StatusCode, page.body)
			}
			if c.wish != "" && !strings.Contains(html.UnescapeString(page.body), `href="`+c.wish+`"`) {
				t.Errorf("the page does not lead on:\n%s", page.body)
			}
		})
	}
}

// TestSignOutLeadsNowhereElse: a target is one of the site's or one that was
// listed, character by character, and a refused one costs nobody his session.
func TestSignOutLeadsNowhereElse(t *testing.T) {
	_, _, b := newSignOut(t, nil)
	for _, wish := range []string{
		"https://www.example.com/bye", "https://www.example.com/bye?from=app&x", "https://www.example.com/bye?from=app#x",
		"HTTPS://www.example.com/bye?from=app", "https://www.example.com:443/bye?from=app", "https://www.example.com/bye?from=app ",
		"//www.example.com/bye?from=app", "http://www.example.com/bye?from=app", "https://evil.test/", "https://www.example.com.evil.test/bye?from=app",
		"https://www.example.com/bye?from=app\r\nSet-Cookie: a=b", `https:\\www.example.com\bye?from=app`, "javascript:alert(1)",
	} {
		for _, how := range []string{"form", "query", "page"} {
			var got *answer
			switch how {
			case "form":
				got = b.signOut(url.Values{"return_to": {wish}})
			case "query":
				got = b.post("/.auth/logout?return_to="+url.QueryEscape(wish), url.Values{}, "Sec-Fetch-Site", "same-origin")
			default:
				got = b.get("/.auth/logout?return_to=" + url.QueryEscape(wish))
			}
			if got.StatusCode != http.StatusBadRequest || got.reason() != login.ReasonReturnTo && how != "form" {
				t.Errorf("%s %q: %d to %q", how, wish, got.StatusCode, got.location())
			}
		}
	}
	got := b.signOut(url.Values{"return_to": {byeElsewhere}, "rd": {byeElsewhere}})
	if got.StatusCode != http.StatusBadRequest {
		t.Errorf("two wishes: %d", got.StatusCode)
	}
	if _, status := b.me(); status != http.StatusOK {
		t.Errorf("the session is gone: %d", status)
	}
}

// TestWhatComesBackFromTheProviderIsNeverAnError, and leads nowhere that was not
// sealed here.
func TestWhatComesBackFromTheProviderIsNeverAnError(t *testing.T) {
	g, _, b := newSignOut(t, nil)
	away, err := url.Parse(b.signOut(url.Values{"return_to": {"/bye"}}).location())
	if err != nil {
		t.Fatal(err)
	}
	good := away.Query().Get("state")
	loginState, _ := g.Service.StateStarted("corp", g.URL, "/bye", time.Now())
	for name, q := range map[string]url.Values{
		"nothing":                 {},
		"a state that is none":    {"state": {"x"}},
		"a state cut short":       {"state": {good[:len(good)-2]}},
		"a changed state":         {"state": {good[:len(good)/2] + "AAAAAAAA" + good[len(good)/2+8:]}},
		"a sign-in's state":       {"state": {loginState}},
		"two states":              {"state": {good, good}},
		"a state that is too big": {"state": {strings.Repeat("A", 100_000)}},
		"an error":                {"error": {"access_denied"}, "error_description": {"<b>"}},
		"a provider that is none": {"still": {"<script>"}},
		"a wish in the clear":     {"return_to": {"/bye"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := b.navigate("/.auth/logout/done?" + q.Encode())
			if got.StatusCode != http.StatusOK || !strings.Contains(got.body, "You are signed out") || strings.Contains(got.body, "<script>") {
				t.Errorf("%d to %q: %.200s", got.StatusCode, got.location(), got.body)
			}
		})
	}
	if got := b.navigate("/.auth/logout/done?state=" + good); got.StatusCode != http.StatusFound || got.location() != "/bye" {
		t.Errorf("the good one: %d to %q", got.StatusCode, got.location())
	}
	// A link from anywhere must not tell somebody who is signed in that he is not.
	b.signIn("/")
	if got := b.navigate("/.auth/logout/done"); got.StatusCode != http.StatusFound || got.location() != "/.auth/logout" {
		t.Errorf("while signed in: %d to %q", got.StatusCode, got.location())
	}
	if got := b.post("/.auth/logout/done", url.Values{}); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.StatusCode)
	}
	if _, status := b.me(); status != http.StatusOK {
		t.Errorf("the session is gone: %d", status)
	}
}

func TestSignOutTakesTheTokensBackAtTheProvider(t *testing.T) {
	var issued map[string]any
	g, p, b := newSignOut(t, func(s *oidctest.Script) {
		s.TokenAnswer = func(a map[string]any) { issued = a }
	})
	b.signOut(nil)
	waitFor(t, "two revocations", func() bool { return len(p.Revocations()) == 2 })
	for i, kind := range []string{"refresh_token", "access_token"} {
		if got := p.Revocations()[i]; got.Get("token") != issued[kind] || got.Get("token_type_hint") != kind {
			t.Errorf("revocation %d is %v", i, got)
		}
	}
	waitFor(t, "the audit line", func() bool {
		for _, a := range g.auditLog() {
			if a.Event == login.EventRevoke && a.Outcome == login.OutcomeOK && a.Subject == "alice" && a.Session != "" {
				return true
			}
		}
		return false
	})
}

// TestSignOutNeverWaitsForARevocation: the provider is asked in the background,
// and its trouble is the operators' alone.
func TestSignOutNeverWaitsForARevocation(t *testing.T) {
	hold := make(chan struct{})
	for name, c := range map[string]struct {
		trouble func(*oidctest.Script)
		reason  string
	}{
		"a provider that hangs":             {func(s *oidctest.Script) { s.HoldRevoke = hold }, ""},
		"a provider that is down":           {func(s *oidctest.Script) { s.RevokeStatus = 503 }, login.ReasonProviderUnavailable},
		"a provider with too many requests": {func(s *oidctest.Script) { s.RevokeStatus = 429 }, login.ReasonProviderUnavailable},
		"a provider that refuses": {
			func(s *oidctest.Script) { s.RevokeStatus, s.RevokeError = 401, "invalid_client" }, login.ReasonProviderError,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var issued map[string]any
			g, _, b := newSignOut(t, func(s *oidctest.Script) {
				s.TokenAnswer = func(a map[string]any) { issued = a }
				c.trouble(s)
			})
			if got := b.signOut(nil); got.StatusCode != http.StatusSeeOther || b.session() != "" {
				t.Errorf("%d", got.StatusCode)
			}
			if c.reason == "" {
				return
			}
			waitFor(t, "the audit line", func() bool {
				for _, a := range g.auditLog() {
					if a.Event == login.EventRevoke && a.Outcome == login.OutcomeFailed && a.Reason == c.reason {
						return true
					}
				}
				return false
			})
			// The provider's answer quotes the token.
			for _, kind := range []string{"refresh_token", "access_token", "id_token"} {
				if token, _ := issued[kind].(string); token == "" || strings.Contains(g.everythingLogged(), token) {
					t.Errorf("the log holds the %s, or there is none", kind)
				}
			}
		})
	}
	close(hold)
}

func TestTokensOfAKindThatCanNotBeTakenBackAreLeft(t *testing.T) {
	g, _, b := newSignOut(t, func(s *oidctest.Script) { s.RevokeStatus, s.RevokeError = 400, "unsupported_token_type" })
	b.signOut(nil)
	waitFor(t, "the audit line", func() bool {
		audits := g.auditLog()
		last := audits[len(audits)-1]
		return last.Event == login.EventRevoke && last.Outcome == login.OutcomeOK
	})
}

// TestSignOutWithTheStoreDownEndsNothing: neither here nor at the provider, for
// the session would live on.
func TestSignOutWithTheStoreDownEndsNothing(t *testing.T) {
	g, p, b := newSignOut(t, nil)
	g.Store.setReadOnly(true)
	if got := b.signOut(nil); got.StatusCode != http.StatusServiceUnavailable || got.setCookie("sp") != nil {
		t.Errorf("%d", got.StatusCode)
	}
	if len(p.Ended()) != 0 || len(p.Revocations()) != 0 {
		t.Error("the provider was asked")
	}
	g.Store.setReadOnly(false)
	if _, status := b.me(); status != http.StatusOK {
		t.Errorf("the session is gone: %d", status)
	}
}
