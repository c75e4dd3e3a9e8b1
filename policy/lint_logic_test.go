package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/policy"
)

// conditions are all ways to look at one dimension, one at a time.
func (d *dimension) conditions() []*policy.Match {
	var out []*policy.Match
	for _, set := range d.match {
		m := &policy.Match{}
		set(m)
		out = append(out, m)
	}
	for i, expr := range d.exprs {
		out = append(out, &policy.Match{When: expr}, &policy.Match{Unless: expr})
		next := d.exprs[(i+1)%len(d.exprs)]
		out = append(out, &policy.Match{When: "(" + expr + ") && (" + next + ")"}, &policy.Match{When: "(" + expr + ") || (" + next + ")"})
	}
	return out
}

// TestWhatFollowsOfAConditionIsTrue compares any two conditions on one thing, with
// every value that it has: where Lint is sure that one follows of the other, or
// rules it out, it is so. Where the one can't be evaluated, the other must not be
// false, or a deny rule that denies for that reason would count as covered by one
// that does not.
func TestWhatFollowsOfAConditionIsTrue(t *testing.T) {
	e := lintEngine(t)
	for name, d := range dimensions() {
		t.Run(name, func(t *testing.T) {
			all := d.conditions()
			facts := make([]policy.Facts, len(all))
			answers := make([]string, len(all)) // of all inputs: y, n, or e for an error
			for i, m := range all {
				facts[i], answers[i] = policy.FactsOf(e, m), answersOf(t, e, &d, m)
			}
			implied, excluded := 0, 0
			for i := range all {
				for j := range all {
					if i != j && facts[i].Imply(facts[j]) {
						implied++
						if at := counterexample(answers[i], answers[j], "yn", "en"); at >= 0 {
							t.Errorf("of %+v does not follow %+v: see value %d", *all[i], *all[j], at)
						}
					}
					if facts[i].Exclude(facts[j]) {
						excluded++
						if at := counterexample(answers[i], answers[j], "yy"); at >= 0 {
							t.Errorf("%+v does not rule out %+v: see value %d", *all[i], *all[j], at)
						}
					}
				}
			}
			if implied < 10 || excluded < 10 {
				t.Errorf("of %d conditions, %d pairs follow and %d rule each other out: nothing was put to the test", len(all), implied, excluded)
			}
		})
	}
}

func counterexample(a, b string, bad ...string) int {
	for i := range a {
		if slices.Contains(bad, a[i:i+1]+b[i:i+1]) {
			return i
		}
	}
	return -1
}

// answersOf evaluates a condition for every value of its dimension.
func answersOf(t *testing.T, e *policy.Engine, d *dimension, m *policy.Match) string {
	t.Helper()
	s, err := e.Compile(policy.Policy{Name: "one", Rules: []policy.Rule{{Allow: m}}})
	if err != nil {
		t.Fatal(fmt.Errorf("%+v: %w", *m, err))
	}
	answers := ""
	for _, set := range d.values {
		in := firstInput()
		set(in)
		d, err := s.Evaluate(t.Context(), in)
		switch {
		case err != nil:
			answers += "e"
		case d.Effect == policy.Allow:
			answers += "y"
		default:
			answers += "n"
		}
	}
	return answers
}
