package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/policy"
)

// A small world, so that rules and people often meet.
func drawWord(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "A", "1", "true"}).Draw(t, "word")
}

func drawWords(t *rapid.T, atLeast int) []string {
	return rapid.SliceOfN(rapid.Custom(drawWord), atLeast, 3).Draw(t, "words")
}

func drawMatch(t *rapid.T) *policy.Match {
	m := &policy.Match{}
	for m.Groups == nil && m.Emails == nil && m.EmailDomains == nil && m.Subjects == nil && m.Scopes == nil && m.Claims == nil {
		if rapid.Bool().Draw(t, "groups") {
			m.Groups = drawWords(t, 1)
		}
		if rapid.Bool().Draw(t, "subjects") {
			m.Subjects = drawWords(t, 1)
		}
		if rapid.Bool().Draw(t, "emails") {
			m.Emails = []string{drawWord(t) + "@x.test"}
		}
		if rapid.Bool().Draw(t, "domains") {
			m.EmailDomains = []string{"x.test"}
		}
		if rapid.Bool().Draw(t, "scopes") {
			m.Scopes = drawWords(t, 1)
		}
		if rapid.Bool().Draw(t, "claims") {
			m.Claims = []policy.Claim{{Name: drawWord(t), Values: drawWords(t, 1)}}
		}
	}
	return m
}

func drawRules(t *rapid.T) []policy.Rule {
	rules := make([]policy.Rule, rapid.IntRange(1, 5).Draw(t, "rules"))
	for i := range rules {
		if rapid.Bool().Draw(t, "allow") {
			rules[i].Allow = drawMatch(t)
		} else {
			rules[i].Deny = drawMatch(t)
		}
	}
	return rules
}

func drawIdentity(t *rapid.T) policy.Identity {
	values := []any{"a", "b", true, 1.0, json.Number("1"), nil, []any{"a", 1.0}, []any{[]any{"a"}}, map[string]any{"a": "b"}}
	claims := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		claims[name] = rapid.SampledFrom(values).Draw(t, "claim")
	}
	return policy.Identity{
		Subject: drawWord(t), Email: drawWord(t) + "@x.test", EmailVerified: rapid.Bool().Draw(t, "verified"),
		Groups: drawWords(t, 0), Claims: mapClaims(claims),
	}
}

func mustCompile(t *rapid.T, rules []policy.Rule) *policy.Set {
	s, err := newEngine(t).Compile(policy.Policy{Name: "p", Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decide(t *rapid.T, s *policy.Set, id policy.Identity) policy.Effect {
	d, err := s.Evaluate(t.Context(), &policy.Input{Identity: id})
	if err != nil {
		t.Fatal(err)
	}
	return d.Effect
}

func TestAddingADenyRuleNeverAllowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, id := drawRules(t), drawIdentity(t)
		before := decide(t, mustCompile(t, rules), id)
		after := decide(t, mustCompile(t, append(rules, policy.Rule{Deny: drawMatch(t)})), id)
		if before == policy.Deny && after != policy.Deny {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func TestOrderOfRulesNeverChangesTheEffect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, id := drawRules(t), drawIdentity(t)
		before := decide(t, mustCompile(t, rules), id)
		after := decide(t, mustCompile(t, rapid.Permutation(rules).Draw(t, "shuffled")), id)
		if before != after {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func TestLongListsDecideAsShortOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, id := drawMatch(t), drawIdentity(t)
		short := decide(t, mustCompile(t, []policy.Rule{{Allow: m}}), id)
		long := *m
		for i := range 20 { // values that nobody has
			if m.Groups != nil {
				long.Groups = append(slices.Clip(long.Groups), fmt.Sprint("nobody", i))
			}
			if m.Emails != nil {
				long.Emails = append(slices.Clip(long.Emails), fmt.Sprintf("nobody%d@x.test", i))
			}
		}
		if got := decide(t, mustCompile(t, []policy.Rule{{Allow: &long}}), id); got != short {
			t.Fatalf("%v became %v", short, got)
		}
	})
}

func fiveRules(tb testing.TB) (*policy.Set, *policy.Input) {
	tb.Helper()
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("user%d@example.test", i)
	}
	s := compile(tb,
		policy.Rule{Deny: &policy.Match{Groups: []string{"suspended"}, Emails: []string{"an.address.of.more.than.thirty.two.bytes@example.test"}}},
		policy.Rule{Deny: &policy.Match{Claims: []policy.Claim{{Name: "realm_access.roles", Values: []string{"blocked"}}}}},
		policy.Rule{Allow: &policy.Match{Emails: many}},
		policy.Rule{Allow: &policy.Match{Claims: []policy.Claim{{Name: "level", Values: []string{"7"}}, {Name: "flag", Values: []string{"true"}}}}},
		policy.Rule{Allow: &policy.Match{Groups: []string{"staff"}}},
	)
	return s, &policy.Input{Identity: policy.Identity{
		Subject: "alice", Email: "An.Address.Of.More.Than.Thirty.Two.Bytes.Too@Example.test", EmailVerified: true, Groups: []string{"users", "suspended", "staff"},
		Claims: mapClaims{
			"realm_access": map[string]any{"roles": []any{"x", "y"}}, "level": 7.0, "flag": json.Number("1"),
		},
	}}
}

func TestEvaluateDoesNotAllocate(t *testing.T) {
	s, in := fiveRules(t)
	ctx := t.Context()
	if got := testing.AllocsPerRun(100, func() {
		if d, err := s.Evaluate(ctx, in); err != nil || d.Effect != policy.Allow {
			t.Fatal(d, err)
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	s, in := fiveRules(b)
	ctx := b.Context()
	for b.Loop() {
		if d, err := s.Evaluate(ctx, in); err != nil || d.Effect != policy.Allow {
			b.Fatal(d, err)
		}
	}
}
