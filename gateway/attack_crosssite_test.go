package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
)

// crossSiteRoutes are routes that differ in what they do about other sites.
const crossSiteRoutes = `
  - {name: guarded, paths: [/guarded/], upstream: "$UP", policy: users, auth: [session, bearer], cross_site: {mode: enforce, origins: ["https://portal.example.test"]}, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: watched, paths: [/watched/], upstream: "$UP", policy: users, cross_site: {mode: report, websocket: report}}
  - {name: opened, paths: [/opened/], upstream: "$UP", policy: users, cross_site: {websocket: off}}
  - {name: listed, paths: [/listed/], upstream: "$UP", policy: users, cross_site: {origins: ["https://portal.example.test"]}}
  - {name: form, paths: [/form/], upstream: "$UP", public: true, cross_site: {mode: enforce, websocket: enforce}}`

const portal = "https://portal.example.test"

func (s *site) change(t *testing.T, user, method, target string, lines ...string) answer {
	t.Helper()
	if user != "" {
		lines = append(lines, "Cookie: "+s.signIn(t, user))
	}
	return s.raw(t, s.request(method, target, append(lines, "Content-Length: 0", "Connection: close")...))
}

// TestCrossSiteRequestForgery: a page of another site sends a form, and the
// browser adds the cookie. SameSite=Lax does not stop a page of another host of
// the site, nor every browser.
func TestCrossSiteRequestForgery(t *testing.T) {
	for publicURL, own := range map[string]string{"http://localhost:8080": "http://localhost:8080", "https://localhost": "https://localhost"} {
		s := newSite(t, plan{publicURL: publicURL, routes: crossSiteRoutes})
		for name, lines := range map[string][]string{
			"another site":                      {"Sec-Fetch-Site: cross-site", "Origin: https://evil.test"},
			"another host of the site":          {"Sec-Fetch-Site: same-site", "Origin: https://evil.localhost"},
			"one that hides its origin":         {"Sec-Fetch-Site: cross-site", "Origin: null"},
			"one that says nothing else":        {"Sec-Fetch-Site: cross-site"},
			"an unknown word":                   {"Sec-Fetch-Site: whatever", "Origin: " + own},
			"two words":                         {"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"},
			"an older browser":                  {"Origin: https://evil.test"},
			"one that hides, in an older one":   {"Origin: null"},
			"another port":                      {"Origin: " + own + "1"},
			"another scheme":                    {"Origin: " + map[string]string{"http": "https", "https": "http"}[own[:strings.Index(own, ":")]] + own[strings.Index(own, ":"):]},
			"a look-alike":                      {"Origin: " + own + ".evil.test"},
			"two origins":                       {"Origin: " + own, "Origin: https://evil.test"},
			"a name like that of a listed site": {"Sec-Fetch-Site: cross-site", "Origin: " + portal + ".evil.test"},
			"a listed site by plain http":       {"Sec-Fetch-Site: cross-site", "Origin: http://portal.example.test"},
		} {
			for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "PROPFIND"} {
				a := s.change(t, "alice", method, "/guarded/", lines...)
				s.denied(t, a, http.StatusForbidden)
				if a.reason(t) != "cross_site_request" {
					t.Errorf("%s, %s: the reason is %s", name, method, a.reason(t))
				}
				// The cookies may as well be the application's own.
				s.denied(t, s.change(t, "", method, "/form/", append(lines, "Cookie: app=1")...), http.StatusForbidden)
			}
		}
		for name, lines := range map[string][]string{
			"a page of the site":             {"Sec-Fetch-Site: same-origin", "Origin: " + own},
			"typed":                          {"Sec-Fetch-Site: none"},
			"an older browser":               {"Origin: " + own},
			"a program":                      nil,
			"a form that hides its origin":   {"Sec-Fetch-Site: same-origin", "Origin: null"},
			"a listed site":                  {"Sec-Fetch-Site: cross-site", "Origin: " + portal},
			"a listed site, in an older one": {"Origin: " + portal},
		} {
			if a := s.change(t, "alice", "POST", "/guarded/", lines...); a.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.StatusCode, a.text)
			}
			s.upstream.take()
		}
		// What changes nothing may come from anywhere: links do.
		s.passed(t, s.as(t, "alice", "/guarded/", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"))
		// A page can't add a token without being asked about it.
		s.passed(t, s.change(t, "", "POST", "/guarded/", "Sec-Fetch-Site: cross-site", "Origin: https://evil.test",
			"Authorization: Bearer "+s.token(t, map[string]any{"groups": []string{"users"}})))
		s.passed(t, s.change(t, "", "POST", "/form/", "Sec-Fetch-Site: cross-site", "Origin: https://evil.test", "Authorization: Bearer of-the-application"))
		s.denied(t, s.change(t, "", "POST", "/form/", "Sec-Fetch-Site: cross-site", "Authorization: Basic b2Y6dGhl"), http.StatusForbidden)
		// Nobody asked for it elsewhere.
		s.passed(t, s.change(t, "alice", "POST", "/app", "Sec-Fetch-Site: cross-site", "Origin: https://evil.test"))
		s.passed(t, s.change(t, "", "POST", "/public/", "Sec-Fetch-Site: cross-site", "Origin: https://evil.test"))
		// Who is not signed in is asked to, whatever sent him.
		s.denied(t, s.change(t, "", "POST", "/guarded/", "Sec-Fetch-Site: cross-site"), http.StatusUnauthorized)
	}
}

func TestTheRefusalOfAForgeryTellsThePersonWhatHappened(t *testing.T) {
	s := newSite(t, plan{routes: crossSiteRoutes})
	a := s.change(t, "alice", "POST", "/guarded/", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html")
	if a.StatusCode != http.StatusForbidden || !strings.Contains(a.text, "A page of another site sent this in your name.") {
		t.Errorf("%d\n%s", a.StatusCode, a.text)
	}
}

// TestNothingPassesThatTheStandardLibraryRefuses compares with its protection
// against cross-origin requests.
func TestNothingPassesThatTheStandardLibraryRefuses(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost", routes: crossSiteRoutes})
	oracle := http.NewCrossOriginProtection()
	if err := oracle.AddTrustedOrigin(portal); err != nil {
		t.Fatal(err)
	}
	cookie := s.signIn(t, "alice")
	refused := 0
	for _, method := range []string{"GET", "POST", "DELETE"} {
		for _, fetched := range []string{"", "same-origin", "none", "same-site", "cross-site", "x"} {
			for _, origin := range []string{"", "null", "https://localhost", "http://localhost", portal, "https://evil.test", "https://localhost:443", "://"} {
				r := httptest.NewRequestWithContext(t.Context(), method, "/guarded/", nil)
				r.Host = "localhost"
				r.Header.Set("Cookie", cookie)
				for name, value := range map[string]string{"Sec-Fetch-Site": fetched, "Origin": origin} {
					if value != "" {
						r.Header.Set(name, value)
					}
				}
				w := httptest.NewRecorder()
				err := oracle.Check(r)
				s.gw.Handler().ServeHTTP(w, r)
				if err != nil {
					refused++
				}
				// The same origin with the port that browsers leave out is the same origin.
				if err != nil && w.Code != http.StatusForbidden && origin != "https://localhost:443" {
					t.Errorf("%s, Sec-Fetch-Site %q, Origin %q: %d, and the library says %v", method, fetched, origin, w.Code, err)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("the library refuses nothing")
	}
}

// TestWatchedForgeriesPassAndAreReported in the log, the metric and explain.
func TestWatchedForgeriesPassAndAreReported(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t), routes: crossSiteRoutes})
	evil := "Origin: https://evil.test"
	s.passed(t, s.change(t, "alice", "POST", "/watched/a", evil))
	s.passed(t, s.as(t, "alice", "/watched/b", handshake(evil)...))
	s.denied(t, s.change(t, "alice", "POST", "/guarded/c", evil))
	s.denied(t, s.as(t, "alice", "/ws/d", handshake(evil)...))
	s.passed(t, s.change(t, "alice", "POST", "/watched/e"))
	for path, want := range map[string]string{"/watched/a": "request", "/watched/b": "websocket", "/guarded/c": "request", "/ws/d": "websocket", "/watched/e": "<nil>"} {
		if got := fmt.Sprint(s.logged(t, "alice", path)["cross_site"]); got != want {
			t.Errorf("%s: the log says %s", path, got)
		}
	}
	text := s.metrics(t)
	for _, want := range []string{
		`sallyport_cross_site_total{kind="request",mode="report",route="watched"} 1`,
		`sallyport_cross_site_total{kind="websocket",mode="report",route="watched"} 1`,
		`sallyport_cross_site_total{kind="request",mode="enforce",route="guarded"} 1`,
		`sallyport_cross_site_total{kind="websocket",mode="enforce",route="ws"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	session := s.sessionOf(t, "alice")
	for path, want := range map[string][3]string{
		"/watched/a": {"allow", "allowed_by_rule", "report"}, "/guarded/c": {"forbid", "cross_site_request", "enforce"}, "/form/f": {"forbid", "cross_site_request", "enforce"},
	} {
		var x gateway.Explanation
		if status, text := s.ask(t, "POST", "/explain", map[string]any{
			"method": "POST", "url": path, "session": session, "headers": http.Header{"Origin": {"https://evil.test"}},
		}, &x); status != http.StatusOK {
			t.Fatal(status, text)
		}
		if x.CrossSite == nil || [3]string{x.Verdict.Outcome, x.Verdict.Reason, x.CrossSite.Mode} != want || x.CrossSite.Kind != "request" {
			t.Errorf("%s is explained as %+v, %+v", path, x.Verdict, x.CrossSite)
		}
	}
}

// TestCrossSiteWebSocketHijackingBySettings: what a route says about handshakes,
// and that a listed site is let in alone.
func TestCrossSiteWebSocketHijackingBySettings(t *testing.T) {
	s := newSite(t, plan{routes: crossSiteRoutes})
	open := func(user, target, origin string, lines ...string) answer {
		if origin != "" {
			lines = append(lines, "Origin: "+origin)
		}
		return s.as(t, user, target, handshake(lines...)...)
	}
	s.passed(t, open("alice", "/listed/", portal))
	s.passed(t, open("alice", "/listed/", "http://localhost:8080"))
	for _, origin := range []string{portal + ":444", portal + ".evil.test", "http://portal.example.test", "null", "https://evil.test", ""} {
		s.denied(t, open("alice", "/listed/", origin), http.StatusForbidden)
	}
	s.denied(t, open("alice", "/listed/", portal, "Origin: "+portal), http.StatusForbidden)
	s.passed(t, open("alice", "/opened/", "https://evil.test"))
	s.passed(t, open("alice", "/opened/", ""))

	s.passed(t, open("", "/public/ws", "https://evil.test")) // nobody's name is used
	s.denied(t, open("", "/form/", "https://evil.test"), http.StatusForbidden)
	s.denied(t, open("", "/form/", "", "Cookie: app=1"), http.StatusForbidden)
	s.passed(t, open("", "/form/", ""))
	s.passed(t, open("", "/form/", "http://localhost:8080", "Cookie: app=1"))
}

// TestCrossSiteWebSocketWithAPassword: browsers add a password that they were
// given once, as they add cookies. Programs say no Origin.
func TestCrossSiteWebSocketWithAPassword(t *testing.T) {
	s := newKindsSite(t)
	password := basicLine("paula:" + peoplesPassword)
	s.denied(t, s.as(t, "", "/basic/", handshake(password, "Origin: https://evil.test")...), http.StatusForbidden)
	s.passed(t, s.as(t, "", "/basic/", handshake(password, "Origin: http://localhost:8080")...))
	s.passed(t, s.as(t, "", "/basic/", handshake(password)...))
	s.passed(t, s.as(t, "", "/opaque/", handshake("Authorization: Bearer good", "Origin: https://evil.test")...))
}
