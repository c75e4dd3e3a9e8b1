package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/policy"
)

func stepUp(change func(*policy.StepUp)) policy.StepUp {
	var s policy.StepUp
	change(&s)
	return s
}

func TestWhatMeetsARequirement(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	mfa := policy.StepUp{ACR: []string{"mfa", "phrh"}}
	methods := policy.StepUp{AMR: []string{"pwd", "otp"}}
	fresh := policy.StepUp{MaxAge: 5 * time.Minute}
	for name, c := range map[string]struct {
		want policy.StepUp
		acr  string
		amr  []string
		at   time.Time
		met  bool
	}{
		"nothing is asked for":                    {policy.StepUp{}, "", nil, time.Time{}, true},
		"one of the classes":                      {mfa, "phrh", nil, time.Time{}, true},
		"another class":                           {mfa, "pwd", nil, time.Time{}, false},
		"no class":                                {mfa, "", nil, time.Time{}, false},
		"a class in other letters":                {mfa, "MFA", nil, time.Time{}, false},
		"all of the methods, and another":         {methods, "", []string{"otp", "hwk", "pwd"}, time.Time{}, true},
		"one method is missing":                   {methods, "", []string{"pwd"}, time.Time{}, false},
		"as old as it may be":                     {fresh, "", nil, now.Add(-5 * time.Minute), true},
		"older":                                   {fresh, "", nil, now.Add(-5*time.Minute - time.Nanosecond), false},
		"of an unknown time":                      {fresh, "", nil, time.Time{}, false},
		"by a clock that is a little ahead":       {fresh, "", nil, now.Add(time.Minute), true},
		"in the future, so that it would not age": {fresh, "", nil, now.Add(time.Hour), false},
	} {
		if got := c.want.MetBy(c.acr, c.amr, c.at, now); got != c.met {
			t.Errorf("%s: met = %v", name, got)
		}
	}
}

func TestPrecedenceOfRequirements(t *testing.T) {
	now := time.Now()
	staff := &policy.Match{Groups: []string{"staff"}}
	mfa := policy.Rule{Name: "mfa", Allow: staff, Require: policy.StepUp{ACR: []string{"mfa"}}}
	hourly := policy.Rule{Name: "hourly", Allow: staff, Require: policy.StepUp{MaxAge: time.Hour}}
	daily := policy.Rule{Name: "daily", Allow: staff, Require: policy.StepUp{MaxAge: 24 * time.Hour}}
	plain := policy.Rule{Name: "plain", Allow: staff}
	deny := policy.Rule{Name: "deny", Deny: staff}
	other := policy.Rule{Name: "other", Allow: &policy.Match{Groups: []string{"other"}}}

	allowed := func(rule string) policy.Decision {
		return policy.Decision{Effect: policy.Allow, Rule: rule, Reason: policy.ReasonAllowedByRule}
	}
	asked := func(r policy.Rule) policy.Decision {
		return policy.Decision{Effect: policy.NeedStepUp, Rule: r.Name, Reason: policy.ReasonStepUp, StepUp: r.Require}
	}
	for name, c := range map[string]struct {
		rules []policy.Rule
		acr   string
		age   time.Duration
		want  policy.Decision
	}{
		"a requirement that is met":                     {[]policy.Rule{mfa}, "mfa", 48 * time.Hour, allowed("mfa")},
		"a requirement that is not met":                 {[]policy.Rule{mfa}, "", 0, asked(mfa)},
		"a rule without one wins":                       {[]policy.Rule{mfa, plain}, "", 0, allowed("plain")},
		"any that is met wins":                          {[]policy.Rule{daily, hourly, mfa}, "mfa", 48 * time.Hour, allowed("mfa")},
		"of those that are not, the least is asked for": {[]policy.Rule{mfa, hourly, daily}, "", 48 * time.Hour, asked(daily)},
		"a deny rule wins over all":                     {[]policy.Rule{plain, mfa, deny}, "mfa", 0, policy.Decision{Rule: "deny", Reason: policy.ReasonDeniedByRule}},
		"a rule for somebody else asks for nothing":     {[]policy.Rule{other}, "", 0, policy.Decision{Reason: policy.ReasonNoRuleMatched}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				in := &policy.Input{Now: now, Identity: policy.Identity{Subject: "alice", Groups: []string{"staff"}, ACR: c.acr, AuthTime: now.Add(-c.age)}}
				got, err := compile(t, c.rules...).Evaluate(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				slices.Reverse(c.rules)
			}
		})
	}
}

func TestRequirementOfARouteIsAddedToEveryRule(t *testing.T) {
	now := time.Now()
	base := compile(t,
		policy.Rule{Name: "staff", Allow: &policy.Match{Groups: []string{"staff"}}},
		policy.Rule{Name: "guests", Allow: &policy.Match{Groups: []string{"guests"}}, Require: policy.StepUp{ACR: []string{"a", "b"}, AMR: []string{"otp"}, MaxAge: time.Minute}},
	)
	for _, set := range []*policy.Set{base, policy.Authenticated()} {
		strict, err := set.Requiring(policy.StepUp{ACR: []string{"b", "c"}, AMR: []string{"hwk"}, MaxAge: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		in := policy.Input{Now: now, Identity: policy.Identity{Subject: "x", Groups: []string{"staff"}, AuthTime: now}}
		if d, _ := strict.Evaluate(t.Context(), &in); d.Effect != policy.NeedStepUp || !slices.Equal(d.StepUp.ACR, []string{"b", "c"}) {
			t.Errorf("%s: decided %+v", set.Name(), d)
		}
		if d, _ := set.Evaluate(t.Context(), &in); d.Effect != policy.Allow {
			t.Errorf("%s: the policy itself changed: %+v", set.Name(), d)
		}
	}
	strict, err := base.Requiring(policy.StepUp{ACR: []string{"b", "c"}, AMR: []string{"hwk"}, MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := strict.Evaluate(t.Context(), &policy.Input{Now: now, Identity: policy.Identity{Subject: "x", Groups: []string{"guests"}}})
	want := policy.StepUp{ACR: []string{"b"}, AMR: []string{"otp", "hwk"}, MaxAge: time.Minute}
	if diff := cmp.Diff(want, d.StepUp); diff != "" {
		t.Error(diff)
	}
	if _, err := base.Requiring(policy.StepUp{ACR: []string{"c"}}); err == nil {
		t.Error("a requirement that nothing can meet was accepted")
	}
	if set, err := (*policy.Set)(nil).Requiring(want); set != nil || err != nil {
		t.Errorf("no policy became %v, %v", set, err)
	}
}

func TestRequirementsThatMakeNoSenseAreFaults(t *testing.T) {
	for name, r := range map[string]policy.Rule{
		"beside deny":    {Deny: &policy.Match{Groups: []string{"x"}}, Require: policy.StepUp{MaxAge: time.Hour}},
		"a negative age": {Allow: &policy.Match{Groups: []string{"x"}}, Require: policy.StepUp{MaxAge: -time.Hour}},
		"an empty class": {Allow: &policy.Match{Groups: []string{"x"}}, Require: policy.StepUp{ACR: []string{" "}}},
		"an empty word":  {Allow: &policy.Match{Groups: []string{"x"}}, Require: policy.StepUp{AMR: []string{""}}},
	} {
		if s, err := newEngine(t).Compile(policy.Policy{Name: "p", Rules: []policy.Rule{r}}); err == nil || s != nil {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

// TestStepUpNeverOpensMoreThanAllow: with the requirements taken away, whoever
// is let in, or asked to sign in again, would be let in; and nobody else.
func TestStepUpNeverOpensMoreThanAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := drawRules(t)
		for i := range plain {
			plain[i].Require = policy.StepUp{}
		}
		strict := slices.Clone(plain)
		for i := range strict {
			if strict[i].Allow != nil && rapid.Bool().Draw(t, "required") {
				strict[i].Require = stepUp(func(s *policy.StepUp) {
					s.ACR = drawWords(t, 0)
					s.AMR = drawWords(t, 0)
					s.MaxAge = time.Duration(rapid.IntRange(0, 2).Draw(t, "age")) * time.Hour
				})
			}
		}
		in := drawInput(t)
		id, now := &in.Identity, in.Now
		id.AuthTime = now.Add(-time.Duration(rapid.IntRange(0, 180).Draw(t, "minutes")) * time.Minute)
		without, _ := mustCompile(t, plain).Evaluate(t.Context(), in)
		with, _ := mustCompile(t, strict).Evaluate(t.Context(), in)
		if (with.Effect == policy.Deny) != (without.Effect == policy.Deny) {
			t.Fatalf("without requirements %+v, with them %+v", without, with)
		}
		if with.Effect == policy.NeedStepUp && with.StepUp.MetBy(id.ACR, id.AMR, id.AuthTime, now) {
			t.Fatalf("asked for what is there: %+v", with)
		}
	})
}

func TestEvaluatingRequirementsAllocatesNothing(t *testing.T) {
	s := compile(t, policy.Rule{Allow: &policy.Match{Groups: []string{"staff"}}, Require: policy.StepUp{ACR: []string{"mfa"}, AMR: []string{"otp"}, MaxAge: time.Hour}})
	in := &policy.Input{Now: time.Now(), Identity: policy.Identity{Subject: "alice", Groups: []string{"staff"}, ACR: "mfa", AMR: []string{"otp"}}}
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Evaluate(t.Context(), in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
