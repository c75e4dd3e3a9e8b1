package policy

import (
	"cmp"
	"slices"
	"time"
)

// clockSkew is how far ahead of this clock the one that wrote a time of sign-in
// may be. Nothing is allowed the other way: it would make every sign-in younger
// than it is.
const clockSkew = time.Minute

// StepUp is how well, and how lately, a user must have proven himself. The zero
// StepUp asks for nothing.
type StepUp struct {
	ACR    []string      // one of these authentication context classes
	AMR    []string      // all of these methods (RFC 8176)
	MaxAge time.Duration // since he last proved himself; 0 = any
}

// Empty reports whether nothing is asked for.
func (s *StepUp) Empty() bool { return len(s.ACR) == 0 && len(s.AMR) == 0 && s.MaxAge == 0 }

// MetBy reports whether a proof of this kind, of this time, is enough at now. A
// proof whose time is unknown, or lies in the future, is never recent.
func (s *StepUp) MetBy(acr string, amr []string, at, now time.Time) bool {
	if len(s.ACR) > 0 && !slices.Contains(s.ACR, acr) {
		return false
	}
	for _, method := range s.AMR {
		if !slices.Contains(amr, method) {
			return false
		}
	}
	if s.MaxAge == 0 {
		return true
	}
	age := now.Sub(at)
	return !at.IsZero() && age <= s.MaxAge && age >= -clockSkew
}

// And returns what meets both, or false where nothing can: no context class is
// in both lists.
func (s StepUp) And(o StepUp) (StepUp, bool) {
	both := StepUp{ACR: slices.Clone(s.ACR), AMR: slices.Clone(s.AMR), MaxAge: s.MaxAge}
	switch {
	case len(s.ACR) == 0:
		both.ACR = slices.Clone(o.ACR)
	case len(o.ACR) > 0:
		both.ACR = slices.DeleteFunc(both.ACR, func(acr string) bool { return !slices.Contains(o.ACR, acr) })
		if len(both.ACR) == 0 {
			return StepUp{}, false
		}
	}
	for _, method := range o.AMR {
		if !slices.Contains(both.AMR, method) {
			both.AMR = append(both.AMR, method)
		}
	}
	if both.MaxAge == 0 || o.MaxAge != 0 && o.MaxAge < both.MaxAge {
		both.MaxAge = o.MaxAge
	}
	return both, true
}

// less orders by how much is asked for: conditions on the kind of the sign-in
// first, then how recent it must be.
func less(a, b StepUp) int {
	kinds := func(s StepUp) int { return min(len(s.ACR), 1) + len(s.AMR) }
	if c := cmp.Compare(kinds(a), kinds(b)); c != 0 {
		return c
	}
	if (a.MaxAge == 0) != (b.MaxAge == 0) {
		if a.MaxAge == 0 {
			return -1
		}
		return 1
	}
	return cmp.Compare(b.MaxAge, a.MaxAge)
}

// ContradictionError is Requiring's answer where a rule and the requirement have
// no context class in common.
type ContradictionError struct{ Rule string }

// Error names the rule.
func (e *ContradictionError) Error() string {
	return "policy: no acr meets both the requirement and that of the rule " + e.Rule
}

// Requiring returns the policy with a requirement added to everything that it
// allows. The set itself is not changed.
func (s *Set) Requiring(want StepUp) (*Set, error) {
	if s == nil || want.Empty() {
		return s, nil
	}
	out := *s
	// Where no rule allows, the policy itself has the requirement.
	if s.anyone || s.mode == Shadow || len(s.rules) == 0 {
		both, ok := s.require.And(want)
		if !ok {
			return nil, &ContradictionError{Rule: s.name}
		}
		out.require = both
	}
	for _, rules := range []*[]compiledRule{&out.rules, &out.enforced.allow, &out.shadow.allow} {
		*rules = slices.Clone(*rules)
		for i := range *rules {
			rule := &(*rules)[i]
			if !rule.allow {
				continue
			}
			both, ok := rule.require.And(want)
			if !ok {
				return nil, &ContradictionError{Rule: rule.name}
			}
			rule.require = both
		}
	}
	out.sortAllow()
	return &out, nil
}

// sortAllow puts the rules that ask for the least first, so that the first that
// fits a user is also the one whose sign-in he is asked for.
func (s *Set) sortAllow() {
	for _, allow := range [][]compiledRule{s.enforced.allow, s.shadow.allow} {
		slices.SortStableFunc(allow, func(a, b compiledRule) int {
			if c := less(a.require, b.require); c != 0 {
				return c
			}
			if a.require.Empty() { // nothing to choose between: as written
				return 0
			}
			return cmp.Compare(a.name, b.name)
		})
	}
}
