package login_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

var (
	onwardLink = regexp.MustCompile(`id="onward" href="([^"]*)" data-back="([^"]*)"`)
	metaURL    = regexp.MustCompile(`<noscript><meta http-equiv="refresh" content="0;url=([^"]*)"></noscript>`)
)

// modern is a person whose browser says how it fetches.
func (g *gateway) modern(t *testing.T) *browser {
	t.Helper()
	b := g.person(t)
	for name, value := range map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none", "Sec-Fetch-User": "?1"} {
		b.header.Set(name, value)
	}
	return b
}

// onward reads where a page leads, and under which name it keeps a fragment.
func onward(t *testing.T, page *answer) (to, back string) {
	t.Helper()
	m := onwardLink.FindStringSubmatch(page.body)
	if page.StatusCode != http.StatusOK || m == nil {
		t.Fatalf("no page that leads onwards: %d to %q\n%s", page.StatusCode, page.location(), page.body)
	}
	to, back = html.UnescapeString(m[1]), html.UnescapeString(m[2])
	if meta := metaURL.FindStringSubmatch(page.body); meta == nil || html.UnescapeString(meta[1]) != to {
		t.Errorf("without script the page does not lead to %q", to)
	}
	if page.location() != "" || page.Header.Get("Refresh") != "" {
		t.Error("the browser would leave before the script")
	}
	return to, back
}

// TestFragmentIsKeptInTheBrowser does what the two pages do in a browser with
// script, which another test runs.
func TestFragmentIsKeptInTheBrowser(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.modern(t)
	const target = "/deep/(1)?q='a'&b=%2F"
	to, back := onward(t, b.get("/.auth/login?return_to="+url.QueryEscape(target)))
	if back != target || !strings.HasPrefix(to, op.Issuer) {
		t.Fatalf("leads to %q, keeps for %q", to, back)
	}
	// With a fragment, the script adds two characters to the state.
	kept := regexp.MustCompile(`([?&]state=[^&#]*)`).ReplaceAllString(to, "$1.h")
	callback := b.get(kept).location()
	landed := b.get(callback)
	if where, key := onward(t, landed); where != target || key != back {
		t.Errorf("lands at %q, looks under %q", where, key)
	}
	if b.session() == "" || landed.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("signed in: %v, Referrer-Policy %q", b.session() != "", landed.Header.Get("Referrer-Policy"))
	}

	// Without one, or without script, there is no page at the end.
	plain := g.modern(t)
	to, _ = onward(t, plain.get("/.auth/login?return_to="+url.QueryEscape(target)))
	if got := plain.get(plain.get(to).location()); got.StatusCode != http.StatusFound || got.location() != target {
		t.Errorf("without a fragment: %d to %q", got.StatusCode, got.location())
	}
}

func TestOnlyABrowserLoadingTheLoginGetsTheFragmentPage(t *testing.T) {
	op := oidctest.New(t)
	other := corp(op)
	other.Name = "other"
	g := newGateway(t, corp(op), other).waitReady(t)
	for name, c := range map[string]struct {
		target string
		header []string
	}{
		"a program":            {"/.auth/login?provider=corp", nil},
		"an old browser":       {"/.auth/login?provider=corp", []string{"Accept", "text/html"}},
		"fetch":                {"/.auth/login?provider=corp", []string{"Accept", "text/html", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"}},
		"a frame":              {"/.auth/login?provider=corp", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
		"a URL with its own":   {"/.auth/login?provider=corp&return_to=%2Fa%23b", []string{"Sec-Fetch-Mode", "navigate"}},
		"a callback by chance": {"/.auth/callback/corp?state=x", []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate"}},
	} {
		if got := g.browser(t).get(c.target, c.header...); got.StatusCode != http.StatusFound || !strings.HasPrefix(got.location(), op.Issuer) {
			t.Errorf("%s: %d to %q", name, got.StatusCode, got.location())
		}
	}
	if got := g.modern(t).do(http.MethodHead, "/.auth/login?provider=corp", nil); got.StatusCode != http.StatusFound {
		t.Errorf("HEAD: %d", got.StatusCode)
	}
	onward(t, g.modern(t).get("/.auth/login?provider=corp"))
}

// TestFragmentSurvivesAStaleCallback: the tab still has it when the sign-in is
// begun again.
func TestFragmentSurvivesAStaleCallback(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.modern(t)
	to, back := onward(t, b.get("/.auth/login?return_to=%2Fdeep"))
	callback := b.get(to).location()
	stale := withQuery(t, callback, func(q url.Values) { q.Set("state", q.Get("state")+".h") })
	b.setCookie("sp_login", "AAAAAAAAAAAA") // forgotten overnight
	again := b.get(stale)
	if again.StatusCode != http.StatusFound {
		t.Fatalf("%d", again.StatusCode)
	}
	if where, key := onward(t, b.get(b.get(again.location()).location())); where != "/deep" || key != back {
		t.Errorf("lands at %q, looks under %q", where, key)
	}
	// Who is signed in by then lands in the same way.
	if where, _ := onward(t, b.get(stale)); where != "/deep" {
		t.Errorf("the back button lands at %q", where)
	}
}

// TestFragmentIsTakenOutOnTheHostThatHasIt: with a shared cookie the callback is
// on another host, whose pages do not see the tab's storage of this one.
func TestFragmentIsTakenOutOnTheHostThatHasIt(t *testing.T) {
	op := oidctest.New(t)
	known := []string{""}
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op)}, cookie: config.Cookie{Domain: "127.0.0.1"}, known: known}).waitReady(t)
	app := strings.Replace(g.Host, "127.0.0.1", "app.example.test", 1)
	known[0] = app
	b := g.modern(t)
	page := b.get("/.auth/login?return_to=%2Fdeep", "Host", app)
	to, back := onward(t, page)
	if want := "http://" + app + "/deep"; back != want {
		t.Fatalf("keeps for %q, want %q", back, want)
	}
	to = regexp.MustCompile(`([?&]state=[^&#]*)`).ReplaceAllString(to, "$1.h")
	login := page.setCookie("sp_login")
	got := b.get(b.get(to).location(), "Cookie", "sp_login="+login.Value)
	want := "http://" + app + "/.auth/login?hash=1&return_to=" + url.QueryEscape(back)
	if got.StatusCode != http.StatusFound || got.location() != want {
		t.Fatalf("%d to %q, want %q", got.StatusCode, got.location(), want)
	}
	u, _ := url.Parse(got.location())
	landed := b.get(u.RequestURI(), "Host", app, "Cookie", "sp="+got.setCookie("sp").Value)
	if where, key := onward(t, landed); where != back || key != back {
		t.Errorf("lands at %q, looks under %q", where, key)
	}
}

// TestClaimedFragmentLeadsNowhereElse: anybody can write the mark into a state,
// which only chooses the page over the redirect.
func TestClaimedFragmentLeadsNowhereElse(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.modern(t)
	b.header.Del("Sec-Fetch-Mode")
	b.signIn("/")
	for state, want := range map[string]string{"junk.h": "/", ".h": "/", ".h.h": "/"} {
		if got := b.get("/.auth/callback/corp?code=x&state=" + state); got.StatusCode != http.StatusFound || got.location() != want {
			t.Errorf("%q: %d to %q", state, got.StatusCode, got.location())
		}
	}
	for _, bad := range []string{"//evil.test", "https://evil.test/", "javascript:alert(1)"} {
		if got := b.get("/.auth/login?hash=1&return_to=" + url.QueryEscape(bad)); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %d", bad, got.StatusCode)
		}
	}
}
