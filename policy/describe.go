package policy

// RuleDescription is a rule as it was compiled, in the words of a policy.
type RuleDescription struct {
	Name       string                 `json:"name"`
	Effect     string                 `json:"effect"` // allow, deny
	Mode       string                 `json:"mode"`   // enforce, shadow
	Conditions []ConditionDescription `json:"conditions"`
	Requires   string                 `json:"requires,omitempty"` // of the sign-in
	Reason     string                 `json:"reason,omitempty"`
	Message    string                 `json:"message,omitempty"`
}

// ConditionDescription is one condition: a field, and what it is compared with.
type ConditionDescription struct {
	Field string `json:"field"` // groups, when, ...
	Wants string `json:"wants"`
}

// Mode returns whether the decisions of the policy count.
func (s *Set) Mode() Mode {
	if s == nil {
		return Enforce
	}
	return s.mode
}

// Describe returns the rules as they are written. A rule without conditions is
// about everybody.
func (s *Set) Describe() []RuleDescription {
	if s == nil {
		return nil
	}
	out := make([]RuleDescription, len(s.rules))
	for i := range s.rules {
		r := &s.rules[i]
		d := RuleDescription{
			Name: r.name, Effect: "deny", Mode: r.mode.String(), Reason: r.reason, Message: r.message,
			Conditions: make([]ConditionDescription, len(r.conditions)),
		}
		if r.allow {
			d.Effect = "allow"
			d.Requires = r.require.String()
		}
		for j := range r.conditions {
			c := &r.conditions[j]
			d.Conditions[j] = ConditionDescription{Field: c.field.String(), Wants: c.wants()}
		}
		out[i] = d
	}
	return out
}
