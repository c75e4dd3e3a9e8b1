package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// newCorpSite is a site with an OpenID provider beside its own identities.
func newCorpSite(t *testing.T, p plan) (*site, *oidctest.Provider) {
	t.Helper()
	corp := oidctest.New(t)
	corp.Set(func(s *oidctest.Script) { s.WithSignOut = true })
	p.providers += fmt.Sprintf("- {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret: %s}",
		corp.Issuer, oidctest.ClientID, oidctest.ClientSecret)
	s := newSite(t, p)
	poll(t, "the provider to be known", func() bool {
		return s.as(t, "", "/.auth/login?provider=corp").StatusCode == http.StatusFound
	})
	return s, corp
}

// corpSession signs a subject in at the provider, in its session sid.
func (s *site) corpSession(t *testing.T, corp *oidctest.Provider, subject, sid string) string {
	t.Helper()
	corp.Set(func(sc *oidctest.Script) {
		sc.Subject, sc.Claims = subject, map[string]any{"sid": sid, "groups": []string{"users"}}
	})
	start := s.as(t, "", "/.auth/login?provider=corp&return_to=/app")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(start.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	for _, ck := range start.Cookies() {
		held = append(held, ck.Name+"="+ck.Value)
	}
	in := s.as(t, "", back.RequestURI(), "Cookie: "+strings.Join(held, "; "))
	for _, ck := range in.Cookies() {
		if ck.Name == s.cookie {
			return ck.Name + "=" + ck.Value
		}
	}
	t.Fatalf("the callback answers %d: %.300s", in.StatusCode, in.text)
	return ""
}

func (s *site) backChannel(t *testing.T, token string, lines ...string) answer {
	t.Helper()
	return s.post(t, "/.auth/backchannel-logout/corp", url.Values{"logout_token": {token}}, lines...)
}

// over reports whether the session of a cookie is over. Not every application here
// has the page that is asked for.
func (s *site) over(t *testing.T, cookie string) bool {
	t.Helper()
	a := s.as(t, "", "/app", "Cookie: "+cookie)
	s.upstream.take()
	if !slices.Contains([]int{http.StatusOK, http.StatusNotFound, http.StatusUnauthorized}, a.StatusCode) {
		t.Fatalf("the application's page answers %d: %.200s", a.StatusCode, a.text)
	}
	return a.StatusCode == http.StatusUnauthorized
}

// TestProviderEndsSessionsAndTheirStreams by sid, and by sub.
func TestProviderEndsSessionsAndTheirStreams(t *testing.T) {
	app := newStreamingApp(t)
	s, corp := newCorpSite(t, plan{upstream: app.URL})
	laptop, phone, tablet := s.corpSession(t, corp, "carol", "sid-1"), s.corpSession(t, corp, "carol", "sid-2"), s.corpSession(t, corp, "carol", "sid-3")
	bob, alice := s.corpSession(t, corp, "bob", "sid-4"), s.newSession(t, "alice", "")
	socket := func(cookie string) <-chan closing { return listen(t, s.socket(t, "/ws/echo", "Cookie: "+cookie)) }
	onLaptop, onPhone, onTablet := socket(laptop), socket(phone), socket(tablet)
	kept := s.socket(t, "/ws/echo", "Cookie: "+bob)

	check := func(a answer) {
		t.Helper()
		if a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%d %v %s", a.StatusCode, a.Header, a.text)
		}
	}
	check(s.backChannel(t, corp.LogoutToken(map[string]any{"sid": "sid-1"})))
	endsWith(t, onLaptop, websocket.StatusPolicyViolation)
	if !s.over(t, laptop) || s.over(t, phone) || s.over(t, tablet) {
		t.Error("not exactly the session of the sid is over")
	}
	check(s.backChannel(t, corp.LogoutToken(map[string]any{"sub": "carol"})))
	endsWith(t, onPhone, websocket.StatusPolicyViolation)
	endsWith(t, onTablet, websocket.StatusPolicyViolation)
	if !s.over(t, phone) || !s.over(t, tablet) || s.over(t, bob) || s.over(t, alice) {
		t.Error("not exactly the user's sessions are over")
	}
	say(t, kept)
	poll(t, "the audit lines", func() bool { return strings.Count(s.logText.String(), `"event":"provider_logout"`) == 2 })
}

// TestForgedBackChannelLogout: each of these must not end a session, whoever
// sends it and whatever comes along.
func TestForgedBackChannelLogout(t *testing.T) {
	s, corp := newCorpSite(t, plan{})
	cookie := s.corpSession(t, corp, "carol", "sid-1")
	claims := func(over map[string]any) map[string]any {
		all := corp.LogoutClaims(map[string]any{"sid": "sid-1"})
		for name, v := range over {
			if all[name] = v; v == nil {
				delete(all, name)
			}
		}
		return all
	}
	for name, token := range map[string]string{
		"nothing":                      "",
		"alg none":                     oidctest.Unsigned(claims(nil)),
		"HS256 by the client's secret": oidctest.SignSecret(claims(nil)),
		"an unknown key":               corp.SignForeign(claims(nil)),
		"a key that nobody has":        corp.SignKey("x", claims(nil)),
		"another kind of token":        corp.SignType("at+jwt", claims(nil)),
		"the gateway's own":            s.token(t, claims(nil)),
		"no event":                     corp.SignType("logout+jwt", claims(map[string]any{"events": nil})),
		"a nonce":                      corp.SignType("logout+jwt", claims(map[string]any{"nonce": "x"})),
		"for another client":           corp.SignType("logout+jwt", claims(map[string]any{"aud": "x"})),
		"of yesterday":                 corp.SignType("logout+jwt", claims(map[string]any{"iat": 1_700_000_000})),
		"nobody's":                     corp.SignType("logout+jwt", claims(map[string]any{"sid": nil})),
	} {
		t.Run(name, func(t *testing.T) {
			// A cookie, a same-origin header or a bearer token beside it prove nothing here.
			for _, lines := range [][]string{nil, {"Cookie: " + cookie, "Sec-Fetch-Site: same-origin"}, {"Authorization: Bearer " + s.token(t, nil)}} {
				a := s.backChannel(t, token, lines...)
				var doc struct{ Error string }
				if err := json.Unmarshal([]byte(a.text), &doc); err != nil || a.StatusCode != http.StatusBadRequest || doc.Error != "invalid_request" || a.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%d %s", a.StatusCode, a.text)
				}
				if s.over(t, cookie) {
					t.Fatal("the session is over")
				}
			}
		})
	}
	if a := s.post(t, "/.auth/backchannel-logout/dev", url.Values{"logout_token": {"x"}}); a.StatusCode != http.StatusNotFound {
		t.Errorf("a provider that is no OpenID provider: %d", a.StatusCode)
	}
	if a := s.as(t, "", "/.auth/backchannel-logout/corp"); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.StatusCode)
	}
	for _, target := range []string{"/.auth/backchannel-logout", "/.auth/backchannel-logout/", "/.auth/backchannel-logout/corp/", "/.auth/backchannel-logout//corp", "/.auth/BACKCHANNEL-LOGOUT/corp"} {
		if a := s.post(t, target, url.Values{"logout_token": {corp.LogoutToken(map[string]any{"sid": "sid-1"})}}); a.StatusCode < 400 || s.over(t, cookie) {
			t.Errorf("%s: %d", target, a.StatusCode)
		}
	}
}

// TestReplayedBackChannelLogout: who signs in again stays signed in.
func TestReplayedBackChannelLogout(t *testing.T) {
	s, corp := newCorpSite(t, plan{})
	claims := corp.LogoutClaims(map[string]any{"sub": "carol"})
	token, encodedAnew := corp.SignType("logout+jwt", claims), corp.SignType("logout+jwt", claims)
	if a := s.backChannel(t, token); a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	cookie := s.corpSession(t, corp, "carol", "sid-1")
	for _, replay := range []string{token, encodedAnew, token + " ", token + "="} {
		if a := s.backChannel(t, replay); a.StatusCode != http.StatusBadRequest || s.over(t, cookie) {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
	}
}

// TestForgedFrontChannelLogout: any page can put this address into a frame or an
// image.
func TestForgedFrontChannelLogout(t *testing.T) {
	s, corp := newCorpSite(t, plan{})
	cookie := s.corpSession(t, corp, "carol", "sid-1")
	q := func(iss, sid string) string { return "?" + url.Values{"iss": {iss}, "sid": {sid}}.Encode() }
	for _, query := range []string{"", "?sid=sid-1", q(corp.Issuer, ""), q(corp.Issuer, "sid-2"), q("https://evil.test", "sid-1"), q(corp.Issuer, "sid-1") + "&sid=sid-1"} {
		a := s.as(t, "", "/.auth/frontchannel-logout/corp"+query, "Cookie: "+cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: iframe")
		if a.StatusCode >= 500 || s.over(t, cookie) {
			t.Errorf("%s: %d", query, a.StatusCode)
		}
	}
	a := s.as(t, "", "/.auth/frontchannel-logout/corp"+q(corp.Issuer, "sid-1"))
	if a.StatusCode != http.StatusOK || s.over(t, cookie) {
		t.Errorf("without the cookie: %d", a.StatusCode)
	}
	a = s.as(t, "", "/.auth/frontchannel-logout/corp"+q(corp.Issuer, "sid-1"), "Cookie: "+cookie)
	if a.StatusCode != http.StatusOK || !s.over(t, cookie) {
		t.Errorf("the one that is meant: %d", a.StatusCode)
	}
	if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors "+corp.Issuer) {
		t.Errorf("the policy is %q", csp)
	}
}

// TestSignOutIsCompleteAndLeadsHome: here, in the streams, and at the provider,
// in that order; the old cookie is worth nothing.
func TestSignOutIsCompleteAndLeadsHome(t *testing.T) {
	app := newStreamingApp(t)
	s, corp := newCorpSite(t, plan{upstream: app.URL})
	cookie := s.corpSession(t, corp, "carol", "sid-1")
	open := listen(t, s.socket(t, "/ws/echo", "Cookie: "+cookie))
	out := s.post(t, "/.auth/logout", url.Values{"return_to": {"/bye"}}, "Cookie: "+cookie,
		"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Accept: text/html")
	to := out.Header.Get("Location")
	if out.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, corp.Issuer+"/end?") {
		t.Fatalf("%d to %q", out.StatusCode, to)
	}
	if !s.over(t, cookie) {
		t.Error("the session lives while the browser is on its way to the provider")
	}
	endsWith(t, open, websocket.StatusPolicyViolation)
	poll(t, "the provider to be told of the tokens", func() bool { return len(corp.Revocations()) == 2 })

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || back.Host != "localhost:8080" || back.Path != "/.auth/logout/done" {
		t.Fatalf("the provider leads to %v, %v", back, err)
	}
	if a := s.as(t, "", back.RequestURI()); a.StatusCode != http.StatusFound || a.Header.Get("Location") != "/bye" {
		t.Errorf("%d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	for _, secret := range []string{corp.Ended()[0].Get("id_token_hint"), corp.Revocations()[0].Get("token"), corp.Revocations()[1].Get("token"), back.Query().Get("state")} {
		if secret == "" || strings.Contains(s.logText.String(), secret) {
			t.Error("the log holds a token or the state")
		}
	}
}

// TestSignOutLeadsToListedSitesAlone (CVE-2021-29456, CVE-2019-14857,
// CVE-2020-1723), also without a session.
func TestSignOutLeadsToListedSitesAlone(t *testing.T) {
	s := newSite(t, plan{login: "logout_targets: [https://www.example.com/bye]"})
	for _, wish := range []string{
		"https://evil.test", "//evil.test", `/\evil.test`, "https://www.example.com/bye/", "https://www.example.com/", "https://www.example.com/bye#",
		"https://www.example.com@evil.test/bye", "https://www.example.com/bye%00", "https://WWW.example.com/bye", "javascript:alert(1)//https://www.example.com/bye",
	} {
		for _, cookie := range []string{"", "Cookie: " + s.signIn(t, "alice")} {
			for _, name := range []string{"return_to", "rd"} {
				a := s.post(t, "/.auth/logout", url.Values{name: {wish}}, "Sec-Fetch-Site: same-origin", orDefault(cookie, "X: y"))
				if a.StatusCode != http.StatusBadRequest {
					t.Errorf("%s=%s: %d to %q", name, wish, a.StatusCode, a.Header.Get("Location"))
				}
			}
			for _, name := range []string{"redirect", "url", "post_logout_redirect_uri", "state", "target"} {
				a := s.as(t, "", "/.auth/logout/done?"+url.Values{name: {wish}}.Encode(), orDefault(cookie, "X: y"))
				if to := a.Header.Get("Location"); to != "" && to != "/.auth/logout" {
					t.Errorf("%s=%s leads to %q", name, wish, to)
				}
			}
		}
	}
	a := s.post(t, "/.auth/logout", url.Values{"return_to": {"https://www.example.com/bye"}}, "Sec-Fetch-Site: same-origin", "Cookie: "+s.newSession(t, "alice", ""))
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "https://www.example.com/bye" {
		t.Errorf("the one that is listed: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
}

// TestForgedEndOfSessions: another site's page can make a browser send these.
func TestForgedEndOfSessions(t *testing.T) {
	s := newSite(t, plan{})
	alice := s.newSession(t, "alice", "")
	for name, lines := range map[string][]string{
		"nothing at all":               nil,
		"Origin: null":                 {"Origin: null"},
		"a host that begins like this": {"Origin: http://localhost:8080.evil.test"},
		"a referrer alone":             {"Referer: http://localhost:8080/.auth/sessions"},
		"a sibling":                    {"Sec-Fetch-Site: same-site", "Origin: http://localhost:8080"},
		"cross site":                   {"Sec-Fetch-Site: cross-site"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, form := range []url.Values{{"which": {"all"}}, {"which": {"others"}}, {"which": {"all"}, "csrf": {"x"}}, {"which": {"all"}, "proof": {"x"}}} {
				s.denied(t, s.post(t, "/.auth/sessions/end", form, append(lines, "Cookie: "+alice)...), http.StatusForbidden)
			}
			s.passed(t, s.as(t, "", "/app", "Cookie: "+alice)).isAlice(t)
		})
	}
}

// TestUsersOwnSessionsAreTold by what is known of them: never by what would open
// them, and as the trusted proxies say where they came from.
func TestUsersOwnSessionsAreTold(t *testing.T) {
	s := newSite(t, plan{trusted: "127.0.0.1"})
	form := url.Values{"provider": {"dev"}, "username": {"alice"}}
	in := s.post(t, "/.auth/login", form, "User-Agent: Mozilla/5.0 (X11; Linux) Firefox/140.0", "X-Forwarded-For: 6.6.6.6, 2001:db8::7")
	cookie := "Cookie: " + in.Cookies()[0].Name + "=" + in.Cookies()[0].Value
	a := s.as(t, "", "/.auth/sessions", cookie, "X-Forwarded-For: 192.0.2.9")
	for _, want := range []string{`"device":"Firefox on Linux"`, `"address":"2001:db8::7"`, `"current":true`} {
		if !strings.Contains(a.text, want) {
			t.Errorf("%s is not in %s", want, a.text)
		}
	}
	if a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" || strings.Contains(a.text, in.Cookies()[0].Value) {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.text)
	}
	if out := s.post(t, "/.auth/sessions/end", url.Values{"which": {"all"}}, cookie, "Sec-Fetch-Site: same-origin"); out.StatusCode != http.StatusSeeOther {
		t.Errorf("%d %s", out.StatusCode, out.text)
	}
	s.denied(t, s.as(t, "", "/app", cookie), http.StatusUnauthorized)
}
