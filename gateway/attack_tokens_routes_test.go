package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// scopedSite has a route for each thing that can be asked of a token besides
// its proof.
func scopedSite(t *testing.T) *site {
	t.Helper()
	const policies = `
  - {name: read, rules: [{name: read all, allow: {scopes: ["read:all"]}}]}
  - {name: write, rules: [{name: write, allow: {scopes: [write]}}]}
  - {name: staff-mail, rules: [{name: mail, allow: {email_domains: [example.test]}}]}`
	const routes = `
  - {name: read-all, paths: [/read/], upstream: "$UP", auth: [bearer], policy: read}
  - {name: write-all, paths: [/write/], upstream: "$UP", auth: [bearer], policy: write, token_audiences: ["api://b"]}
  - {name: mail, paths: [/mail/], upstream: "$UP", auth: [bearer], policy: staff-mail}`
	return newSite(t, plan{policies: policies, routes: routes})
}

// TestScopesAreWholeWords (CVE-2021-32701): a scope that merely contains the
// wanted one must not open the route.
func TestScopesAreWholeWords(t *testing.T) {
	s := scopedSite(t)
	for name, c := range map[string]struct {
		claims map[string]any
		passes bool
	}{
		"the scope":               {map[string]any{"scope": "openid read:all"}, true},
		"scp as a list":           {map[string]any{"scp": []string{"read:all"}}, true},
		"a part":                  {map[string]any{"scope": "read"}, false},
		"a suffix":                {map[string]any{"scope": "unread:all"}, false},
		"a prefix":                {map[string]any{"scope": "read:all2"}, false},
		"capitals":                {map[string]any{"scope": "READ:ALL"}, false},
		"a list under scope":      {map[string]any{"scope": []string{"read:all"}}, false},
		"a hard space behind it":  {map[string]any{"scope": "read:all\u00a0x"}, false},
		"a claim of another case": {map[string]any{"Scope": "read:all"}, false},
		"none":                    {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.as(t, "", "/read/", "Authorization: Bearer "+s.token(t, c.claims))
			if c.passes {
				s.passed(t, a)
				return
			}
			s.denied(t, a, http.StatusForbidden)
		})
	}
}

// TestMailDomainsOfTokens (CVE-2026-40574): only a verified address of exactly
// that domain counts.
func TestMailDomainsOfTokens(t *testing.T) {
	s := scopedSite(t)
	mail := func(address string, verified any) string {
		return "Authorization: Bearer " + s.token(t, map[string]any{"email": address, "email_verified": verified})
	}
	s.passed(t, s.as(t, "", "/mail/", mail("a@EXAMPLE.test", true)))
	for _, address := range []string{
		"a@evil.com@example.test", "a@example.test.evil", "a@sub.example.test", `"a@example.test"@evil.com`,
		"a@example.test ", "@example.test", "a@example.test,b@evil.com",
	} {
		s.denied(t, s.as(t, "", "/mail/", mail(address, true)), http.StatusForbidden)
	}
	for _, verified := range []any{false, nil, "true", "false", 1} {
		s.denied(t, s.as(t, "", "/mail/", mail("a@example.test", verified)), http.StatusForbidden)
	}
}

// TestAProvenTokenIsJudgedAnewOnEachRoute (CVE-2021-32701, CVE-2026-33496): that
// one route has accepted a token says nothing to another.
func TestAProvenTokenIsJudgedAnewOnEachRoute(t *testing.T) {
	s := scopedSite(t)
	line := "Authorization: Bearer " + s.token(t, map[string]any{"scope": "read:all"})
	other := "Authorization: Bearer " + s.token(t, map[string]any{"scope": "write"})
	for range 3 {
		s.passed(t, s.as(t, "", "/read/", line))
		s.denied(t, s.as(t, "", "/write/", line), http.StatusUnauthorized) // its audience
		s.denied(t, s.as(t, "", "/admin/", line), http.StatusUnauthorized) // takes no tokens
		s.denied(t, s.as(t, "", "/read/", other), http.StatusForbidden)    // its scope
	}
	// The same payload under a broken signature, right after it was accepted.
	broken := []byte(line)
	if at := len(broken) - 5; broken[at] == 'A' {
		broken[at] = 'B'
	} else {
		broken[at] = 'A'
	}
	a := s.as(t, "", "/read/", string(broken))
	s.denied(t, a, http.StatusUnauthorized)
	if !strings.Contains(a.text, "bad_signature") {
		t.Errorf("the reason is in %s", a.text)
	}
}

// TestAProvenTokenExpiresOnTime: the cache must not outlive the token.
func TestAProvenTokenExpiresOnTime(t *testing.T) {
	t.Parallel()
	s := scopedSite(t)
	// exp in the past, within the leeway of a minute that is about to end.
	line := "Authorization: Bearer " + s.token(t, map[string]any{
		"scope": "read:all", "iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(-58 * time.Second).Unix(),
	})
	s.passed(t, s.as(t, "", "/read/", line))
	poll(t, "the token to expire", func() bool {
		a := s.as(t, "", "/read/", line)
		return a.StatusCode == http.StatusUnauthorized && strings.Contains(a.text, "token_expired")
	})
}
