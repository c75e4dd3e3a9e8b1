package policy_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/policy"
)

// FuzzLint: whatever expression compiles, Lint takes it apart without a panic, and a
// rule of which it says that it never fits lets nobody in.
func FuzzLint(f *testing.F) {
	for _, d := range dimensions() {
		for _, expr := range d.exprs {
			f.Add(expr)
		}
	}
	for _, expr := range []string{
		`identity.groups.exists(g, g.startsWith("team-") && !g.matches(".*x.*"))`, `request.path.split("/")[1] == identity.subject`,
		`identity.claims.map(k, k).join(",") == "" ? true : [1, 2].exists_one(x, x == 1)`, `{"a": identity.claims.x}.a == optional.of(1).value()`,
		`identity.claims.?a.?b.orValue(false) == true`, `identity.groups.filter(g, identity.claims.x == g).size() > 0 || now < timestamp("2026-01-01T00:00:00Z")`,
		`has(identity.claims.a.b) && identity.claims["a"].b in [1, 2.0, 3u]`, `!(!(request.method != "GET"))`, `"" in request.headers`,
	} {
		f.Add(expr)
	}
	engine := lintEngine(f)
	inputs := []*policy.Input{request(), {Identity: policy.Identity{Subject: "x"}}}
	f.Fuzz(func(t *testing.T, expr string) {
		if strings.TrimSpace(expr) == "" {
			return
		}
		for _, rule := range []policy.Rule{allowWhen(expr), denyWhen(expr), {Unless: expr, Allow: &policy.Match{Groups: []string{"staff"}, Unless: expr}}} {
			p := policy.Policy{Name: "p", Rules: []policy.Rule{rule, staff()}}
			found, err := engine.Lint(p, policy.LintOptions{Now: monday})
			if err != nil {
				return
			}
			for _, one := range found {
				if one.Code == "" || one.Path == "" || one.Problem == "" || one.Why == "" || one.Fix == "" {
					t.Fatalf("%+v", one)
				}
				if one.Code != "never_matches" {
					continue
				}
				set, err := engine.Compile(p)
				if err != nil {
					t.Fatal(err)
				}
				for _, in := range inputs {
					if x := set.Explain(t.Context(), in); x.Rules[0].Fits {
						t.Fatalf("%+v, but it fits", one)
					}
				}
			}
		}
	})
}
