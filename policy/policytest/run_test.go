package policytest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// at is the time of cases that name none.
func at() time.Time { return time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC) }

func compile(t *testing.T, p policy.Policy) *policy.Set {
	t.Helper()
	engine, err := policy.NewEngine(policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := engine.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// staff lets staff in, unless they come from the annex, and finance only lately
// signed in; a rule about contractors is in shadow.
func staff(t *testing.T) *policy.Set {
	t.Helper()
	return compile(t, policy.Policy{
		Name: "staff",
		Rules: []policy.Rule{
			{Name: "annex", Deny: &policy.Match{CIDR: []string{"10.9.0.0/16"}}, Reason: "annex_closed", Message: "The annex is closed."},
			{Name: "staff", Allow: &policy.Match{Groups: []string{"staff"}}},
			{Name: "finance", Allow: &policy.Match{Groups: []string{"finance"}}, Require: policy.StepUp{ACR: []string{"gold"}, MaxAge: 5 * time.Minute}},
			{Name: "contractors", Mode: policy.Shadow, Deny: &policy.Match{When: `identity.claims.?kind.orValue("") == "contractor"`}},
		},
		Message: "Ask the desk.",
	})
}

// asked runs cases, written as the items of the list, against one policy.
func asked(t *testing.T, set *policy.Set, cases string) *policytest.Report {
	t.Helper()
	text := "defaults: {policy: staff, identity: {subject: alice}}\ncases:\n" + cases
	file, err := policytest.Parse("staff.yaml", []byte(text), at())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return policytest.Run(t.Context(), file, func(c *policytest.Case) (*policy.Set, error) {
		if c.Policy != "staff" {
			return nil, errors.New("no policy is called " + c.Policy)
		}
		return set, nil
	})
}

func TestEveryCaseIsJudgedByWhatItWants(t *testing.T) {
	const finance = "identity: {groups: [finance], acr: gold, auth_time: 10m}, "
	for name, tt := range map[string]struct {
		written string
		differs string // what differs, one word each; "" = the case passes
	}{
		"as wanted":                     {"identity: {groups: [staff]}, expect: allow", ""},
		"another effect":                {"identity: {groups: [sales]}, expect: allow", "effect"},
		"the rule that decides":         {"identity: {groups: [staff]}, expect: {effect: allow, rule: staff, reason: allowed_by_rule}", ""},
		"another rule and reason":       {"identity: {groups: [staff]}, expect: {effect: allow, rule: finance, reason: authenticated}", "rule reason"},
		"no rule at all":                {"identity: {groups: [sales]}, expect: {effect: deny, rule: '', reason: no_rule_matched}", ""},
		"a rule, where none was wanted": {"identity: {groups: [staff]}, expect: {effect: allow, rule: ''}", "rule"},
		"a deny rule wins":              {"identity: {groups: [staff]}, client: {address: 10.9.1.1}, expect: {effect: deny, rule: annex, reason: annex_closed, message: The annex is closed.}", ""},
		"another message":               {"identity: {groups: [sales]}, expect: {effect: deny, message: Go away.}", "message"},
		"another sign-in":               {finance + "expect: step_up", ""},
		"what the sign-in must be like": {finance + "expect: {effect: step_up, step_up: {acr: [gold], max_age: 5m}}", ""},
		"another sign-in than wanted":   {finance + "expect: {effect: step_up, step_up: {acr: [silver], amr: [hwk], max_age: 1h}}", "step_up.acr step_up.amr step_up.max_age"},
		"no method is asked for":        {finance + "expect: {effect: step_up, step_up: {amr: []}}", ""},
		"recent enough":                 {"identity: {groups: [finance], acr: gold, auth_time: 4m}, expect: allow", ""},
		"what shadow would say":         {"identity: {groups: [staff], claims: {kind: contractor}}, expect: {effect: allow, shadow: {effect: deny, rule: contractors}}", ""},
		"shadow in one word":            {"identity: {groups: [staff], claims: {kind: contractor}}, expect: {effect: allow, shadow: deny}", ""},
		"shadow says something else":    {"identity: {groups: [staff]}, expect: {effect: allow, shadow: {effect: deny, rule: x, reason: y}}", "shadow.effect shadow.rule shadow.reason"},
		"nobody is denied":              {"identity: {subject: ''}, expect: {effect: deny, reason: unproven}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			report := asked(t, staff(t), "  - {name: one, "+tt.written+"}\n")
			result := report.Results[0]
			var differs []string
			for _, d := range result.Differences {
				differs = append(differs, d.What)
			}
			if got := strings.Join(differs, " "); got != tt.differs || result.Err != nil {
				t.Errorf("differs in %q, want %q (%v); got %+v", got, tt.differs, result.Err, result.Explanation.Decision)
			}
			if result.Passed() != (tt.differs == "") || (report.Failed() == 0) != result.Passed() {
				t.Errorf("passed %v, failed %d", result.Passed(), report.Failed())
			}
		})
	}
}

// TestAnErrorIsNoDenial: a policy that can't be evaluated denies, and whoever wants a
// denial must not be told that all is well.
func TestAnErrorIsNoDenial(t *testing.T) {
	set := compile(t, policy.Policy{Name: "staff", Rules: []policy.Rule{{Name: "level", Allow: &policy.Match{When: `identity.claims.level >= 3`}}}})
	report := asked(t, set, `
  - {name: no such claim, expect: deny}
  - {name: wanted by name, expect: {effect: deny, reason: policy_error}}
  - {name: too low, identity: {claims: {level: 2}}, expect: deny}
  - {name: high enough, identity: {claims: {level: 3}}, expect: allow}
`)
	if report.Failed() != 1 || report.Results[0].Passed() {
		t.Errorf("%d failed", report.Failed())
	}
	if d := report.Results[0].Differences; len(d) != 1 || !strings.Contains(d[0].Got, "no such claim") && !strings.Contains(d[0].Got, "level") {
		t.Errorf("the difference is %+v", d)
	}
}

func TestACaseWithoutAPolicyIsNoPass(t *testing.T) {
	report := asked(t, staff(t), "  - {name: one, policy: other, expect: deny}\n")
	if result := report.Results[0]; result.Passed() || result.Err == nil || report.Failed() != 1 {
		t.Errorf("got %+v", result)
	}
	report = asked(t, nil, "  - {name: one, expect: deny}\n")
	if result := report.Results[0]; result.Passed() || result.Err == nil {
		t.Errorf("without a policy: %+v", result)
	}
}

func TestTheCaseAnswersForTheAuthorizer(t *testing.T) {
	both := compile(t, policy.Policy{
		Name:       "staff",
		Rules:      []policy.Rule{{Name: "staff", Allow: &policy.Match{Groups: []string{"staff"}}}},
		Authorizer: policytest.StandIn(),
	})
	for name, tt := range map[string]struct{ written, err string }{
		"allow":              {"authorizer: allow, expect: {effect: allow, rule: staff}", ""},
		"deny":               {"authorizer: deny, expect: {effect: deny, reason: denied_by_authorizer}", ""},
		"deny with a reason": {"authorizer: {effect: deny, reason: too_late, message: Come back.}, expect: {effect: deny, reason: denied_by_authorizer, rule: \"authorizer:too_late\", message: Come back.}", ""},
		"a sign-in":          {"authorizer: {effect: step_up, step_up: {acr: [gold]}}, expect: {effect: step_up, step_up: {acr: [gold]}}", ""},
		"outage":             {"authorizer: outage, expect: {effect: deny, reason: policy_error}", ""},
		"no sense":           {"authorizer: error, expect: {effect: deny, reason: policy_error, rule: authorizer}", ""},
		"no answer":          {"expect: {effect: deny, reason: policy_error}", "write authorizer"},
		"not asked":          {"identity: {groups: [sales]}, expect: deny", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(tt.written, "identity") {
				tt.written += ", identity: {groups: [staff]}"
			}
			result := asked(t, both, "  - {name: one, "+tt.written+"}\n").Results[0]
			switch {
			case tt.err == "" && !result.Passed():
				t.Errorf("%v %v", result.Differences, result.Err)
			case tt.err != "" && (result.Err == nil || !strings.Contains(result.Err.Error(), tt.err)):
				t.Errorf("got %v", result.Err)
			}
		})
	}

	// What is in shadow swallows errors, and still must not hide that nobody answered.
	shadow := compile(t, policy.Policy{Name: "staff", Mode: policy.Shadow, Authorizer: policytest.StandIn()})
	if result := asked(t, shadow, "  - {name: one, expect: allow}\n").Results[0]; result.Passed() {
		t.Error("the authorizer was asked in shadow, and nobody was told")
	}
	if _, err := policytest.StandIn().Authorize(context.Background(), &policy.Input{}); err == nil {
		t.Error("outside a run the stand-in decides")
	}
}
