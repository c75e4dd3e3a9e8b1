package gateway

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/lint"
	"github.com/sallyport/sallyport/policy"
)

// Weaknesses says what is weak in a configuration that Check has found sound: its
// settings, and its policies by the time of now. What the configuration says is
// meant is among them, with the reason. The worst come first.
//
// The error is config.Faults where the policies don't compile.
func Weaknesses(cfg *config.Config, now time.Time) ([]lint.Finding, error) {
	found := lint.Check(cfg)
	policies, err := LintPolicies(cfg, now)
	if err != nil {
		return nil, err
	}
	for i := range policies {
		p := &policies[i]
		found = append(found, lint.Finding{
			Code: p.Code, Severity: lint.Severity(p.Severity), File: p.File, Line: p.Line, Path: p.Path,
			Problem: p.Problem, Why: p.Why, Fix: p.Fix,
		})
	}
	found = lint.Silence(cfg, found, KnownWeakness)
	lint.Sort(found)
	return found, nil
}

// KnownWeakness tells whether there is a code, of settings or of policies.
func KnownWeakness(code string) bool {
	_, ok := lint.Lookup(code)
	return ok || slices.ContainsFunc(LintCodes(), func(c policy.LintCode) bool { return c.Code == code })
}
