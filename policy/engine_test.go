package policy_test

import (
	"strings"

	"github.com/sallyport/sallyport/policy"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
}

func newEngine(t tester) *policy.Engine {
	t.Helper()
	e, err := policy.NewEngine(policy.Options{Paths: prefixes})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// prefixes knows paths as plain prefixes. The language of the gateway is route's.
func prefixes(s string) (policy.Path, string) {
	if !strings.HasPrefix(s, "/") {
		return nil, "does not begin with a slash"
	}
	return prefix(s), ""
}

type prefix string

func (p prefix) Fits(path string) bool { return strings.HasPrefix(path, string(p)) }

func (p prefix) String() string { return string(p) }
