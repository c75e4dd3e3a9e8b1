package login_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

const (
	firefoxOnLinux = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	safariOnIPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)

type listedSession struct {
	ID, Provider, Device, Address string
	Current                       bool
	CreatedAt                     time.Time `json:"created_at"`
	LastSeenAt                    time.Time `json:"last_seen_at"`
	ExpiresAt                     time.Time `json:"expires_at"`
}

func (b *browser) sessions() []listedSession {
	b.t.Helper()
	got := b.get("/.auth/sessions")
	var doc struct{ Sessions []listedSession }
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil || got.StatusCode != http.StatusOK {
		b.t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	return doc.Sessions
}

// devBrowser signs an identity in from a device.
func (g *gateway) devBrowser(t *testing.T, username, agent string) *browser {
	t.Helper()
	b := g.browser(t)
	b.header.Set("User-Agent", agent)
	if got := b.post("/.auth/login", url.Values{"username": {username}}); got.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	return b
}

func (b *browser) endSessions(form url.Values, header ...string) *answer {
	b.t.Helper()
	return b.post("/.auth/sessions/end", form, append([]string{"Sec-Fetch-Site", "same-origin"}, header...)...)
}

func TestUserSeesHisOwnSessionsAndNobodyElses(t *testing.T) {
	g := newGateway(t, devProvider())
	laptop := g.devBrowser(t, "alice", firefoxOnLinux)
	g.devBrowser(t, "alice", safariOnIPhone)
	g.devBrowser(t, "mallory", "curl/8.5.0")

	listed := laptop.sessions()
	if len(listed) != 2 {
		t.Fatalf("%d sessions are listed: %+v", len(listed), listed)
	}
	for i, want := range []listedSession{
		{Provider: "dev", Device: "Firefox on Linux", Address: "127.0.0.1", Current: true},
		{Provider: "dev", Device: "Safari on iPhone", Address: "127.0.0.1"},
	} {
		got := listed[i]
		if len(got.ID) != 16 || strings.Trim(got.ID, "0123456789abcdef") != "" {
			t.Errorf("the id is %q", got.ID)
		}
		if got.ExpiresAt.Sub(got.CreatedAt) != 12*time.Hour || got.LastSeenAt.Before(got.CreatedAt) || time.Since(got.CreatedAt) > time.Minute {
			t.Errorf("times %v", got)
		}
		got.ID, got.CreatedAt, got.LastSeenAt, got.ExpiresAt = "", time.Time{}, time.Time{}, time.Time{}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	page := laptop.navigate("/.auth/sessions")
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "Safari on iPhone") || strings.Contains(page.body, "curl") {
		t.Errorf("%d %s", page.StatusCode, page.body)
	}
	for _, secret := range []string{laptop.session(), laptop.session()[:20]} {
		if strings.Contains(page.body, secret) {
			t.Error("the page holds the session's id")
		}
	}
	if got := laptop.do(http.MethodHead, "/.auth/sessions", nil); got.StatusCode != http.StatusOK || got.body != "" {
		t.Errorf("HEAD: %d %q", got.StatusCode, got.body)
	}
	if got := laptop.post("/.auth/sessions", url.Values{}); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.StatusCode)
	}
}

func TestLookingAtSessionsIsNoActivity(t *testing.T) {
	g := newGateway(t, devProvider())
	b := g.devBrowser(t, "alice", firefoxOnLinux)
	b.sessions()
	b.navigate("/.auth/sessions")
	g.flush()
	if n := g.Store.touched(); n != 0 {
		t.Errorf("%d uses were written", n)
	}
}

func TestSessionsOfNobody(t *testing.T) {
	g := newGateway(t, devProvider())
	b := g.browser(t)
	if got := b.get("/.auth/sessions"); got.StatusCode != http.StatusUnauthorized || got.reason() != login.ReasonNoSession {
		t.Errorf("a program: %d %s", got.StatusCode, got.body)
	}
	got := b.navigate("/.auth/sessions")
	if got.StatusCode != http.StatusFound || got.location() != "/.auth/login?return_to=%2F.auth%2Fsessions" {
		t.Errorf("a person: %d to %q", got.StatusCode, got.location())
	}
	if got := b.endSessions(url.Values{"which": {"all"}}); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("ending: %d", got.StatusCode)
	}
	alice := g.devBrowser(t, "alice", firefoxOnLinux)
	g.Store.setDown(true)
	for name, got := range map[string]*answer{
		"list": alice.get("/.auth/sessions"), "page": alice.navigate("/.auth/sessions"), "end": alice.endSessions(url.Values{"which": {"others"}}),
	} {
		if got.StatusCode != http.StatusServiceUnavailable || len(got.Header["Set-Cookie"]) != 0 {
			t.Errorf("%s with the store down: %d", name, got.StatusCode)
		}
	}
}

func TestUserEndsHisSessions(t *testing.T) {
	for name, c := range map[string]struct {
		form                  func(others, own string) url.Values
		laptop, phone, tablet bool
		lands                 string
		clears                bool
	}{
		"one":      {func(other, _ string) url.Values { return url.Values{"id": {other}} }, true, false, true, "/.auth/sessions", false},
		"this one": {func(_, own string) url.Values { return url.Values{"id": {own}} }, false, true, true, "/.auth/logout", true},
		"others":   {func(_, _ string) url.Values { return url.Values{"which": {"others"}} }, true, false, false, "/.auth/sessions", false},
		"all":      {func(_, _ string) url.Values { return url.Values{"which": {"all"}} }, false, false, false, "/.auth/logout", true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, devProvider())
			laptop, phone, tablet := g.devBrowser(t, "alice", firefoxOnLinux), g.devBrowser(t, "alice", safariOnIPhone), g.devBrowser(t, "alice", "x")
			mallory := g.devBrowser(t, "mallory", "x")
			var own, other string
			for _, one := range laptop.sessions() {
				if one.Current {
					own = one.ID
				}
				if one.Device == "Safari on iPhone" {
					other = one.ID
				}
			}
			got := laptop.endSessions(c.form(other, own))
			if got.StatusCode != http.StatusSeeOther || got.location() != c.lands {
				t.Errorf("%d to %q: %s", got.StatusCode, got.location(), got.body)
			}
			if cleared := got.setCookie("sp"); (cleared != nil && cleared.MaxAge < 0) != c.clears {
				t.Errorf("the cookie: %v", got.Header["Set-Cookie"])
			}
			for who, one := range map[string]struct {
				b    *browser
				want bool
			}{"laptop": {laptop, c.laptop}, "phone": {phone, c.phone}, "tablet": {tablet, c.tablet}, "mallory": {mallory, true}} {
				if alive(t, one.b) != one.want {
					t.Errorf("%s is signed in: %v", who, !one.want)
				}
			}
			ended := 0
			for _, a := range g.auditLog() {
				if a.Event == login.EventLogout && a.Subject == "alice" && a.Session != "" {
					ended++
				}
			}
			if want := 3 - len(g.Store.all()) + 1; ended != want {
				t.Errorf("%d sessions were audited, %d have ended", ended, want)
			}
		})
	}
}

// TestUserCanEndNobodyElsesSession, whatever he sends.
func TestUserCanEndNobodyElsesSession(t *testing.T) {
	g := newGateway(t, devProvider())
	alice, mallory := g.devBrowser(t, "alice", firefoxOnLinux), g.devBrowser(t, "mallory", "x")
	id := alice.sessions()[0].ID
	for name, c := range map[string]struct {
		form   url.Values
		status int
	}{
		"another's id":         {url.Values{"id": {id}}, http.StatusNotFound},
		"a part of it":         {url.Values{"id": {id[:8]}}, http.StatusNotFound},
		"a pattern":            {url.Values{"id": {"*"}}, http.StatusNotFound},
		"nothing":              {url.Values{}, http.StatusBadRequest},
		"an id and which":      {url.Values{"id": {id}, "which": {"all"}}, http.StatusBadRequest},
		"a which that is none": {url.Values{"which": {"everybody"}}, http.StatusBadRequest},
		"a subject":            {url.Values{"subject": {"alice"}, "issuer": {"urn:sallyport:dev"}}, http.StatusBadRequest},
		"a proof that is none": {url.Values{"which": {"all"}, "proof": {strings.Repeat("A", 120)}}, http.StatusForbidden},
		"an empty proof":       {url.Values{"which": {"all"}, "proof": {""}}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mallory.endSessions(c.form); got.StatusCode != c.status {
				t.Errorf("%d %s", got.StatusCode, got.body)
			}
			if !alive(t, alice) || !alive(t, mallory) {
				t.Fatal("a session is gone")
			}
		})
	}
	if got := mallory.endSessions(url.Values{"which": {"all"}}); got.StatusCode != http.StatusSeeOther || alive(t, mallory) || !alive(t, alice) {
		t.Errorf("all of his own: %d", got.StatusCode)
	}
}

// TestSessionsCannotBeEndedByAnotherSite (CSRF).
func TestSessionsCannotBeEndedByAnotherSite(t *testing.T) {
	g := newGateway(t, devProvider())
	alice, mallory := g.devBrowser(t, "alice", firefoxOnLinux), g.devBrowser(t, "mallory", "x")
	foreign := formToken(t, mallory.navigate("/.auth/sessions"))
	own := formToken(t, alice.navigate("/.auth/sessions"))
	for name, header := range map[string][]string{
		"nothing":                  nil,
		"Origin: null":             {"Origin", "null"},
		"a look-alike":             {"Origin", g.URL + ".evil.test"},
		"a referrer alone":         {"Referer", g.URL + "/.auth/sessions"},
		"a sibling":                {"Sec-Fetch-Site", "same-site"},
		"cross site":               {"Sec-Fetch-Site", "cross-site"},
		"text/plain":               {"Content-Type", "text/plain", "Origin", "https://evil.test"},
		"a token in the wrong way": {"X-Csrf-Token", own},
	} {
		t.Run(name, func(t *testing.T) {
			got := alice.post("/.auth/sessions/end", url.Values{"which": {"all"}, "csrf": {foreign}}, header...)
			if got.StatusCode != http.StatusForbidden && got.StatusCode != http.StatusUnsupportedMediaType || !alive(t, alice) {
				t.Errorf("%d %s", got.StatusCode, got.body)
			}
		})
	}
	if got := alice.get("/.auth/sessions/end?which=all&csrf=" + own); got.StatusCode != http.StatusMethodNotAllowed || !alive(t, alice) {
		t.Errorf("GET: %d", got.StatusCode)
	}
	got := alice.post("/.auth/sessions/end", url.Values{"which": {"all"}, "csrf": {own}}, "Origin", "null")
	if got.StatusCode != http.StatusSeeOther || alive(t, alice) {
		t.Errorf("with the page's own token: %d %s", got.StatusCode, got.body)
	}
}

// TestSessionsThatAreEndedGiveTheirTokensBack: one's other devices as well as
// this one.
func TestSessionsThatAreEndedGiveTheirTokensBack(t *testing.T) {
	g, p, laptop := newSignOut(t, nil)
	phone := g.browser(t)
	phone.signIn("/")
	laptop.endSessions(url.Values{"which": {"others"}})
	waitFor(t, "the phone's tokens to be revoked", func() bool { return len(p.Revocations()) == 2 })
	got := laptop.endSessions(url.Values{"which": {"all"}}, "Sec-Fetch-Mode", "navigate", "Accept", "text/html")
	if !strings.HasPrefix(got.location(), p.Issuer+"/end?") {
		t.Errorf("ending all leads to %q", got.location())
	}
	waitFor(t, "the laptop's too", func() bool { return len(p.Revocations()) == 4 })
}

func TestDevicesAreToldByAWordOrTwo(t *testing.T) {
	g := newGateway(t, devProvider())
	for agent, want := range map[string]string{
		firefoxOnLinux: "Firefox on Linux",
		safariOnIPhone: "Safari on iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0":                         "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36":                                 "Chrome on macOS",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36":                   "Samsung on Android",
		"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/139.0 Mobile/15E148 Safari/604.1":                         "Chrome on iPad",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36":                                        "Chrome on ChromeOS",
		"Mozilla/5.0 (Linux; Android 14; SM-S918N; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/139.0.0.0 Mobile Safari/537.36;KAKAOTALK 2511": "Kakao on Android",
		"curl/8.5.0":                           "curl",
		"<script>alert(1)</script>":            "",
		strings.Repeat("x", 600) + "Firefox/1": "",
	} {
		b := g.devBrowser(t, "alice", agent)
		if got := b.sessions()[0].Device; got != want {
			t.Errorf("%.60q is called %q, want %q", agent, got, want)
		}
	}
}

func newFull(t *testing.T, whenFull string) *gateway {
	t.Helper()
	p := oidctest.New(t)
	return newGatewayWith(t, options{providers: []config.Provider{corp(p), devProvider()}, maxPerUser: 2, whenFull: whenFull}).waitReady(t)
}

func TestOldestSessionMakesRoom(t *testing.T) {
	g := newFull(t, config.WhenFullOldestOut)
	first, second := g.devBrowser(t, "alice", "x"), g.devBrowser(t, "alice", "x")
	bob := g.devBrowser(t, "mallory", "x")
	third := g.devBrowser(t, "alice", "x")
	if alive(t, first) || !alive(t, second) || !alive(t, third) || !alive(t, bob) {
		t.Error("not the oldest session has made room")
	}
	// Signing in again in the same browser takes no room.
	third.post("/.auth/login", url.Values{"username": {"alice"}, "provider": {"dev"}})
	if !alive(t, second) || !alive(t, third) {
		t.Error("a browser has taken the room of two")
	}
}

func TestNoRoomForAnotherSession(t *testing.T) {
	g := newFull(t, config.WhenFullRefuse)
	first, second := g.devBrowser(t, "alice", "x"), g.devBrowser(t, "alice", "x")
	g.devBrowser(t, "mallory", "x")
	third := g.browser(t)
	got := third.post("/.auth/login", url.Values{"username": {"alice"}})
	if got.StatusCode != http.StatusConflict || got.reason() != login.ReasonTooManySessions || third.session() != "" || !alive(t, first) || !alive(t, second) {
		t.Errorf("a program: %d %s", got.StatusCode, got.body)
	}
	audits := g.auditLog()
	if last := audits[len(audits)-1]; last.Event != login.EventLogin || last.Outcome != login.OutcomeFailed || last.Reason != login.ReasonTooManySessions {
		t.Errorf("audited as %+v", last)
	}
	// The browser of a session can sign in again, for that one makes room.
	if got := second.post("/.auth/login", url.Values{"username": {"alice"}}); got.StatusCode != http.StatusSeeOther {
		t.Errorf("again in the same browser: %d", got.StatusCode)
	}

	// At a provider, a person gets a page from which he can make room.
	one, two := g.browser(t), g.browser(t)
	one.signInWith(t, "corp")
	two.signInWith(t, "corp")
	full := g.browser(t)
	page := full.navigate(full.beginLoginWith("corp"))
	proof := hidden(t, page, "proof")
	if page.StatusCode != http.StatusConflict || full.session() != "" || !alive(t, one) || !alive(t, two) {
		t.Fatalf("%d %s", page.StatusCode, page.body)
	}
	form := url.Values{"which": {"all"}, "proof": {proof}, "return_to": {"/reports"}}
	for name, header := range map[string][]string{"cross site": {"Sec-Fetch-Site", "cross-site"}, "another origin": {"Sec-Fetch-Site", "none", "Origin", "https://evil.test"}} {
		if got := full.post("/.auth/sessions/end", form, header...); got.StatusCode != http.StatusForbidden || !alive(t, one) {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	done := full.endSessions(form)
	if done.StatusCode != http.StatusSeeOther || done.location() != "/.auth/login?provider=corp&return_to=%2Freports" {
		t.Errorf("%d to %q: %s", done.StatusCode, done.location(), done.body)
	}
	if alive(t, one) || alive(t, two) || !alive(t, first) {
		t.Error("not exactly the sessions of the user at that provider have ended")
	}
	full.signInWith(t, "corp")
	if !alive(t, full) {
		t.Error("there is still no room")
	}
}

// TestProofOfWhoHadNoRoomEndsNothingThatBeganLater, and nothing of anybody else:
// it stays in the history of a browser.
func TestProofOfWhoHadNoRoomEndsNothingThatBeganLater(t *testing.T) {
	g := newFull(t, config.WhenFullRefuse)
	one, two := g.browser(t), g.browser(t)
	one.signInWith(t, "corp")
	two.signInWith(t, "corp")
	full := g.browser(t)
	proof := hidden(t, full.navigate(full.beginLoginWith("corp")), "proof")
	full.endSessions(url.Values{"which": {"all"}, "proof": {proof}})
	waitFor(t, "the next second but one", func() bool { return time.Now().Unix() > g.Store.lastDelete().Unix()+1 })
	full.signInWith(t, "corp")
	if got := one.endSessions(url.Values{"which": {"all"}, "proof": {proof}}); got.StatusCode != http.StatusSeeOther || !alive(t, full) {
		t.Errorf("a second use: %d, and the new session is gone", got.StatusCode)
	}
	if got := one.endSessions(url.Values{"which": {"others"}, "proof": {proof}}); got.StatusCode != http.StatusForbidden {
		t.Errorf("for something else: %d", got.StatusCode)
	}
	if got := one.endSessions(url.Values{"which": {"all"}, "proof": {proof}, "return_to": {"https://evil.test"}}); got.StatusCode != http.StatusBadRequest {
		t.Errorf("with another way back: %d", got.StatusCode)
	}
}

// hidden is the value of a hidden field of a page.
func hidden(t *testing.T, a *answer, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(a.body, `name="`+name+`" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	if !ok || value == "" {
		t.Fatalf("the page has no %s: %d\n%s", name, a.StatusCode, a.body)
	}
	return value
}
