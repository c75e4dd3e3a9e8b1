package policytest

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/sallyport/sallyport/policy"
)

// Coverage counts which rules the cases of a run have reached. A rule is reached
// when it decided a case or fitted in one, in shadow too. The zero Coverage is empty.
type Coverage struct{ policies []*PolicyCoverage }

// PolicyCoverage is the coverage of one policy.
type PolicyCoverage struct {
	Config string         `json:"config"`
	Policy string         `json:"policy"`
	Cases  int            `json:"cases"` // that have asked it
	Rules  []RuleCoverage `json:"rules"`
}

// RuleCoverage is in how many cases a rule decided, fitted, and did not fit. One
// that always fits has not shown yet that it can tell people apart.
type RuleCoverage struct {
	Name     string `json:"name"`
	Decided  int    `json:"decided"`
	Fitted   int    `json:"fitted"`
	Unfitted int    `json:"did_not_fit"`
}

// Reached reports whether some case has reached the rule.
func (r *RuleCoverage) Reached() bool { return r.Decided > 0 || r.Fitted > 0 }

// Declare adds a policy of a configuration, so that it counts even if no case asks
// it. Policies without rules, such as the built-in one, have nothing to reach.
func (c *Coverage) Declare(config string, set *policy.Set) {
	if len(set.Rules()) > 0 {
		c.of(config, set)
	}
}

func (c *Coverage) of(config string, set *policy.Set) *PolicyCoverage {
	names := set.Rules()
	for _, p := range c.policies {
		if p.Config == config && p.Policy == set.Name() && p.has(names) {
			return p
		}
	}
	p := &PolicyCoverage{Config: config, Policy: set.Name()}
	for _, name := range names {
		p.Rules = append(p.Rules, RuleCoverage{Name: name})
	}
	c.policies = append(c.policies, p)
	return p
}

// has reports whether these are the rules of the policy.
func (p *PolicyCoverage) has(names []string) bool {
	return slices.EqualFunc(p.Rules, names, func(r RuleCoverage, name string) bool { return r.Name == name })
}

// Add counts the cases of a report.
func (c *Coverage) Add(r *Report) {
	for i := range r.Results {
		one := &r.Results[i]
		d := &one.Explanation.Decision
		// No rule is asked about nobody.
		if one.set == nil || one.Err != nil || d.Reason == policy.ReasonUnproven || len(one.Explanation.Rules) == 0 {
			continue
		}
		p := c.of(r.Config, one.set)
		p.Cases++
		for j := range one.Explanation.Rules {
			says, rule := &one.Explanation.Rules[j], &p.Rules[j]
			if decided(says.Name, d.Rule, d.Reason) || decided(says.Name, d.Shadow.Rule, d.Shadow.Reason) {
				rule.Decided++
			}
			switch {
			case says.Err != "":
			case says.Fits:
				rule.Fitted++
			default:
				rule.Unfitted++
			}
		}
	}
}

// decided reports whether it was the rule that decided. One that could not be
// evaluated did not.
func decided(name, rule, reason string) bool {
	return name == rule && reason != policy.ReasonPolicyError
}

// Policies returns the coverage of every policy, in the order in which they came.
func (c *Coverage) Policies() []PolicyCoverage {
	out := make([]PolicyCoverage, len(c.policies))
	for i, p := range c.policies {
		out[i] = *p
		out[i].Rules = slices.Clone(p.Rules)
	}
	return out
}

// Count returns how many rules there are, and how many of them are reached.
func (c *Coverage) Count() (reached, rules int) {
	for _, p := range c.policies {
		r, n := p.count()
		reached, rules = reached+r, rules+n
	}
	return reached, rules
}

func (p *PolicyCoverage) count() (reached, rules int) {
	for i := range p.Rules {
		if p.Rules[i].Reached() {
			reached++
		}
	}
	return reached, len(p.Rules)
}

// Percent is how much is reached, rounded down to a tenth: 100 means everything.
func (c *Coverage) Percent() float64 {
	reached, rules := c.Count()
	if rules == 0 {
		return 100
	}
	return math.Floor(float64(reached)*1000/float64(rules)) / 10
}

// WriteTable writes the coverage for people, and marks the rules that no case
// reaches.
func (c *Coverage) WriteTable(w io.Writer) error {
	var out bytes.Buffer
	lines := columns(&out)
	for _, p := range c.policies {
		reached, rules := p.count()
		fmt.Fprintf(lines, "policy %s of %s: %d of %s reached in %s\n", printable(p.Policy), printable(p.Config), reached, count(rules, "rule"), count(p.Cases, "case"))
		fmt.Fprintln(lines, "  RULE\tDECIDED\tFITTED\tDID NOT FIT\t")
		for i := range p.Rules {
			r := &p.Rules[i]
			mark := ""
			switch {
			case !r.Reached():
				mark = "NOT REACHED"
			case r.Unfitted == 0:
				mark = "fits in every case"
			}
			fmt.Fprintf(lines, "  %s\t%d\t%d\t%d\t%s\n", printable(r.Name), r.Decided, r.Fitted, r.Unfitted, mark)
		}
		fmt.Fprintln(lines)
	}
	reached, rules := c.Count()
	fmt.Fprintf(lines, "%d of %s reached: %.1f%%\n", reached, count(rules, "rule"), c.Percent())
	_ = lines.Flush() // into memory
	return writeTrimmed(w, &out)
}
