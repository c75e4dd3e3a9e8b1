package policy_test

import (
	"testing"

	"github.com/sallyport/sallyport/policy"
)

// A domain rule that reads an address otherwise than the mail system does lets
// in whoever can register a look-alike (CVE-2026-40574).
func TestEmailDomainIsAllThatFollowsTheOneAtSign(t *testing.T) {
	s := compile(t, policy.Rule{Allow: &policy.Match{EmailDomains: []string{"Example.test", "other.test"}}})
	for name, tt := range map[string]struct {
		email    string
		verified bool
		want     policy.Effect
	}{
		"an address there":        {"a@example.test", true, policy.Allow},
		"the domain in capitals":  {"a@EXAMPLE.test", true, policy.Allow},
		"the second domain":       {"a@other.test", true, policy.Allow},
		"not verified":            {"a@example.test", false, policy.Deny},
		"two at signs":            {"a@evil.com@example.test", true, policy.Deny},
		"the domain as a prefix":  {"a@example.test.evil", true, policy.Deny},
		"the domain as a suffix":  {"a@evilexample.test", true, policy.Deny},
		"a subdomain":             {"a@sub.example.test", true, policy.Deny},
		"a quoted local part":     {`"a@example.test"@evil.com`, true, policy.Deny},
		"a trailing space":        {"a@example.test ", true, policy.Deny},
		"a trailing dot":          {"a@example.test.", true, policy.Deny},
		"no local part":           {"@example.test", true, policy.Deny},
		"two addresses":           {"a@example.test,b@evil.com", true, policy.Deny},
		"two, the other way":      {"b@evil.com,a@example.test", true, policy.Deny},
		"the domain alone":        {"example.test", true, policy.Deny},
		"no address":              {"", true, policy.Deny},
		"folds to it in Unicode":  {"a@example.te\u017ft", true, policy.Deny},
		"longer than any address": {string(make([]byte, 400)) + "@example.test", true, policy.Deny},
	} {
		t.Run(name, func(t *testing.T) {
			if got := effect(t, s, policy.Identity{Subject: "alice", Email: tt.email, EmailVerified: tt.verified}); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// A scope that merely contains the wanted one must not stand for it
// (CVE-2021-32701 and its kin).
func TestScopesAreWholeWordsBetweenSpaces(t *testing.T) {
	s := compile(t, policy.Rule{Allow: &policy.Match{Scopes: []string{"read:all"}}})
	asked := compile(t, policy.Rule{Allow: &policy.Match{When: `"read:all" in identity.scopes`}})
	for name, tt := range map[string]struct {
		claims map[string]any
		want   policy.Effect
	}{
		"scope as a list":         {map[string]any{"scope": []any{"read:all"}}, policy.Deny},
		"the scope":               {map[string]any{"scope": "read:all"}, policy.Allow},
		"among others":            {map[string]any{"scope": "openid read:all write"}, policy.Allow},
		"two spaces":              {map[string]any{"scope": "openid  read:all"}, policy.Allow},
		"scp as a list":           {map[string]any{"scp": []any{"x", "read:all"}}, policy.Allow},
		"scp as words":            {map[string]any{"scp": "x read:all"}, policy.Allow},
		"a part of it":            {map[string]any{"scope": "read"}, policy.Deny},
		"it is a suffix":          {map[string]any{"scope": "unread:all"}, policy.Deny},
		"it is a prefix":          {map[string]any{"scope": "read:all2"}, policy.Deny},
		"capitals":                {map[string]any{"scope": "READ:ALL"}, policy.Deny},
		"a list":                  {map[string]any{"scope": []any{"read:all"}}, policy.Deny},
		"a hard space":            {map[string]any{"scope": "read:all\u00a0x"}, policy.Deny},
		"a tab":                   {map[string]any{"scope": "x\tread:all"}, policy.Deny},
		"a comma":                 {map[string]any{"scope": "x,read:all"}, policy.Deny},
		"missing":                 {map[string]any{}, policy.Deny},
		"scope wins over scp":     {map[string]any{"scope": "x", "scp": "read:all"}, policy.Deny},
		"two words in a list":     {map[string]any{"scp": []any{"x read:all"}}, policy.Deny},
		"lists in a list":         {map[string]any{"scp": []any{[]any{"read:all"}}}, policy.Deny},
		"an object":               {map[string]any{"scp": map[string]any{"read:all": true}}, policy.Deny},
		"the name in other case":  {map[string]any{"SCOPE": "read:all"}, policy.Deny},
		"nothing known about him": {nil, policy.Deny},
	} {
		t.Run(name, func(t *testing.T) {
			if got := effect(t, s, policy.Identity{Subject: "alice", Claims: mapClaims(tt.claims)}); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if got := effect(t, asked, policy.Identity{Subject: "alice", Claims: mapClaims(tt.claims)}); got != tt.want {
				t.Errorf("in an expression: got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDomainsAndScopesThatCanNotBeMeant(t *testing.T) {
	for name, m := range map[string]policy.Match{
		"a domain with its @":       {EmailDomains: []string{"@example.test"}},
		"a domain with a final dot": {EmailDomains: []string{"example.test."}},
		"a wildcard with a space":   {EmailDomains: []string{"example.test other.test"}},
		"no domain":                 {EmailDomains: []string{}},
		"two scopes in one":         {Scopes: []string{"read write"}},
		"an empty scope":            {Scopes: []string{""}},
		"no scope":                  {Scopes: []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			if set, err := newEngine(t).Compile(policy.Policy{Name: "p", Rules: []policy.Rule{{Allow: &m}}}); err == nil || set != nil {
				t.Errorf("it was compiled: %v", err)
			}
		})
	}
}
