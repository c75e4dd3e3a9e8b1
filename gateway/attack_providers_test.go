package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestSessionOfAnotherProviderOpensNoRouteThatWantsItsOwn: who can sign in
// somewhere cannot thereby reach what only another provider's users may.
func TestSessionOfAnotherProviderOpensNoRouteThatWantsItsOwn(t *testing.T) {
	s := newSite(t, plan{
		providers: `- {name: partner, type: dev, identities: [{subject: alice}]}`,
		routes: `
  - {name: partners, paths: [/partners/], upstream: "$UP", policy: authenticated, providers: [partner]}
  - {name: either, paths: [/either/], upstream: "$UP", policy: authenticated, providers: [partner, dev]}
  - {name: mixed, paths: [/mixed/], upstream: "$UP", auth: [session, bearer], policy: authenticated, providers: [partner], headers: [{name: X-Forwarded-Issuer, claim: iss}]}
`,
	})
	navigation := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}

	// Nobody is signed in: the sign-in offers what the route wants.
	for path, want := range map[string]string{
		"/partners/x": "/.auth/login?return_to=%2Fpartners%2Fx&provider=partner",
		"/either/x":   "/.auth/login?return_to=%2Feither%2Fx&provider=partner&provider=dev",
		"/app":        "/.auth/login?return_to=%2Fapp",
	} {
		a := s.as(t, "", path, navigation...)
		s.denied(t, a, http.StatusFound)
		if got := a.Header.Get("Location"); got != want {
			t.Errorf("%s leads to %s, want %s", path, got, want)
		}
		var problem struct {
			LoginURL string `json:"login_url"`
		}
		if a := s.as(t, "", path, "Accept: application/json"); json.Unmarshal([]byte(a.text), &problem) != nil || problem.LoginURL != want {
			t.Errorf("%s tells programs %q", path, problem.LoginURL)
		}
	}

	// The session of another provider is proven and does not count.
	page := s.as(t, "alice", "/partners/x", navigation...)
	s.denied(t, page, http.StatusForbidden)
	if !strings.Contains(page.text, "alice@example.test") || !strings.Contains(page.text, "return_to=%2Fpartners%2Fx&amp;provider=partner&amp;switch=1") {
		t.Errorf("the page does not say who he is, or leads to no other sign-in: %s", page.text)
	}
	var problem struct {
		Reason   string `json:"reason"`
		LoginURL string `json:"login_url"`
	}
	api := s.as(t, "alice", "/partners/x", "Accept: application/json")
	s.denied(t, api, http.StatusForbidden)
	if err := json.Unmarshal([]byte(api.text), &problem); err != nil || problem.Reason != "wrong_provider" || !strings.Contains(problem.LoginURL, "provider=partner") {
		t.Errorf("a program reads %s", api.text)
	}
	s.denied(t, s.as(t, "alice", "/mixed/x"), http.StatusForbidden)
	s.passed(t, s.as(t, "alice", "/either/x"))

	// A token is no session, and the sign-in of the right provider opens the route.
	s.passed(t, s.as(t, "", "/mixed/x", "Authorization: Bearer "+s.token(t, nil)))
	in := s.post(t, "/.auth/login", url.Values{"provider": {"partner"}, "username": {"alice"}}, "Cookie: "+s.signIn(t, "alice"))
	var cookie string
	for _, ck := range in.Cookies() {
		if ck.Name == s.cookie {
			cookie = ck.Name + "=" + ck.Value
		}
	}
	s.passed(t, s.as(t, "", "/partners/x", "Cookie: "+cookie))
}

// TestApplicationNeitherSeesNorSetsWhatTheSignInPageRemembers.
func TestApplicationNeitherSeesNorSetsWhatTheSignInPageRemembers(t *testing.T) {
	s := newSite(t, plan{providers: `- {name: partner, type: dev, identities: [{subject: alice}]}`})
	got := s.passed(t, s.as(t, "", "/public/", "Cookie: sp_provider=dev; app=1"))
	if strings.Contains(got.raw, "sp_provider") || !strings.Contains(got.raw, "app=1") {
		t.Errorf("the application received %s", got.raw)
	}
}
