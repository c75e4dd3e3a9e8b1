// Package policy answers one question: may this identity make this request?
// It owns the vocabulary of rules, their compilation and their evaluation.
//
// The order of precedence is one sentence: a deny rule that matches, or that can't
// be evaluated, wins over every allow rule; of the allow rules that match, one
// whose requirement is met (or that has none) allows, and else the one that asks
// for the least says what sign-in is needed; and where no allow rule matches,
// access is denied. The order in which rules are written never matters.
//
// It leaves to others how an identity is proven, how a request finds its
// policy, and what the client is answered. It imports nothing of the gateway,
// so that policies can be tested without one.
package policy

// Effect is what a decision lets happen. The zero Effect denies.
type Effect uint8

// The effects.
const (
	Deny       Effect = iota // not allowed
	Allow                    // allowed
	NeedStepUp               // allowed once the user has proven himself better or again
)

// String returns the word for logs and metrics.
func (e Effect) String() string {
	switch e {
	case Allow:
		return "allow"
	case NeedStepUp:
		return "step_up"
	case Deny:
	}
	return "deny"
}

// The reasons that a Decision can give: a closed list, fit for metric labels.
const (
	ReasonNoRuleMatched = "no_rule_matched"  // no allow rule matches
	ReasonDeniedByRule  = "denied_by_rule"   // a deny rule matches
	ReasonAllowedByRule = "allowed_by_rule"  // an allow rule matches and no deny rule does
	ReasonAuthenticated = "authenticated"    // the built-in policy: any proven user
	ReasonUnproven      = "unproven"         // the identity has no subject: nobody is behind it
	ReasonPolicyError   = "policy_error"     // the policy could not be evaluated
	ReasonShadow        = "policy_in_shadow" // the policy is not enforced: any proven user

	ReasonDeniedByAuthorizer  = "denied_by_authorizer"  // the external authorizer says no
	ReasonAllowedByAuthorizer = "allowed_by_authorizer" // the external authorizer says yes, and there are no rules

	// ReasonStepUp: a rule would allow, after another sign-in (RFC 9470, section 3).
	ReasonStepUp = "insufficient_user_authentication"
)

// ownReasons are all of them.
func ownReasons() []string {
	return []string{
		ReasonNoRuleMatched, ReasonDeniedByRule, ReasonAllowedByRule, ReasonAuthenticated, ReasonUnproven, ReasonPolicyError,
		ReasonShadow, ReasonDeniedByAuthorizer, ReasonAllowedByAuthorizer, ReasonStepUp,
	}
}

// Decision is the answer of a policy. The zero Decision denies.
//
// Rule names the rule that decided and is empty where none did. Reason is one of
// the reasons above, or that of a deny rule. Message is what the policy has to say
// to people whom it denies. StepUp says what is wanted and counts only with the
// effect NeedStepUp; its lists are the policy's own and must not be changed.
type Decision struct {
	Effect  Effect
	Rule    string
	Reason  string
	Message string
	StepUp  StepUp

	// Shadow is what would have been decided with what is in the mode Shadow.
	Shadow Shadowed
}

// Shadowed is a decision that changes nothing. It is not Judged where nothing of
// the policy is in the mode Shadow.
type Shadowed struct {
	Judged bool
	Effect Effect
	Rule   string
	Reason string
}
