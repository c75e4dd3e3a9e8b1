package policy_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/policy"
)

// standIn is an authorizer that always says the same.
type standIn struct {
	says  policy.Decision
	err   error
	asked int
}

func (s *standIn) Authorize(context.Context, *policy.Input) (policy.Decision, error) {
	s.asked++
	return s.says, s.err
}

func TestAnAuthorizerDecidesWhatTheRulesAllow(t *testing.T) {
	yes := policy.Decision{Effect: policy.Allow, Rule: "authorizer:owner", Reason: policy.ReasonAllowedByAuthorizer}
	no := policy.Decision{Rule: "authorizer:not_owner", Reason: policy.ReasonDeniedByAuthorizer, Message: "Ask Dana."}
	silentNo := policy.Decision{Rule: "authorizer", Reason: policy.ReasonDeniedByAuthorizer}
	again := policy.Decision{Effect: policy.NeedStepUp, Rule: "authorizer", Reason: policy.ReasonStepUp, StepUp: policy.StepUp{ACR: []string{"phrh"}}}
	down := errors.New("connection refused")
	nonsense := &policy.EvaluationError{Rule: "authorizer", Err: errors.New("no answer")}

	staff := []policy.Rule{
		{Name: "guests", Deny: &policy.Match{Groups: []string{"guests"}}},
		{Name: "staff", Allow: &policy.Match{Groups: []string{"staff"}}},
		{Name: "admins", Allow: &policy.Match{Groups: []string{"admins"}}, Require: policy.StepUp{ACR: []string{"mfa"}}},
	}
	for name, tt := range map[string]struct {
		rules  []policy.Rule
		groups []string
		says   policy.Decision
		err    error
		want   policy.Decision
		outage bool
		asked  int
	}{
		"no rules, yes":          {nil, nil, yes, nil, yes, false, 1},
		"no rules, no":           {nil, nil, no, nil, no, false, 1},
		"no rules, another time": {nil, nil, again, nil, again, false, 1},
		"the policy's message":   {nil, nil, silentNo, nil, policy.Decision{Rule: "authorizer", Reason: policy.ReasonDeniedByAuthorizer, Message: "Of the policy."}, false, 1},
		"no rules, an outage":    {nil, nil, policy.Decision{}, down, policy.Decision{Reason: policy.ReasonPolicyError, Message: "Of the policy."}, true, 1},
		"an outage beside a yes": {nil, nil, yes, down, policy.Decision{Reason: policy.ReasonPolicyError, Message: "Of the policy."}, true, 1},
		"no answer":              {nil, nil, yes, nonsense, policy.Decision{Rule: "authorizer", Reason: policy.ReasonPolicyError, Message: "Of the policy."}, false, 1},
		"no answer, wrapped": {
			nil, nil, yes, errors.Join(errors.New("x"), nonsense),
			policy.Decision{Rule: "authorizer", Reason: policy.ReasonPolicyError, Message: "Of the policy."},
			false, 1,
		},
		"the rules and it say yes": {staff, []string{"staff"}, yes, nil, policy.Decision{Effect: policy.Allow, Rule: "staff", Reason: policy.ReasonAllowedByRule}, false, 1},
		"the rules alone say yes":  {staff, []string{"staff"}, no, nil, no, false, 1},
		"the rules say no":         {staff, []string{"others"}, yes, nil, policy.Decision{Reason: policy.ReasonNoRuleMatched, Message: "Of the policy."}, false, 0},
		"a rule denies":            {staff, []string{"staff", "guests"}, yes, nil, policy.Decision{Rule: "guests", Reason: policy.ReasonDeniedByRule, Message: "Of the policy."}, false, 0},
		"the rules want a sign-in": {
			staff,
			[]string{"admins"},
			no, nil,
			policy.Decision{Effect: policy.NeedStepUp, Rule: "admins", Reason: policy.ReasonStepUp, StepUp: policy.StepUp{ACR: []string{"mfa"}}},
			false, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &standIn{says: tt.says, err: tt.err}
			s, err := newEngine(t).Compile(policy.Policy{Name: "p", Rules: tt.rules, Authorizer: a, Message: "Of the policy."})
			if err != nil {
				t.Fatal(err)
			}
			d, err := s.Evaluate(t.Context(), &policy.Input{Identity: policy.Identity{Subject: "alice", Groups: tt.groups}, Now: time.Now()})
			if diff := cmp.Diff(tt.want, d); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			_, outage := errors.AsType[*policy.OutageError](err)
			_, senseless := errors.AsType[*policy.EvaluationError](err)
			if outage != tt.outage || senseless != (tt.err != nil && !tt.outage) {
				t.Errorf("the error is %v", err)
			}
			if a.asked != tt.asked {
				t.Errorf("asked %d times, want %d", a.asked, tt.asked)
			}
		})
	}
}

func TestNobodyIsNoQuestionForAnAuthorizer(t *testing.T) {
	a := &standIn{says: policy.Decision{Effect: policy.Allow}}
	s, err := newEngine(t).Compile(policy.Policy{Name: "p", Authorizer: a})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := s.Evaluate(t.Context(), &policy.Input{}); err != nil || d.Effect != policy.Deny || a.asked != 0 {
		t.Errorf("%+v, %v, asked %d times", d, err, a.asked)
	}
}

func TestHowOthersSeeAnIdentityAndAClient(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::1", "fe80::1%eth0": "fe80::1",
	} {
		c := policy.Client{Address: netip.MustParseAddr(address)}
		if got := c.String(); got != want {
			t.Errorf("%s is shown as %s", address, got)
		}
	}
	if got := (policy.Client{}).String(); got != "" {
		t.Errorf("nobody is shown as %s", got)
	}
	id := policy.Identity{Email: "A@Example.test", Claims: mapClaims{"scope": "a b"}}
	if got := id.VerifiedEmail(); got != "" {
		t.Errorf("an unverified address is shown: %s", got)
	}
	id.EmailVerified = true
	if got := id.VerifiedEmail(); got != "a@example.test" {
		t.Errorf("the address is shown as %s", got)
	}
	if diff := cmp.Diff([]string{"a", "b"}, id.Scopes()); diff != "" {
		t.Error(diff)
	}
}
