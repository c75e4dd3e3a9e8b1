package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// TestProviderThatIsDownStopsSignInsAndNothingElse: it is down when the gateway
// starts, comes up, and fails again in the middle of a sign-in.
func TestProviderThatIsDownStopsSignInsAndNothingElse(t *testing.T) {
	t.Parallel()
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) { s.MetadataStatus = http.StatusBadGateway })
	s := newSite(t, plan{providers: fmt.Sprintf(`
    - {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret: %q}`, op.Issuer, oidctest.ClientID, oidctest.ClientSecret)})
	outage := func(a answer) {
		t.Helper()
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || len(a.Header["Set-Cookie"]) != 0 {
			t.Errorf("%d, Retry-After %q, cookies %q", a.StatusCode, a.Header.Get("Retry-After"), a.Header["Set-Cookie"])
		}
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || !strings.Contains(a.text, "provider_unavailable") {
			t.Errorf("a person reads: %.300s", a.text)
		}
	}
	const start = "/.auth/login?provider=corp&return_to=%2Fpage"
	outage(s.as(t, "", start, "Accept: text/html"))
	outage(s.as(t, "", "/.auth/callback/corp?code=x&state=y", "Accept: text/html"))
	s.passed(t, s.as(t, "alice", "/app", "Accept: text/html"))
	if a := s.as(t, "", "/.auth/login", "Accept: text/html"); a.StatusCode != http.StatusOK {
		t.Errorf("the page with the other way to sign in: %d", a.StatusCode)
	}

	// Nobody restarts anything.
	op.Reset()
	poll(t, "the provider to be found", func() bool { // not by starting sign-ins, of which there is a limit
		return s.as(t, "", "/.auth/callback/corp?code=x&state=y", "Accept: text/html").StatusCode != http.StatusServiceUnavailable
	})
	leave := s.as(t, "", start, "Accept: text/html")
	callback := func(leave answer) string {
		client := &http.Client{Timeout: patience, CheckRedirect: s.browser().CheckRedirect}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, leave.Header.Get("Location"), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		back, err := url.Parse(resp.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return back.RequestURI()
	}

	back := callback(leave)
	op.Set(func(s *oidctest.Script) { s.TokenStatus = http.StatusServiceUnavailable })
	a := s.as(t, "", back, "Accept: text/html", "Cookie: "+loginCookie(leave))
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("while the code can't be redeemed: %d", a.StatusCode)
	}
	s.passed(t, s.as(t, "alice", "/app"))

	op.Reset()
	leave = s.as(t, "", start, "Accept: text/html")
	in := s.as(t, "", callback(leave), "Accept: text/html", "Cookie: "+loginCookie(leave))
	if in.StatusCode != http.StatusFound || in.Header.Get("Location") != "/page" {
		t.Errorf("at last: %d to %q\n%s", in.StatusCode, in.Header.Get("Location"), in.text)
	}
}
