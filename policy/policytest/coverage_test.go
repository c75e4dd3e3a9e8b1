package policytest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

func TestCoverageShowsTheRulesThatNoCaseReaches(t *testing.T) {
	set := staff(t)
	var c policytest.Coverage
	c.Declare("", set)
	c.Declare("", compile(t, policy.Policy{Name: "unasked", Rules: []policy.Rule{{Allow: &policy.Match{Groups: []string{"a"}}}}}))
	c.Declare("", policy.Authenticated())
	// Two files on one policy add up.
	c.Add(asked(t, set, `
  - {name: one, identity: {groups: [staff]}, client: {address: 10.9.0.1}, expect: deny}
  - {name: two, identity: {groups: [staff]}, expect: allow}
`))
	c.Add(asked(t, set, `
  - {name: three, identity: {groups: [staff], claims: {kind: contractor}}, expect: {effect: allow, shadow: deny}}
  - {name: nobody, identity: {subject: "", groups: [finance]}, expect: deny}
  - {name: no policy, policy: other, expect: deny}
`))
	want := []policytest.PolicyCoverage{
		{Policy: "staff", Cases: 3, Rules: []policytest.RuleCoverage{
			{Name: "annex", Decided: 1, Fitted: 1, Unfitted: 2},
			{Name: "staff", Decided: 2, Fitted: 3},
			{Name: "finance", Unfitted: 3},
			{Name: "contractors", Decided: 1, Fitted: 1, Unfitted: 2},
		}},
		{Policy: "unasked", Rules: []policytest.RuleCoverage{{Name: "rules[0]"}}},
	}
	if diff := cmp.Diff(want, c.Policies()); diff != "" {
		t.Error(diff)
	}
	if reached, rules := c.Count(); reached != 3 || rules != 5 || c.Percent() != 60 {
		t.Errorf("%d of %d, %v%%", reached, rules, c.Percent())
	}
	var out strings.Builder
	if err := c.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	text := `policy staff of : 3 of 4 rules reached in 3 cases
  RULE         DECIDED  FITTED  DID NOT FIT
  annex        1        1       2
  staff        2        3       0            fits in every case
  finance      0        0       3            NOT REACHED
  contractors  1        1       2

policy unasked of : 0 of 1 rule reached in 0 cases
  RULE      DECIDED  FITTED  DID NOT FIT
  rules[0]  0        0       0            NOT REACHED

3 of 5 rules reached: 60.0%
`
	if diff := cmp.Diff(text, out.String()); diff != "" {
		t.Error(diff)
	}
}

// TestARuleThatCanNotBeEvaluatedIsNotReached: it decided nothing.
func TestARuleThatCanNotBeEvaluatedIsNotReached(t *testing.T) {
	set := compile(t, policy.Policy{Name: "staff", Rules: []policy.Rule{{Name: "level", Allow: &policy.Match{When: `identity.claims.level >= 3`}}}})
	var c policytest.Coverage
	c.Add(asked(t, set, "  - {name: one, expect: {effect: deny, reason: policy_error}}\n"))
	if reached, rules := c.Count(); reached != 0 || rules != 1 {
		t.Errorf("%d of %d", reached, rules)
	}
}

// TestPoliciesOfOneNameAreNotMixedUp: two configurations can have the same name for
// something else.
func TestPoliciesOfOneNameAreNotMixedUp(t *testing.T) {
	var c policytest.Coverage
	c.Add(asked(t, staff(t), "  - {name: one, expect: deny}\n"))
	other := compile(t, policy.Policy{Name: "staff", Rules: []policy.Rule{{Allow: &policy.Match{Groups: []string{"a"}}}}})
	c.Add(asked(t, other, "  - {name: one, identity: {groups: [a]}, expect: allow}\n"))
	if reached, rules := c.Count(); reached != 1 || rules != 5 {
		t.Errorf("%d of %d", reached, rules)
	}
}

// TestAHundredPercentIsEveryRule: what is missing must not be rounded away.
func TestAHundredPercentIsEveryRule(t *testing.T) {
	var rules []policy.Rule
	for range 3000 {
		rules = append(rules, policy.Rule{Allow: &policy.Match{Groups: []string{"staff"}}})
	}
	rules[0].Allow.Groups = []string{"other"}
	set := compile(t, policy.Policy{Name: "staff", Rules: rules})
	var c policytest.Coverage
	if c.Percent() != 100 {
		t.Errorf("nothing to reach: %v%%", c.Percent())
	}
	c.Add(asked(t, set, "  - {name: one, identity: {groups: [staff]}, expect: allow}\n"))
	if c.Percent() != 99.9 {
		t.Errorf("%v%%", c.Percent())
	}
}
