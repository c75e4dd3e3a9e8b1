package policy_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/policy"
)

func jsonReader(s string) io.Reader { return strings.NewReader(s) }

func TestCompileNamesTheRuleAndSaysWhatToWrite(t *testing.T) {
	staff := &policy.Match{Groups: []string{"staff"}}
	tests := map[string]struct {
		rules []policy.Rule
		want  []string // "path: problem", in order
	}{
		"no rules": {nil, []string{"rules: has no rules and would deny everybody"}},
		"neither allow nor deny": {
			[]policy.Rule{{Name: "x"}},
			[]string{`rules[0] ("x"): has neither allow nor deny`},
		},
		"both allow and deny": {
			[]policy.Rule{{Name: "x", Allow: staff, Deny: staff}},
			[]string{`rules[0] ("x"): has both allow and deny`},
		},
		"a match without conditions would fit everybody": {
			[]policy.Rule{{Name: "x", Allow: &policy.Match{}}},
			[]string{`rules[0].allow ("x"): describes nobody in particular`},
		},
		"an empty list never means everybody": {
			[]policy.Rule{{Allow: &policy.Match{Groups: []string{}, Emails: []string{}, Subjects: []string{}, Claims: []policy.Claim{}}}},
			[]string{
				`rules[0].allow.subjects: is an empty list`, `rules[0].allow.groups: is an empty list`,
				`rules[0].allow.emails: is an empty list`, `rules[0].allow.claims: is an empty list`,
			},
		},
		"empty strings": {
			[]policy.Rule{{Deny: &policy.Match{
				Groups: []string{"a", " "}, Emails: []string{""},
				Claims: []policy.Claim{{Values: []string{""}}, {Name: "c"}},
			}}},
			[]string{
				`rules[0].deny.groups[1]: is empty`, `rules[0].deny.emails[0]: is empty`, `rules[0].deny.claims[0].name: is empty`,
				`rules[0].deny.claims[0].values[0]: is empty`, `rules[0].deny.claims[1].values: is missing`,
			},
		},
		"addresses that can be read in two ways": {
			[]policy.Rule{{Allow: &policy.Match{Emails: []string{"example.test", "@example.test", "a@b@c", "a@x.test,b@x.test", "a@x.test.", "ok@x.test"}}}},
			[]string{
				`rules[0].allow.emails[0]: "example.test" is not an e-mail address`, `rules[0].allow.emails[1]: "@example.test" is not`,
				`rules[0].allow.emails[2]: "a@b@c" is not`, `rules[0].allow.emails[3]: "a@x.test,b@x.test" is not`, `rules[0].allow.emails[4]: "a@x.test." is not`,
			},
		},
		"two rules of one name": {
			[]policy.Rule{{Name: "x", Allow: staff}, {Name: "x", Deny: staff}},
			[]string{`rules[1].name ("x"): is also the name of rules[0]`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := newEngine(t).Compile(policy.Policy{Name: "p", Rules: tt.rules})
			if s != nil || err == nil {
				t.Fatalf("got %v, %v", s, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("want %d faults, got:\n%v", len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], `policy "p": `+want) {
					t.Errorf("fault %d: want %s, got %s", i, want, lines[i])
				}
			}
		})
	}
}

func TestFaultsCarryThePathInTheConfiguration(t *testing.T) {
	_, err := newEngine(t).Compile(policy.Policy{Name: "p", Rules: []policy.Rule{{Name: "x", Deny: &policy.Match{Groups: []string{""}}}}})
	all, ok := err.(interface{ Unwrap() []error })
	if !ok || len(all.Unwrap()) != 1 {
		t.Fatalf("not one joined fault: %v", err)
	}
	want := &policy.RuleError{Policy: "p", Rule: "x", Path: "rules[0].deny.groups[0]", Problem: "is empty", Fix: "write a value or delete the entry"}
	if diff := cmp.Diff(error(want), all.Unwrap()[0]); diff != "" {
		t.Error(diff)
	}
}

func TestSetKeepsNothingOfTheRules(t *testing.T) {
	groups := []string{"staff"}
	s := compile(t, policy.Rule{Allow: &policy.Match{Groups: groups}})
	groups[0] = "guests"
	if got := effect(t, s, policy.Identity{Subject: "mallory", Groups: []string{"guests"}}); got != policy.Deny {
		t.Error("changing the rules after Compile changed the policy")
	}
}
