package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestSessionIdentifierStandsInItsCookieAlone (ASVS 7.2.3): no page, answer,
// header, log line or metric holds it, nor the random part that the store hashes.
func TestSessionIdentifierStandsInItsCookieAlone(t *testing.T) {
	s := newSite(t, plan{})
	cookie := s.newSession(t, "alice", "")
	_, value, _ := strings.Cut(cookie, "=")
	random := value[:21]
	holds := func(where, text string) {
		t.Helper()
		if strings.Contains(text, random) {
			t.Errorf("%s holds it", where)
		}
	}
	line := "Cookie: " + cookie
	for _, target := range []string{
		"/.auth/me", "/.auth/sessions", "/.auth/logout", "/.auth/logout/done", "/.auth/login", "/.auth/login?switch=1", "/.auth/nothing", "/admin/", "/app",
	} {
		for _, accept := range []string{"Accept: */*", "Accept: text/html"} {
			a := s.as(t, "", target, line, accept)
			holds(target, a.text)
			for name, values := range a.Header {
				holds(target+" in "+name, strings.Join(values, " "))
			}
		}
	}
	for _, got := range s.upstream.take() {
		holds("what the application receives", got.raw)
	}
	a := s.post(t, "/.auth/sessions/end", url.Values{"which": {"all"}}, line, "Sec-Fetch-Site: same-origin")
	if a.StatusCode != http.StatusSeeOther {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	holds("the address after the sign-out", a.Header.Get("Location"))
	poll(t, "the sign-out to be logged", func() bool { return strings.Contains(s.logText.String(), `"event":"logout"`) })
	holds("the log", s.logText.String())
	holds("the metrics", s.metrics(t))
}

// TestCookieIsNoKeyOfTheStore (CWE-943): what is not a cookie of the gateway's own
// making never gets as far as the store, whatever it looks like there.
func TestCookieIsNoKeyOfTheStore(t *testing.T) {
	s := newSite(t, plan{})
	good := s.newSession(t, "alice", "")
	s.signOut(t, s.newSession(t, "mallory", ""))
	deletes := func() string { return s.metric(t, `sallyport_store_seconds_count{operation="delete"}`) }
	before := deletes()
	for _, value := range []string{
		"*", "../x", "state:1", "sp:s:*", "a%0d%0aDEL%20x", "{tag}x", "\x00", strings.Repeat("A", 30<<10), strings.Repeat("A", 34), "keys", "?", "[a-z]*",
		strings.TrimPrefix(good, "sp=") + "*", strings.ToUpper(strings.TrimPrefix(good, "sp=")), `"` + strings.TrimPrefix(good, "sp=") + `"`,
	} {
		a := s.as(t, "", "/app", "Cookie: sp="+value)
		s.denied(t, a, http.StatusUnauthorized, http.StatusBadRequest, http.StatusRequestHeaderFieldsTooLarge)
		s.post(t, "/.auth/logout", nil, "Cookie: sp="+value, "Sec-Fetch-Site: same-origin")
	}
	if after := deletes(); after != before || before == "" {
		t.Errorf("the store was told to delete: %q times before, %q after", before, after)
	}
	s.passed(t, s.as(t, "", "/app", "Cookie: "+good)).isAlice(t)
}
