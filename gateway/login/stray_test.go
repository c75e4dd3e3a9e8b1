package login_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// person is a browser that asks for pages as older browsers do.
func (g *gateway) person(t *testing.T) *browser {
	t.Helper()
	b := g.browser(t)
	b.header.Set("Accept", "text/html,application/xhtml+xml")
	return b
}

// follow goes on until an answer is no redirect, or leads to the application.
func (b *browser) follow(target string) (final string, last *answer) {
	b.t.Helper()
	for range 12 {
		last = b.get(target)
		if last.StatusCode != http.StatusFound && last.StatusCode != http.StatusSeeOther {
			return target, last
		}
		target = last.location()
		if strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "/.auth/") {
			return target, last
		}
	}
	b.t.Fatalf("redirected without end, lately to %s", target)
	return "", nil
}

// TestStaleCallbackSignsInOnceMoreWithoutAWord is the overnight login page, the
// back button, the provider's page that was bookmarked: the code is worth
// nothing, and the user gets where he wanted.
func TestStaleCallbackSignsInOnceMoreWithoutAWord(t *testing.T) {
	op := oidctest.New(t)
	other := corp(op)
	other.Name = "other"
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op), other}}).waitReady(t)
	begin := func(b *browser, provider string) string {
		return b.get(b.get("/.auth/login?return_to=%2Fdeep%3Fx%3D1&provider=" + provider).location()).location()
	}
	old := func(cookieToo bool) func(b *browser) string {
		return func(b *browser) string {
			state, cookie := g.Service.StateStarted("corp", g.URL, "/deep?x=1", time.Now().Add(-9*time.Hour))
			if cookieToo {
				b.setCookie("sp_login", cookie)
			}
			return "/.auth/callback/corp?code=x&iss=" + url.QueryEscape(op.Issuer) + "&state=" + state
		}
	}
	tests := map[string]struct {
		callback func(b *browser) string
		want     string
	}{
		"the page was open overnight":                       {old(false), "/deep?x=1"},
		"the page was open overnight, the cookie lives":     {old(true), "/deep?x=1"},
		"the provider's page was opened in another browser": {func(*browser) string { return begin(g.person(t), "corp") }, "/deep?x=1"},
		"the callback was bookmarked, and is bare":          {func(*browser) string { return "/.auth/callback/corp" }, "/"},
		"the state is of keys that are gone":                {func(*browser) string { return "/.auth/callback/corp?code=x&state=" + strings.Repeat("A", 200) }, "/"},
		"the other of two providers":                        {func(*browser) string { return begin(g.person(t), "other") }, "/deep?x=1"},
		"used before, and the session is over": {func(b *browser) string {
			callback := begin(b, "corp")
			b.get(callback)
			b.post("/.auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin")
			return callback
		}, "/deep?x=1"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			b := g.person(t)
			callback := c.callback(b)
			code := mustQuery(t, callback).Get("code")
			rounds := op.Calls(oidctest.Authorize)
			uses := strings.Count(strings.Join(codes(op), " "), code)
			where, _ := b.follow(callback)
			if where != c.want || b.session() == "" {
				t.Errorf("ended at %q, signed in: %v", where, b.session() != "")
			}
			if n := op.Calls(oidctest.Authorize) - rounds; n != 1 {
				t.Errorf("%d times at the provider", n)
			}
			if code != "" && strings.Count(strings.Join(codes(op), " "), code) != uses {
				t.Error("the stale code was sent to the provider")
			}
		})
	}
}

// codes are all codes that were exchanged.
func codes(op *oidctest.Provider) (all []string) {
	for _, q := range op.Exchanges() {
		all = append(all, q.Get("code"))
	}
	return all
}

func TestStaleCallbackOfWhoIsSignedInGoesWhereItWanted(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.person(t)
	foreign := g.person(t).beginLogin("/theirs")
	b.signIn("/")
	was, calls := b.session(), op.Calls(oidctest.Token)
	state, _ := g.Service.StateStarted("corp", g.URL, "/old", time.Now().Add(-24*time.Hour))
	for callback, want := range map[string]string{
		foreign: "/theirs",
		"/.auth/callback/corp?code=x&state=" + state: "/old",
		"/.auth/callback/corp?code=x&state=junk":     "/",
		"/.auth/callback/corp?error=access_denied":   "/",
	} {
		if got := b.get(callback); got.StatusCode != http.StatusFound || got.location() != want || len(got.Cookies()) != 0 {
			t.Errorf("%.60s: %d to %q, cookies %v", callback, got.StatusCode, got.location(), got.Cookies())
		}
	}
	if b.session() != was || op.Calls(oidctest.Token) != calls {
		t.Error("the session was exchanged, or a code redeemed")
	}
}

// TestStaleCallbackRestartsOnceForAPageAndAMinute: after that it explains.
func TestStaleCallbackRestartsOnceForAPageAndAMinute(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	stale := func(target string) string {
		state, _ := g.Service.StateStarted("corp", g.URL, target, time.Now().Add(-time.Hour))
		return "/.auth/callback/corp?code=x&state=" + state
	}
	b := g.person(t)
	if got := b.get(stale("/a")); got.StatusCode != http.StatusFound {
		t.Fatalf("the first: %d", got.StatusCode)
	}
	got := b.get(stale("/a"))
	if got.StatusCode != http.StatusBadRequest || got.location() != "" || !strings.Contains(got.body, "/.auth/login?") {
		t.Errorf("the second: %d to %q", got.StatusCode, got.location())
	}
	if got := b.get(stale("/b")); got.StatusCode != http.StatusFound {
		t.Errorf("another page: %d", got.StatusCode)
	}
	later := g.person(t)
	later.setCookie("sp_login", login.LoginMark('a', "/a", 2*time.Minute))
	if got := later.get(stale("/a")); got.StatusCode != http.StatusFound {
		t.Errorf("two minutes later: %d", got.StatusCode)
	}
	later.setCookie("sp_login", login.LoginMark('a', "/a", 50*time.Second))
	if got := later.get(stale("/a")); got.StatusCode != http.StatusBadRequest {
		t.Errorf("50 seconds later: %d", got.StatusCode)
	}
}

// TestOnlyPageLoadsRestart: a program gets an answer that it understands, and
// an error of the provider is never a reason to ask it again unasked.
func TestOnlyPageLoadsRestart(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	state, _ := g.Service.StateStarted("corp", g.URL, "/a", time.Now().Add(-time.Hour))
	callback := "/.auth/callback/corp?code=x&state=" + state
	for name, c := range map[string]struct {
		target string
		header []string
	}{
		"a program":             {callback, nil},
		"fetch":                 {callback, []string{"Accept", "text/html", "Sec-Fetch-Mode", "cors"}},
		"an image":              {callback, []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		"a prefetch":            {callback, []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Purpose", "prefetch"}},
		"the user had said no":  {"/.auth/callback/corp?error=access_denied&state=" + state, []string{"Accept", "text/html"}},
		"an error of no origin": {"/.auth/callback/corp?error=x", []string{"Accept", "text/html"}},
	} {
		if got := g.browser(t).get(c.target, c.header...); got.StatusCode != http.StatusBadRequest || got.location() != "" || len(got.Cookies()) != 0 {
			t.Errorf("%s: %d to %q, cookies %v", name, got.StatusCode, got.location(), got.Cookies())
		}
	}
}

// TestStaleCallbackWhileTheProviderIsDown is an outage, and no circle.
func TestStaleCallbackWhileTheProviderIsDown(t *testing.T) {
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) { s.MetadataStatus = http.StatusBadGateway })
	g := newGateway(t, corp(op))
	got := g.person(t).get("/.auth/callback/corp?code=x&state=y")
	if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || len(got.Cookies()) != 0 {
		t.Errorf("%d, Retry-After %q", got.StatusCode, got.Header.Get("Retry-After"))
	}
}

// TestMidLoginTheGatewayChanges: a sign-in that one gateway began is finished by
// another, or by the same after a restart, and no stickiness is needed.
func TestMidLoginTheGatewayChanges(t *testing.T) {
	op := oidctest.New(t)
	first := newGateway(t, corp(op)).waitReady(t)
	second := newGatewayWith(t, options{providers: []config.Provider{corp(op)}, like: first, known: []string{first.Host}}).waitReady(t)
	b := first.person(t)
	callback := b.beginLogin("/deep#part")
	// The load balancer sends the browser to the other one.
	got := b.get(strings.Replace(callback, first.URL, second.URL, 1), "Host", first.Host)
	if got.StatusCode != http.StatusFound || got.location() != "/deep#part" || b.session() == "" {
		t.Fatalf("%d to %q\n%s", got.StatusCode, got.location(), got.body)
	}
	if _, status := b.me(); status != http.StatusOK {
		t.Errorf("at the first gateway /.auth/me answers %d", status)
	}
}

// TestTenTabsEachEndAtTheirOwnURL restores ten tabs at once and finishes them in
// every order that matters: forwards, backwards, and mixed with ones that are
// too late for their cookie.
func TestTenTabsEachEndAtTheirOwnURL(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	orders := map[string][]int{
		"in order": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, "backwards": {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, "mixed": {6, 0, 9, 3, 1, 8, 2, 7, 4, 5},
	}
	for name, order := range orders {
		for variant, returnTo := range map[string]func(i int) string{
			"ten pages":            func(i int) string { return "/tab/" + string(rune('a'+i)) },
			"ten times one page":   func(int) string { return "/tab" },
			"the start page alone": func(int) string { return "/" },
		} {
			t.Run(name+", "+variant, func(t *testing.T) {
				b := g.person(t)
				before := len(g.Store.all())
				callbacks := make([]string, 10)
				for i := range callbacks {
					callbacks[i] = b.beginLogin(returnTo(i))
				}
				// While the last tabs wait for their user, the cookie ends.
				for n, i := range order {
					if n == 8 {
						b.setCookie("sp_login", "AAAAAAAAAAAA")
					}
					rounds := op.Calls(oidctest.Authorize)
					where, last := b.follow(callbacks[i])
					if where != returnTo(i) || last.StatusCode >= 400 {
						t.Errorf("tab %d ended at %q with %d, want %q", i, where, last.StatusCode, returnTo(i))
					}
					if extra := op.Calls(oidctest.Authorize) - rounds; extra > 1 {
						t.Errorf("tab %d went to the provider %d more times", i, extra)
					}
				}
				if n := len(g.Store.all()) - before; n != 1 {
					t.Errorf("%d sessions are left", n)
				}
			})
		}
	}
}

func TestAbandonedSignInsLeaveOneSmallCookie(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.person(t)
	for i := range 50 {
		header := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}
		if i%2 == 0 {
			header = nil
		}
		got := b.get("/.auth/login?return_to=%2F"+strings.Repeat("x", i), header...)
		if got.StatusCode >= 400 {
			t.Fatalf("sign-in %d: %d", i, got.StatusCode)
		}
		names := map[string]bool{}
		for _, line := range got.Header["Set-Cookie"] {
			names[strings.SplitN(line, "=", 2)[0]] = true
			if len(line) > 1500 {
				t.Errorf("a cookie of %d bytes", len(line))
			}
		}
		if len(got.Header["Set-Cookie"]) != 1 || !names["sp_login"] {
			t.Errorf("cookies %q", got.Header["Set-Cookie"])
		}
	}
	if n := len(b.cookie("sp_login")); n > 350 {
		t.Errorf("the cookie has %d bytes", n)
	}
	if where, _ := b.follow("/.auth/login?return_to=%2Ffine"); where != "/fine" || b.session() == "" {
		t.Errorf("then a sign-in ends at %q", where)
	}
	if !slices.ContainsFunc(g.auditLog(), func(a login.Audit) bool { return a.Outcome == login.OutcomeOK }) {
		t.Error("no sign-in on record")
	}
}
