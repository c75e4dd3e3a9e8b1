package policy

import "slices"

// Explanation is a Decision with everything that led to it.
type Explanation struct {
	Policy   string            `json:"policy"`
	Mode     string            `json:"mode"` // enforce, shadow
	Decision Decision          `json:"-"`
	Rules    []RuleExplanation `json:"rules"` // as written
	// Authorizer says that what the rules allow is also asked elsewhere.
	Authorizer bool `json:"authorizer,omitempty"`
	// Err is why there is no answer, where there is none.
	Err error `json:"-"`
}

// RuleExplanation is what one rule says of a request.
type RuleExplanation struct {
	Name       string                 `json:"name"`
	Effect     string                 `json:"effect"` // allow, deny
	Mode       string                 `json:"mode"`   // enforce, shadow
	Conditions []ConditionExplanation `json:"conditions"`
	Fits       bool                   `json:"fits"`
	Err        string                 `json:"error,omitempty"` // it could not be evaluated
	Requires   string                 `json:"requires,omitempty"`
	Met        bool                   `json:"met"` // what it requires
	SignIn     string                 `json:"sign_in,omitempty"`
}

// Checks are the conditions and, as one more of them, what the rule requires.
func (r *RuleExplanation) Checks() []ConditionExplanation {
	if r.Requires == "" {
		return r.Conditions
	}
	return append(slices.Clone(r.Conditions), ConditionExplanation{Field: "require", Wants: r.Requires, Has: r.SignIn, Fits: r.Met})
}

// ConditionExplanation is one condition of a rule, with what it was compared with.
type ConditionExplanation struct {
	Field string `json:"field"` // groups, when, ...
	Wants string `json:"wants"` // as the policy writes it
	Has   string `json:"has"`   // of the request
	Fits  bool   `json:"fits"`
	Err   string `json:"error,omitempty"`
}

// Answer is one word for people: yes, no or error.
func (c *ConditionExplanation) Answer() string {
	switch {
	case c.Err != "":
		return "error"
	case c.Fits:
		return "yes"
	}
	return "no"
}
