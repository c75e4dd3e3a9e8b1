package policytest

import (
	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/policy"
)

// effect reads the word for an effect.
func (r *reader) effect(n *yaml.Node, at string) (policy.Effect, bool) {
	all := []policy.Effect{policy.Allow, policy.Deny, policy.NeedStepUp}
	words := make([]string, len(all))
	for i, e := range all {
		words[i] = e.String()
	}
	s, ok := r.oneOf(n, at, words...)
	for _, e := range all {
		if ok && e.String() == s {
			return e, true
		}
	}
	return policy.Deny, false
}

// optional returns what reads a text that may be "", which wants just that.
func (r *reader) optional(to **string) func(n *yaml.Node, at string) {
	return func(n *yaml.Node, at string) {
		if s, ok := r.text(n, at); ok {
			*to = &s
		}
	}
}

func (r *reader) expect(n *yaml.Node, at string) Expect {
	var e Expect
	if n.Kind != yaml.MappingNode {
		e.Effect, _ = r.effect(n, at)
		return e
	}
	var stepUp *yaml.Node
	readable := true
	seen := r.section(n, at, []key{
		{"effect", func(n *yaml.Node, at string) { e.Effect, readable = r.effect(n, at) }},
		{"rule", r.optional(&e.Rule)},
		{"reason", r.optional(&e.Reason)},
		{"message", r.optional(&e.Message)},
		{"step_up", func(n *yaml.Node, at string) { stepUp = n; e.StepUp = r.expectStepUp(n, at) }},
		{"shadow", func(n *yaml.Node, at string) { e.Shadow = r.expectShadow(n, at) }},
	})
	if !seen["effect"] {
		r.fault(n, at+".effect", "is missing", "write allow, deny or step_up")
	} else if stepUp != nil && readable && e.Effect != policy.NeedStepUp {
		r.fault(stepUp, at+".step_up", "stands beside the effect "+e.Effect.String()+", which asks for no sign-in", "write effect: step_up, or remove it")
	}
	return e
}

func (r *reader) expectStepUp(n *yaml.Node, at string) *ExpectStepUp {
	var e ExpectStepUp
	r.section(n, at, []key{
		{"acr", r.words(&e.ACR)},
		{"amr", r.words(&e.AMR)},
		{"max_age", func(n *yaml.Node, at string) {
			if d, ok := r.duration(n, at); ok {
				e.MaxAge = &d
			}
		}},
	})
	return &e
}

// expectShadow reads an effect, or a section of what is wanted.
func (r *reader) expectShadow(n *yaml.Node, at string) *ExpectShadow {
	var e ExpectShadow
	effect := func(n *yaml.Node, at string) {
		if one, ok := r.effect(n, at); ok {
			e.Effect = &one
		}
	}
	if n.Kind != yaml.MappingNode {
		effect(n, at)
		return &e
	}
	r.section(n, at, []key{{"effect", effect}, {"rule", r.optional(&e.Rule)}, {"reason", r.optional(&e.Reason)}})
	return &e
}

// outage is the answer of an authorizer that can't be asked, senseless one that is
// none.
const (
	outage    = "outage"
	senseless = "error"
)

// answer reads what the external authorizer says: a word, or a section.
func (r *reader) answer(n *yaml.Node, at string) *Answer {
	if n.Kind != yaml.MappingNode {
		return r.answerWord(n, at, policy.Allow.String(), policy.Deny.String(), outage, senseless)
	}
	var a *Answer
	var reason, message string
	var stepUp policy.StepUp
	seen := r.section(n, at, []key{
		{"effect", func(n *yaml.Node, at string) {
			a = r.answerWord(n, at, policy.Allow.String(), policy.Deny.String(), policy.NeedStepUp.String(), outage, senseless)
		}},
		{"reason", r.word(&reason)},
		{"message", r.word(&message)},
		{"step_up", func(n *yaml.Node, at string) { stepUp = r.stepUp(n, at) }},
	})
	if !seen["effect"] {
		r.fault(n, at+".effect", "is missing", "write allow, deny, step_up, outage or error")
	}
	switch {
	case a == nil:
		return nil
	case (a.Outage || a.Senseless) && len(seen) > 1:
		r.fault(n, at, "says more beside an outage or an error, which say nothing", "write authorizer: outage, or authorizer: error")
	case seen["step_up"] != (a.Decision.Effect == policy.NeedStepUp):
		r.fault(n, at+".step_up", "and the effect step_up belong together", "write both, or neither")
	}
	if reason != "" {
		a.Decision.Rule += ":" + reason
	}
	a.Decision.Message, a.Decision.StepUp = message, stepUp
	return a
}

func (r *reader) answerWord(n *yaml.Node, at string, allowed ...string) *Answer {
	word, ok := r.oneOf(n, at, allowed...)
	if !ok {
		return nil
	}
	switch word {
	case outage:
		return &Answer{Outage: true}
	case senseless:
		return &Answer{Senseless: true}
	case policy.Allow.String():
		return &Answer{Decision: policy.Decision{Effect: policy.Allow, Rule: policy.RuleAuthorizer, Reason: policy.ReasonAllowedByAuthorizer}}
	case policy.NeedStepUp.String():
		return &Answer{Decision: policy.Decision{Effect: policy.NeedStepUp, Rule: policy.RuleAuthorizer, Reason: policy.ReasonStepUp}}
	}
	return &Answer{Decision: policy.Decision{Rule: policy.RuleAuthorizer, Reason: policy.ReasonDeniedByAuthorizer}}
}

func (r *reader) stepUp(n *yaml.Node, at string) policy.StepUp {
	var s policy.StepUp
	r.section(n, at, []key{
		{"acr", r.words(&s.ACR)},
		{"amr", r.words(&s.AMR)},
		{"max_age", func(n *yaml.Node, at string) {
			if d, ok := r.duration(n, at); ok {
				s.MaxAge = d
			}
		}},
	})
	if s.Empty() {
		r.fault(n, at, "asks for nothing", "write acr, amr or max_age")
	}
	return s
}
