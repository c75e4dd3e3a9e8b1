package policy_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

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
	fields := []func(){
		func() { m.Groups = drawWords(t, 1) },
		func() { m.Subjects = drawWords(t, 1) },
		func() { m.Emails = []string{drawWord(t) + "@x.test"} },
		func() { m.EmailDomains = []string{"x.test"} },
		func() { m.Scopes = drawWords(t, 1) },
		func() { m.Claims = []policy.Claim{{Name: drawWord(t), Values: drawWords(t, 1)}} },
		func() { m.Issuers = drawWords(t, 1) },
		func() { m.ACR = drawWords(t, 1) },
		func() { m.AMR = drawWords(t, 1) },
		func() { m.MaxAge = time.Hour },
		func() { m.Methods = []string{"GET"} },
		func() { m.Paths = []string{"/a"} },
		func() { m.CIDR = []string{"10.0.0.0/8"} },
		func() { m.Hours = []string{"mon 00:00-12:00 UTC"} },
		func() { m.When = drawExpression(t) },
		func() { m.Unless = drawExpression(t) },
	}
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(fields)-1), 1, 3, rapid.ID[int]).Draw(t, "fields") {
		fields[i]()
	}
	return m
}

// drawExpression also draws some that can't be evaluated for everybody.
func drawExpression(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"'a' in identity.groups", "identity.email.endsWith('@x.test')", "identity.claims.a == 'b'", "identity.claims.c.a == 'b'",
		"has(identity.claims.b)", "request.path.startsWith('/a')", "request.query['x'] == '1'", "now.getHours() < 12", "true", "false",
	}).Draw(t, "expression")
}

func drawRule(t *rapid.T) policy.Rule {
	var r policy.Rule
	if rapid.Bool().Draw(t, "allow") {
		r.Allow = drawMatch(t)
		if rapid.Bool().Draw(t, "require") {
			r.Require = policy.StepUp{ACR: drawWords(t, 0), MaxAge: rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(t, "age")}
		}
	} else {
		r.Deny = drawMatch(t)
	}
	switch rapid.IntRange(0, 3).Draw(t, "guard") {
	case 0:
		r.When = drawExpression(t)
	case 1:
		r.Unless = drawExpression(t)
	}
	return r
}

func drawRules(t *rapid.T) []policy.Rule {
	return rapid.SliceOfN(rapid.Custom(drawRule), 1, 5).Draw(t, "rules")
}

func drawInput(t *rapid.T) *policy.Input {
	values := []any{"a", "b", true, 1.0, json.Number("1"), nil, []any{"a", 1.0}, []any{[]any{"a"}}, map[string]any{"a": "b"}}
	claims := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		claims[name] = rapid.SampledFrom(values).Draw(t, "claim")
	}
	return &policy.Input{
		Identity: policy.Identity{
			Issuer: drawWord(t), Subject: drawWord(t), Email: drawWord(t) + "@x.test", EmailVerified: rapid.Bool().Draw(t, "verified"),
			Groups: drawWords(t, 0), Claims: mapClaims(claims), ACR: drawWord(t), AMR: drawWords(t, 0),
			AuthTime: rapid.SampledFrom([]time.Time{{}, monday, monday.Add(-10 * time.Minute), monday.Add(-2 * time.Hour)}).Draw(t, "signed in"),
		},
		Request: policy.Request{
			Method: rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"), Path: rapid.SampledFrom([]string{"/a", "/a/b", "/b"}).Draw(t, "path"),
			RawQuery: rapid.SampledFrom([]string{"", "x=1", "x=1&x=2", "%zz"}).Draw(t, "query"),
		},
		Client: policy.Client{Address: rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("::1")}).Draw(t, "client")},
		Now:    monday.Add(rapid.SampledFrom([]time.Duration{0, 5 * time.Hour}).Draw(t, "now")),
	}
}

func mustCompile(t *rapid.T, rules []policy.Rule) *policy.Set {
	s, err := newEngine(t).Compile(policy.Policy{Name: "p", Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decide is the effect alone. What can't be evaluated denies.
func decide(t *rapid.T, s *policy.Set, in *policy.Input) policy.Effect {
	d, err := s.Evaluate(t.Context(), in)
	if err != nil && (d.Effect != policy.Deny || d.Reason != policy.ReasonPolicyError) {
		t.Fatalf("%+v with %v", d, err)
	}
	return d.Effect
}

// generosity orders effects by what they let happen.
func generosity(e policy.Effect) int {
	return map[policy.Effect]int{policy.Deny: 0, policy.NeedStepUp: 1, policy.Allow: 2}[e]
}

func TestAddingADenyRuleNeverAllowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, in := drawRules(t), drawInput(t)
		before := decide(t, mustCompile(t, rules), in)
		deny := policy.Rule{Deny: drawMatch(t), When: drawExpression(t)}
		after := decide(t, mustCompile(t, append(slices.Clip(rules), deny)), in)
		if generosity(after) > generosity(before) {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func TestAddingAnAllowRuleNeverAllowsLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, in := drawRules(t), drawInput(t)
		before := decide(t, mustCompile(t, rules), in)
		after := decide(t, mustCompile(t, append(slices.Clip(rules), policy.Rule{Allow: drawMatch(t), When: drawExpression(t)})), in)
		if generosity(after) < generosity(before) {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func TestOrderOfRulesNeverChangesTheEffect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, in := drawRules(t), drawInput(t)
		before := decide(t, mustCompile(t, rules), in)
		after := decide(t, mustCompile(t, rapid.Permutation(rules).Draw(t, "shuffled")), in)
		if before != after {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func TestRulesInShadowNeverChangeTheEffect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, more, in := drawRules(t), drawRules(t), drawInput(t)
		before := decide(t, mustCompile(t, rules), in)
		trial := slices.Clone(more)
		for i := range trial {
			trial[i].Mode = policy.Shadow
		}
		d, _ := mustCompile(t, append(slices.Clip(rules), trial...)).Evaluate(t.Context(), in)
		if d.Effect != before {
			t.Fatalf("%v became %v", before, d.Effect)
		}
		if enforced := decide(t, mustCompile(t, append(slices.Clip(rules), more...)), in); !d.Shadow.Judged || d.Shadow.Effect != enforced {
			t.Fatalf("the shadow is %+v, enforced it is %v", d.Shadow, enforced)
		}
	})
}

// What an explanation says of the rules must lead to the decision by the sentence
// of precedence, and by nothing else.
func TestAnExplanationLeadsToTheDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, in := mustCompile(t, drawRules(t)), drawInput(t)
		want, wantErr := s.Evaluate(t.Context(), in)
		x := s.Explain(t.Context(), in)
		if x.Decision.Effect != want.Effect || x.Decision.Rule != want.Rule || x.Decision.Reason != want.Reason || (x.Err == nil) != (wantErr == nil) {
			t.Fatalf("explained %+v (%v), decided %+v (%v)", x.Decision, x.Err, want, wantErr)
		}
		if got := precedence(x.Rules); got != want.Effect {
			t.Fatalf("the rules lead to %v, decided was %v\n%+v", got, want.Effect, x.Rules)
		}
		for _, r := range x.Rules {
			fits, failed := true, false
			for _, c := range r.Conditions {
				fits, failed = fits && c.Fits, failed || c.Err != ""
			}
			if r.Fits != fits {
				t.Fatalf("the conditions say %v (error %v), the rule says %v: %+v", fits, failed, r.Fits, r)
			}
		}
	})
}

func precedence(rules []policy.RuleExplanation) policy.Effect {
	is := func(what func(r policy.RuleExplanation) bool) bool { return slices.ContainsFunc(rules, what) }
	switch {
	case is(func(r policy.RuleExplanation) bool { return r.Effect == "deny" && (r.Fits || r.Err != "") }):
		return policy.Deny
	case is(func(r policy.RuleExplanation) bool { return r.Effect == "allow" && r.Fits && r.Met }):
		return policy.Allow
	case is(func(r policy.RuleExplanation) bool { return r.Effect == "allow" && r.Fits }):
		return policy.NeedStepUp
	}
	return policy.Deny
}

func TestLongListsDecideAsShortOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, in := drawMatch(t), drawInput(t)
		short := decide(t, mustCompile(t, []policy.Rule{{Allow: m}}), in)
		long := *m
		for i := range 20 { // values that nobody has
			if m.Groups != nil {
				long.Groups = append(slices.Clip(long.Groups), fmt.Sprint("nobody", i))
			}
			if m.Emails != nil {
				long.Emails = append(slices.Clip(long.Emails), fmt.Sprintf("nobody%d@x.test", i))
			}
		}
		if got := decide(t, mustCompile(t, []policy.Rule{{Allow: &long}}), in); got != short {
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
