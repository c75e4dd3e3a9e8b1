package policy_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/policy"
)

type (
	rules = []policy.Rule
	match = policy.Match
)

func allow(m match) policy.Rule { return policy.Rule{Allow: &m} }
func deny(m match) policy.Rule  { return policy.Rule{Deny: &m} }

func allowWhen(expr string) policy.Rule { return allow(match{When: expr}) }
func denyWhen(expr string) policy.Rule  { return deny(match{When: expr}) }

func requiring(r policy.Rule, s policy.StepUp) policy.Rule {
	r.Require = s
	return r
}

func inShadow(r policy.Rule) policy.Rule {
	r.Mode = policy.Shadow
	return r
}

func said(r policy.Rule, message string) policy.Rule {
	r.Message = message
	return r
}

func staff() policy.Rule { return allow(match{Groups: []string{"staff"}}) }

func values(t *testing.T, field, text string) map[string]*policy.Values {
	t.Helper()
	v := policy.NewValues(field)
	if err := v.SetText(text); err != nil {
		t.Fatal(err)
	}
	return map[string]*policy.Values{field: v}
}

// lintCases are policies with a finding of one kind, and others without.
type lintCases struct{ bad, good []lintCase }

// lintCase is a policy that has a finding, or does not.
type lintCase struct {
	rules rules
	mode  policy.Mode
	use   policy.Use
	auth  policy.Authorizer
}

func (c lintCase) lint(t *testing.T) []policy.Finding {
	t.Helper()
	o := policy.LintOptions{Now: monday}
	if c.use.Route != "" {
		o.Uses = []policy.Use{c.use}
	}
	found, err := lintEngine(t).Lint(policy.Policy{Name: "p", Mode: c.mode, Rules: c.rules, Authorizer: c.auth}, o)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFindings(t *testing.T) {
	tests := certainCases(t)
	maps.Copy(tests, wideCases(t))
	maps.Copy(tests, oddCases(t))
	for _, known := range policy.LintCodes() {
		if _, ok := tests[known.Code]; !ok {
			t.Errorf("no policy here has a finding %s", known.Code)
		}
	}
	for code, tt := range tests {
		has := func(f policy.Finding) bool { return f.Code == code }
		for i, c := range tt.bad {
			t.Run(fmt.Sprintf("%s/bad %d", code, i), func(t *testing.T) {
				if found := c.lint(t); !slices.ContainsFunc(found, has) {
					t.Errorf("only %s", found)
				}
			})
		}
		for i, c := range tt.good {
			t.Run(fmt.Sprintf("%s/good %d", code, i), func(t *testing.T) {
				if found := c.lint(t); slices.ContainsFunc(found, has) {
					t.Errorf("among %s", found)
				}
			})
		}
	}
}

func below(prefix string) func(policy.Path) bool {
	return func(p policy.Path) bool { return strings.HasPrefix(p.String(), prefix) }
}

func twoSources() policy.Use {
	return policy.Use{Route: "r", Sources: []string{"https://id.example.com", "https://login.partner.example"}}
}

// TestASensiblePolicyHasNoFindings: what an expert would write is left in peace.
func TestASensiblePolicyHasNoFindings(t *testing.T) {
	suspended := deny(match{Subjects: []string{"u-1007"}})
	suspended.Message = "Your account is suspended."
	c := lintCase{rules: rules{
		{Name: "company", Allow: &match{EmailDomains: []string{"example.com"}, Methods: []string{"GET", "HEAD"}}},
		{Name: "editors", Allow: &match{Groups: []string{"editors"}, Hours: []string{"mon-fri 07:00-20:00 Europe/Berlin"}, CIDR: []string{"10.0.0.0/8", "2001:db8::/32"}}},
		{Name: "own folder", Allow: &match{Paths: []string{"/users/"}, When: `request.path.startsWith("/users/" + identity.subject + "/")`}},
		{Name: "finance", Allow: &match{Claims: []policy.Claim{{Name: "department", Values: []string{"finance"}}}, Methods: []string{"POST"}}, Require: policy.StepUp{ACR: []string{"mfa"}, MaxAge: time.Hour}},
		suspended,
		{Name: "outside", Deny: &match{Paths: []string{"/admin"}}, Unless: `cidr("10.0.0.0/8").containsIP(client.address)`, Reason: "outside_the_office"},
	}}
	if found := c.lint(t); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

// TestAFindingSaysWhere: paths are those of the configuration.
func TestAFindingSaysWhere(t *testing.T) {
	c := lintCase{rules: rules{
		staff(),
		{Name: "second", When: `identity.name == "x"`, Allow: &match{CIDR: []string{"10.0.0.0/8", "0.0.0.0/0"}, When: `identity.name == "y"`}},
	}}
	got := map[string]string{}
	for _, f := range c.lint(t) {
		got[f.Path] = f.Code
		if f.Policy != "p" || f.Rule != "second" || f.Problem == "" || f.Why == "" || f.Fix == "" {
			t.Errorf("%+v", f)
		}
	}
	for path, code := range map[string]string{
		"rules[1].when": "unverifiable_claim", "rules[1].allow.cidr[1]": "whole_internet", "rules[1].allow.when": "never_matches",
	} {
		if got[path] == "" {
			t.Errorf("nothing about %s (%s): %v", path, code, got)
		}
	}
}

func TestLintRefusesWhatDoesNotCompile(t *testing.T) {
	found, err := lintEngine(t).Lint(policy.Policy{Name: "p", Rules: rules{allowWhen("identity.emial == 1")}}, policy.LintOptions{})
	if err == nil || found != nil {
		t.Errorf("%v, %v", found, err)
	}
}

// yes is an authorizer that allows everything.
type yes struct{}

func (yes) Authorize(context.Context, *policy.Input) (policy.Decision, error) {
	return policy.Decision{Effect: policy.Allow}, nil
}
