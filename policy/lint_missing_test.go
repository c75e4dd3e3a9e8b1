package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/policy"
)

// TestWhatMayBeMissingIsTold evaluates expressions over claims and headers for every
// value: where one fails because something is not there, Lint has said so, and where
// Lint has said so, there is such a value.
func TestWhatMayBeMissingIsTold(t *testing.T) {
	e := lintEngine(t)
	told := 0
	for _, name := range []string{"claim", "header"} {
		d := dimensions()[name]
		for _, m := range d.conditions() {
			if m.When == "" && m.Unless == "" {
				continue
			}
			found, err := e.Lint(policy.Policy{Name: "one", Rules: []policy.Rule{{Allow: m}}}, policy.LintOptions{})
			if err != nil {
				t.Fatal(err)
			}
			says := slices.ContainsFunc(found, func(f policy.Finding) bool { return f.Code == "optional_claim" })
			answers := answersOf(t, e, &d, m)
			// The first value is that nothing is there; the others may also be of a kind
			// that an expression can't take.
			if answers[0] == 'e' && !says {
				t.Errorf("nothing was said of %+v", *m)
			}
			if says {
				told++
			}
			if says && !strings.Contains(answers, "e") && !strings.Contains(m.When+m.Unless, "orValue") { // whose default it does not weigh
				t.Errorf("without reason it was said of %+v", *m)
			}
		}
	}
	if told < 10 {
		t.Errorf("of %d expressions only was it said", told)
	}
}
