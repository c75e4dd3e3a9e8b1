package policy_test

import (
	"testing"

	"github.com/sallyport/sallyport/policy"
)

func mixedRules(with string) []policy.Rule {
	return []policy.Rule{
		{Name: "contractors", Deny: &policy.Match{Groups: []string{"contractors"}}},
		{Name: "suspended", Deny: &policy.Match{Claims: []policy.Claim{{Name: "status", Values: []string{"suspended"}}}}},
		{Name: "office", Deny: &policy.Match{Paths: []string{"/admin"}, CIDR: []string{"192.168.0.0/16"}}},
		{Name: "board", Allow: &policy.Match{Emails: []string{"dana@example.com"}}},
		{Name: "staff", Allow: &policy.Match{Groups: []string{"staff"}, Methods: []string{"GET", "POST"}, When: with}},
	}
}

func BenchmarkExpression(b *testing.B) {
	for name, expr := range map[string]string{
		"shorthand":     "",
		"expression":    `request.path.startsWith("/reports/") && "staff" in identity.groups`,
		"claim":         `identity.claims.department == "finance"`,
		"comprehension": `identity.groups.exists(g, g.startsWith("team-"))`,
	} {
		b.Run(name, func(b *testing.B) {
			s, in := compile(b, mixedRules(expr)...), request()
			b.ReportAllocs()
			for b.Loop() {
				if d, err := s.Evaluate(b.Context(), in); err != nil || d.Effect != policy.Allow {
					b.Fatal(d, err)
				}
			}
		})
	}
}
