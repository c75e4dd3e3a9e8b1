package policytest_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/policy/policytest"
)

// TestTheDocsHaveEveryKey: the keys are those that Parse names where it meets one that
// it does not know.
func TestTheDocsHaveEveryKey(t *testing.T) {
	docs, err := os.ReadFile("../../docs/policy-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	_, err = policytest.Parse("a.yaml", []byte("x: 1\ncases:\n  - {x: 1, identity: {x: 1}, request: {x: 1}, client: {x: 1}, authorizer: {x: 1}, expect: {x: 1, effect: step_up, step_up: {x: 1}, shadow: {x: 1}}}\n"), at())
	faults, ok := errors.AsType[policytest.Faults](err)
	if !ok {
		t.Fatal(err)
	}
	sections := 0
	for _, f := range faults {
		keys, ok := strings.CutPrefix(f.Fix, "known here: ")
		if !ok {
			continue
		}
		sections++
		for key := range strings.SplitSeq(keys, ", ") {
			if !strings.Contains(string(docs), "`"+key+"`") && !strings.Contains(string(docs), key+": ") {
				t.Errorf("%s is not in the docs (%s)", key, f.Path)
			}
		}
	}
	if sections != 9 {
		t.Errorf("%d sections were found", sections)
	}
}
