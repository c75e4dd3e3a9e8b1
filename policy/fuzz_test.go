package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/policy"
)

// largest is the largest request that servers let through.
func largest() *policy.Input {
	in := request()
	claims := mapClaims{}
	in.Request.Header = map[string][]string{}
	for i := range 1000 {
		in.Identity.Groups = append(in.Identity.Groups, fmt.Sprint("group", i))
		if i < 100 {
			claims[fmt.Sprint("claim", i)] = []any{strings.Repeat("a", 100), float64(i)}
			in.Request.Header[fmt.Sprint("X-Header-", i)] = []string{strings.Repeat("b", 100)}
			in.Request.RawQuery += fmt.Sprintf("&p%d=%d", i, i)
		}
	}
	in.Identity.Claims = claims
	in.Request.Path = "/" + strings.Repeat("a", 8000)
	return in
}

// FuzzExpression: whatever is written, it is refused at load or answers the same
// each time, and what fails denies.
func FuzzExpression(f *testing.F) {
	for _, expr := range []string{
		`request.method == "GET" && request.path.startsWith("/reports/")`,
		`identity.groups.exists(g, g.startsWith("team-"))`, `sets.contains(identity.groups, ["staff"])`,
		`"auditor" in identity.claims.realm.roles`, `identity.claims["level"] >= 3`, `has(identity.claims.realm.roles)`,
		`identity.claims.?missing.orValue("none") == "none"`, `request.query["x"] == "1+1"`, `request.headers["x-tenant"] == "a, b"`,
		`cidr("10.0.0.0/8").containsIP(client.address)`, `now - identity.auth_time < duration("5m")`, `now.getHours("Europe/Berlin") == 11`,
		`request.path.matches("/reports/[0-9]+")`, `identity.emial == ""`, `identity.groups.all(a, identity.groups.all(b, a + b != "x"))`,
		`request.path.split("/")[1] == identity.subject`, `identity.claims.map(k, k).join(",") == ""`, `1/0 == 1`, `[1,2,3].filter(x, x > 1).size() == 2`,
		`identity.groups.map(g, g + g).exists(g, g == "aa")`, `timestamp("2026-01-01T00:00:00Z") < now`, `string(now) == ""`, `"%s".format([identity.claims]) == ""`,
	} {
		f.Add(expr)
	}
	engine := newEngine(f)
	inputs := []*policy.Input{request(), largest(), {Identity: policy.Identity{Subject: "x"}}}
	f.Fuzz(func(t *testing.T, expr string) {
		s, err := engine.Compile(policy.Policy{Name: "p", Rules: []policy.Rule{when(expr)}})
		if err != nil || strings.TrimSpace(expr) == "" {
			return
		}
		not, err := engine.Compile(policy.Policy{Name: "p", Rules: []policy.Rule{{Name: "x", Allow: &policy.Match{Unless: expr}}}})
		if err != nil {
			t.Fatalf("taken as when and not as unless: %v", err)
		}
		for _, in := range inputs {
			d, err := s.Evaluate(t.Context(), in)
			again, _ := s.Evaluate(t.Context(), in)
			opposite, oppositeErr := not.Evaluate(t.Context(), in)
			if d.Effect != again.Effect || d.Reason != again.Reason {
				t.Fatalf("first %+v, then %+v", d, again)
			}
			if (err != nil) != (oppositeErr != nil) || err != nil && (d.Effect != policy.Deny || opposite.Effect != policy.Deny) {
				t.Fatalf("%+v with %v, and as unless %+v with %v", d, err, opposite, oppositeErr)
			}
			if err == nil && d.Effect == opposite.Effect {
				t.Fatalf("%v, and as unless too", d.Effect)
			}
			s.Explain(t.Context(), in)
		}
	})
}

// FuzzValues: a file of values is refused or taken whole.
func FuzzValues(f *testing.F) {
	for _, text := range []string{"a\nb # why\n\n# comment", "10.0.0.0/8\n::1", "a@b.test", "x\x00y", strings.Repeat("a\n", 100)} {
		for _, field := range []string{"groups", "emails", "email_domains", "cidr"} {
			f.Add(field, text)
		}
	}
	f.Fuzz(func(t *testing.T, field, text string) {
		if field != "cidr" && field != "emails" && field != "email_domains" {
			field = "groups"
		}
		v := policy.NewValues(field)
		if err := v.SetText("# none"); err != nil {
			t.Fatal(err)
		}
		if err := v.SetText(text); err != nil && v.Len() != 0 {
			t.Fatalf("%v, and %d values are taken", err, v.Len())
		}
		m := &policy.Match{From: map[string]*policy.Values{field: v}}
		d, err := compile(t, policy.Rule{Allow: m}).Evaluate(t.Context(), &policy.Input{Identity: policy.Identity{Subject: "x", Email: "a@b.test"}})
		if err != nil || d.Effect == policy.Allow {
			t.Fatalf("a user without a group, a verified address or a network: %+v, %v", d, err)
		}
	})
}
