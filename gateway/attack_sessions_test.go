package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestSignInEndsEverySessionOfTheBrowser (session fixation, CVE-2024-38513):
// whatever the browser held before is worth nothing afterwards.
func TestSignInEndsEverySessionOfTheBrowser(t *testing.T) {
	s := newSite(t, plan{})
	mallory := s.newSession(t, "mallory", "")
	for name, held := range map[string]string{
		"a value that an attacker chose":  "sp=" + strings.Repeat("A", 34),
		"a live session of the attacker":  mallory,
		"a session of an earlier sign-in": s.newSession(t, "alice", ""),
	} {
		t.Run(name, func(t *testing.T) {
			fresh := s.newSession(t, "alice", held)
			if fresh == held {
				t.Error("the identifier is the same as before")
			}
			s.denied(t, s.as(t, "", "/app", "Cookie: "+held), http.StatusUnauthorized)
			s.passed(t, s.as(t, "", "/app", "Cookie: "+fresh)).isAlice(t)
		})
	}
}

// TestSessionIdentifiersDoNotRepeat, nor do they stand anywhere but in the
// cookie.
func TestSessionIdentifiersDoNotRepeat(t *testing.T) {
	s := newSite(t, plan{})
	const sessions = 500
	var columns [22]map[byte]bool // the random part of the value
	ids := map[string]bool{}
	for range sessions {
		_, id, _ := strings.Cut(s.newSession(t, "alice", ""), "=")
		ids[id] = true
		for i := range columns {
			if columns[i] == nil {
				columns[i] = map[byte]bool{}
			}
			columns[i][id[i]] = true
		}
	}
	if len(ids) != sessions {
		t.Errorf("%d sessions have %d identifiers", sessions, len(ids))
	}
	for i, seen := range columns[:21] { // 21 characters are 126 of the 128 bits
		if len(seen) < 48 {
			t.Errorf("character %d of the identifiers has %d values only", i, len(seen))
		}
	}
}

func TestSignOutEndsTheSessionOnTheServer(t *testing.T) {
	s := newSite(t, plan{})
	cookie := s.newSession(t, "alice", "")
	s.passed(t, s.as(t, "", "/app", "Cookie: "+cookie))
	if a := s.post(t, "/.auth/logout", nil, "Cookie: "+cookie, "Sec-Fetch-Site: same-origin"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("signing out: %d\n%s", a.StatusCode, a.text)
	}
	s.denied(t, s.as(t, "", "/app", "Cookie: "+cookie), http.StatusUnauthorized)
}

// TestActivityNeverExtendsTheAbsoluteTimeout keeps a session busy to its end.
func TestActivityNeverExtendsTheAbsoluteTimeout(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{session: "idle_timeout: 2s, absolute_timeout: 2s"})
	cookie := s.newSession(t, "alice", "")
	s.passed(t, s.as(t, "", "/app", "Cookie: "+cookie))
	poll(t, "the session to end", func() bool {
		return s.as(t, "", "/app", "Cookie: "+cookie).StatusCode == http.StatusUnauthorized
	})
}

// TestSessionThatIsNotUsedEnds: looking at it is no use of it.
func TestSessionThatIsNotUsedEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{session: "idle_timeout: 1s"})
	cookie := s.newSession(t, "alice", "")
	poll(t, "the session to end", func() bool {
		return s.as(t, "", "/.auth/me", "Cookie: "+cookie).StatusCode == http.StatusUnauthorized
	})
	s.denied(t, s.as(t, "", "/app", "Cookie: "+cookie), http.StatusUnauthorized)
}

// TestAnonymousTrafficWritesNothing (CVE-2026-25899): neither requests to
// protected URLs nor sign-ins that nobody finishes fill the store.
func TestAnonymousTrafficWritesNothing(t *testing.T) {
	s := newSite(t, plan{})
	s.signIn(t, "alice")
	serve := s.gw.Handler()
	for i := range 1000 {
		for _, target := range []string{fmt.Sprintf("/app/%d", i), "/.auth/login", "/.auth/logout", "/.auth/me"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
			r.Host = s.host
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Cookie", fmt.Sprintf("sp=%034d", i))
			serve.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	if got := s.metric(t, "sallyport_sessions_active"); got != "1" {
		t.Errorf("the store holds %s sessions, want alice's alone", got)
	}
}

// metric returns the value of a metric line of the admin listener, by its name
// and labels as /metrics writes them.
func (s *site) metric(t *testing.T, line string) string {
	t.Helper()
	for got := range strings.SplitSeq(s.metrics(t), "\n") {
		if value, ok := strings.CutPrefix(got, line+" "); ok {
			return value
		}
	}
	return ""
}

func (s *site) metrics(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("/metrics: %d", w.Code)
	}
	return w.Body.String()
}

// TestForgedSignOut: another site's page can make a browser send any of these.
func TestForgedSignOut(t *testing.T) {
	s := newSite(t, plan{})
	alice := "Cookie: " + s.signIn(t, "alice")
	mallorysPage := s.as(t, "mallory", "/.auth/logout", "Accept: text/html")
	_, rest, _ := strings.Cut(mallorysPage.text, `name="csrf" value="`)
	mallorysToken, _, _ := strings.Cut(rest, `"`)
	if mallorysToken == "" {
		t.Fatalf("the page has no token:\n%s", mallorysPage.text)
	}
	for name, lines := range map[string][]string{
		"nothing at all":                  nil,
		"Origin: null":                    {"Origin: null"},
		"a host that begins like this":    {"Origin: http://localhost:8080.evil.test"},
		"another scheme":                  {"Origin: https://localhost:8080"},
		"another port":                    {"Origin: http://localhost:8081"},
		"a referrer alone":                {"Referer: http://localhost:8080/"},
		"a sibling":                       {"Sec-Fetch-Site: same-site"},
		"a sibling with a good origin":    {"Sec-Fetch-Site: same-site", "Origin: http://localhost:8080"},
		"two origins":                     {"Origin: http://localhost:8080", "Origin: https://evil.test"},
		"a sandboxed frame of the site":   {"Sec-Fetch-Site: cross-site", "Origin: null"},
		"a body that is not a form":       {"Content-Type: text/plain", "Origin: https://evil.test"},
		"a method in a header":            {"X-HTTP-Method-Override: POST", "Sec-Fetch-Site: cross-site"},
		"another session's form token":    {"Origin: https://evil.test"},
		"a forwarded host, nobody's word": {"Origin: https://evil.test", "X-Forwarded-Host: evil.test"},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"csrf": {mallorysToken}}
			s.denied(t, s.post(t, "/.auth/logout", form, append(lines, alice)...), http.StatusForbidden, http.StatusBadRequest)
			s.passed(t, s.as(t, "alice", "/app")).isAlice(t)
		})
	}
	for _, lines := range [][]string{{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image"}, {"Sec-Purpose: prefetch"}, {"Accept: text/html"}} {
		s.as(t, "alice", "/.auth/logout", lines...)
		s.raw(t, s.request("HEAD", "/.auth/logout", append(lines, alice, "Connection: close")...))
		s.passed(t, s.as(t, "alice", "/app")).isAlice(t)
	}
}

// TestForgedSignIn (login CSRF): a page that signs its visitors in as somebody
// else would collect what they then enter.
func TestForgedSignIn(t *testing.T) {
	s := newSite(t, plan{})
	for _, lines := range [][]string{
		{"Origin: https://evil.test"},
		{"Origin: null"},
		{"Sec-Fetch-Site: cross-site"},
		{"Sec-Fetch-Site: same-site"},
		{"Referer: https://evil.test/"},
		{"Referer: http://localhost:8080/"},
		{"Sec-Fetch-Site: none", "Origin: https://evil.test"},
	} {
		a := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"mallory"}}, lines...)
		s.denied(t, a, http.StatusForbidden)
		if len(a.Cookies()) != 0 {
			t.Errorf("%q: cookies were set: %v", lines, a.Cookies())
		}
	}
}
