package login_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// droppingJar is the cookie store of a browser that does not keep some cookies.
type droppingJar struct {
	*cookiejar.Jar

	drops func(name string) bool
}

func (j droppingJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, ck := range cookies {
		if !j.drops(ck.Name) {
			j.Jar.SetCookies(u, []*http.Cookie{ck})
		}
	}
}

// forgetful is a person whose browser drops the cookies of some names.
func (g *gateway) forgetful(t *testing.T, drops func(name string) bool) *browser {
	t.Helper()
	b := g.person(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b.client.Jar = droppingJar{jar, drops}
	return b
}

// surf loads a protected page as a browser does: whenever it lands at the
// application without a session, it is sent to the sign-in again.
func (b *browser) surf(page string, header ...string) (last *answer, rounds int) {
	b.t.Helper()
	login := "/.auth/login?return_to=" + url.QueryEscape(page)
	target := login
	for range 40 {
		last = b.get(target, header...)
		if last.StatusCode != http.StatusFound {
			return last, rounds
		}
		if target = last.location(); target == page {
			if b.session() != "" {
				return last, rounds
			}
			rounds++
			target = login
		}
	}
	b.t.Fatal("redirected without end")
	return nil, 0
}

func isLoopPage(t *testing.T, got *answer, says ...string) {
	t.Helper()
	if got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, login.ReasonLoop) || got.location() != "" {
		t.Fatalf("answered with %d: %s", got.StatusCode, got.body)
	}
	for _, text := range says {
		if !strings.Contains(got.body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if before := strings.Index(got.body, "<li>"); len(says) > 1 && !strings.HasPrefix(got.body[before+4:], says[1]) {
		t.Errorf("the first cause is %.60q, want %q", got.body[before+4:], says[1])
	}
}

const (
	saysBlocked  = "Your browser, or an extension, blocks"
	saysPlain    = "The address begins with http://"
	saysDomain   = "The cookie is set for a domain"
	saysFrame    = "The page is inside a frame"
	saysElse     = "Several gateways answer here"
	saysProvider = "The sign-in service sends people to the wrong address"
)

func TestBrowserThatDropsTheSessionCookieIsToldSo(t *testing.T) {
	op := oidctest.New(t)
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op)}}).waitReady(t)
	b := g.forgetful(t, func(name string) bool { return name == "sp" })
	got, rounds := b.surf("/page")
	isLoopPage(t, got, "<code>sp</code>", saysBlocked, g.Host)
	if rounds != 1 {
		t.Errorf("stopped after %d rounds", rounds)
	}
	if !strings.Contains(got.body, `href="/.auth/login?return_to=%2Fpage"`) {
		t.Error("no way to try again")
	}
	// Who has mended it, and asks again at once, is let through.
	b.client.Jar = b.client.Jar.(droppingJar).Jar
	if got, _ := b.surf("/page"); b.session() == "" {
		t.Errorf("then: %d %s", got.StatusCode, got.body)
	}
}

func TestBrowserThatDropsEveryCookieIsToldSoAfterOneRestart(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.forgetful(t, func(string) bool { return true })
	got, _ := b.surf("/page")
	isLoopPage(t, got, "<code>sp_login</code>", saysBlocked)
	if n := op.Calls(oidctest.Authorize); n != 2 {
		t.Errorf("%d times at the provider", n)
	}
	if n := op.Calls(oidctest.Token); n != 0 {
		t.Errorf("%d codes redeemed", n)
	}
}

func TestSecureCookieOnPlainHTTPIsExplained(t *testing.T) {
	op := oidctest.New(t)
	g := newGatewayWith(t, options{secure: true, atURL: func(string) []config.Provider { return []config.Provider{corp(op)} }}).waitReady(t)
	// A browser keeps no Secure cookie of an http URL.
	b := g.forgetful(t, func(name string) bool { return strings.HasPrefix(name, "__Host-") })
	target := "/.auth/login?return_to=%2Fpage"
	var got *answer
	for range 10 {
		got = b.get(strings.Replace(target, "https://"+g.Host, g.URL, 1))
		if target = got.location(); target == "" {
			break
		}
	}
	isLoopPage(t, got, "<code>__Host-sp_login</code>", saysPlain)

	// A proxy in front that speaks https says so.
	for proto, plain := range map[string]bool{"http": true, "https": false} {
		page := g.person(t).get("/.auth/login", "X-Forwarded-Proto", proto, "Cookie", "__Host-sp_login="+login.LoginMark('d', "/", 0))
		isLoopPage(t, page, "<code>__Host-sp</code>")
		if strings.Contains(page.body, saysPlain) != plain {
			t.Errorf("by %s the page blames http: %v", proto, !plain)
		}
	}
}

func TestDomainThatDoesNotCoverTheHostIsExplained(t *testing.T) {
	op := oidctest.New(t)
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op)}, cookie: config.Cookie{Domain: "elsewhere.test"}}).waitReady(t)
	b := g.person(t) // its jar keeps no cookie for another domain
	got, _ := b.surf(g.URL + "/page")
	isLoopPage(t, got, "<code>sp_login</code>", saysDomain)
}

func TestCookieThatDoesNotComeBackIsExplained(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	done := func(ago time.Duration, targets ...string) string {
		var marks []string
		for _, target := range targets {
			marks = append(marks, login.LoginMark('d', target, ago))
		}
		return "sp_login=" + strings.Join(marks, ".")
	}
	tests := map[string]struct {
		header []string
		says   []string // none: the sign-in goes on
	}{
		"a sign-in has just worked":       {[]string{"Cookie", done(0, "/page")}, []string{"<code>sp</code>", saysBlocked}},
		"in a frame of another site":      {[]string{"Cookie", done(0, "/page"), "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Sec-Fetch-Site", "cross-site"}, []string{"<code>sp</code>", saysFrame}},
		"another tab's sign-in worked":    {[]string{"Cookie", done(9*time.Second, "/other")}, []string{"<code>sp</code>"}},
		"it worked a while ago":           {[]string{"Cookie", done(11*time.Second, "/page")}, nil},
		"three times within a minute":     {[]string{"Cookie", done(30*time.Second, "/page", "/page", "/page")}, []string{"<code>sp</code>", saysBlocked}},
		"three tabs within a minute":      {[]string{"Cookie", done(30*time.Second, "/a", "/b", "/c")}, nil},
		"three times, long ago":           {[]string{"Cookie", done(2*time.Minute, "/page", "/page", "/page")}, nil},
		"it comes back, and is unknown":   {[]string{"Cookie", "sp=x; " + done(0, "/page", "/page", "/page")}, []string{"<code>sp</code>", saysElse}},
		"it came back once, and is stale": {[]string{"Cookie", "sp=x; " + done(0, "/page")}, nil},
		"a program":                       {[]string{"Cookie", done(0, "/page"), "Accept", "*/*"}, nil},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			got := g.person(t).get("/.auth/login?return_to=%2Fpage", c.header...)
			if c.says != nil {
				isLoopPage(t, got, c.says...)
				return
			}
			if got.StatusCode >= 400 {
				t.Errorf("answered with %d: %s", got.StatusCode, got.body)
			}
		})
	}
}

// TestProviderThatSendsBrowsersBackTooEarlyIsFound: it never calls the callback,
// so no cookie is at fault.
func TestProviderThatSendsBrowsersBackTooEarlyIsFound(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.person(t)
	for i := range 4 {
		got := b.get("/.auth/login?return_to=%2Fpage", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		if i == 3 {
			isLoopPage(t, got, "Try again", saysProvider)
		} else if got.StatusCode != http.StatusOK {
			t.Fatalf("sign-in %d: %d", i, got.StatusCode)
		}
	}
}

// TestSigningOutAndInAgainIsNoCircle, nor is changing the account.
func TestSigningOutAndInAgainIsNoCircle(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.person(t)
	for range 5 {
		if got, _ := b.surf("/page"); b.session() == "" {
			t.Fatalf("signing in: %d %s", got.StatusCode, got.body)
		}
		if got := b.get("/.auth/login?switch=1&return_to=%2Fpage"); got.StatusCode != http.StatusFound {
			t.Fatalf("changing the account: %d", got.StatusCode)
		}
		b.post("/.auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin")
		if b.session() != "" || b.cookie("sp_login") != "" {
			t.Fatal("signing out leaves cookies")
		}
	}
}

// TestStrictCookieThatIsHeldBackIsNoCircle: a link on another site brings the
// browser without it, within seconds after the sign-in.
func TestStrictCookieThatIsHeldBackIsNoCircle(t *testing.T) {
	op := oidctest.New(t)
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op)}, cookie: config.Cookie{SameSite: "strict"}}).waitReady(t)
	got := g.person(t).get("/.auth/login", "Cookie", "sp_login="+login.LoginMark('d', "/", 0), "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	if got.StatusCode != http.StatusOK || strings.Contains(got.body, login.ReasonLoop) {
		t.Errorf("answered with %d", got.StatusCode)
	}
}
