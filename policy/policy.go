// Package policy answers one question: may this identity make this request?
// It owns the vocabulary of rules, their compilation and their evaluation.
//
// The order of precedence is one sentence: a deny rule that matches wins over
// every allow rule; of the allow rules that match, one whose requirement is met
// (or that has none) allows, and else the one that asks for the least says what
// sign-in is needed; and where no allow rule matches, access is denied. The
// order in which rules are written never matters.
//
// It leaves to others how an identity is proven, how a request finds its
// policy, and what the client is answered. It imports nothing of the gateway,
// so that policies can be tested without one.
package policy

import (
	"context"
	"errors"
	"time"
)

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
	ReasonNoRuleMatched = "no_rule_matched" // no allow rule matches
	ReasonDeniedByRule  = "denied_by_rule"  // a deny rule matches
	ReasonAllowedByRule = "allowed_by_rule" // an allow rule matches and no deny rule does
	ReasonAuthenticated = "authenticated"   // the built-in policy: any proven user
	ReasonUnproven      = "unproven"        // the identity has no subject: nobody is behind it
	ReasonPolicyError   = "policy_error"    // the policy could not be evaluated

	// ReasonStepUp: a rule would allow, after another sign-in (RFC 9470, section 3).
	ReasonStepUp = "insufficient_user_authentication"
)

// Decision is the answer of a policy. The zero Decision denies.
//
// Rule names the rule that decided and is empty where none did. StepUp says
// what is wanted and counts only with the effect NeedStepUp; its lists are the
// policy's own and must not be changed.
type Decision struct {
	Effect Effect
	Rule   string
	Reason string
	StepUp StepUp
}

// Identity is what policies see of a user. It is the policy language's own
// view, so that the gateway's type can change without breaking a rule.
type Identity struct {
	Issuer        string
	Subject       string
	Email         string
	EmailVerified bool
	Groups        []string
	Claims        Claims // nil: there are none

	ACR      string    // authentication context class
	AMR      []string  // how he proved himself
	AuthTime time.Time // when he last did; zero when unknown
}

// Claims are what else is known of a user.
type Claims interface {
	// Claim returns the claim called name as JSON decodes it, or nil when there
	// is none. A claim that is null is nil too.
	Claim(name string) any
}

// Request is what policies see of a request. Path is the canonical path by
// which the route was found, never the bytes that the client sent.
type Request struct {
	Method   string
	Host     string
	Path     string
	RawQuery string
}

// Input is everything that a decision can depend on.
type Input struct {
	Route    string
	Identity Identity
	Request  Request
	Now      time.Time
}

// Set is a compiled policy. It is immutable and safe for concurrent use.
// A nil Set denies.
type Set struct {
	name    string
	anyone  bool // allow whoever has a subject and meets require
	require StepUp
	deny    []compiledRule
	allow   []compiledRule // those that ask for the least first
}

type compiledRule struct {
	name    string
	match   matcher
	require StepUp
}

// Authenticated returns the built-in policy that allows any proven user.
func Authenticated() *Set { return &Set{name: ReasonAuthenticated, anyone: true} }

// Name returns the name that the policy was compiled under.
func (s *Set) Name() string {
	if s == nil {
		return ""
	}
	return s.name
}

var errNoInput = errors.New("policy: nothing to decide on")

// Evaluate decides. It neither changes nor keeps in, does no I/O and does not
// allocate; only decoding the claims that rules ask for may. An error means that
// there is no answer; the Decision beside it denies, with the reason policy_error.
func (s *Set) Evaluate(_ context.Context, in *Input) (Decision, error) {
	if in == nil {
		return Decision{Reason: ReasonPolicyError}, errNoInput
	}
	if s == nil {
		return Decision{Reason: ReasonNoRuleMatched}, nil
	}
	id := &in.Identity
	if id.Subject == "" {
		return Decision{Reason: ReasonUnproven}, nil
	}
	if s.anyone {
		if !s.require.MetBy(id.ACR, id.AMR, id.AuthTime, in.Now) {
			return Decision{Effect: NeedStepUp, Reason: ReasonStepUp, StepUp: s.require}, nil
		}
		return Decision{Effect: Allow, Reason: ReasonAuthenticated}, nil
	}
	for i := range s.deny {
		if s.deny[i].match.fits(id) {
			return Decision{Rule: s.deny[i].name, Reason: ReasonDeniedByRule}, nil
		}
	}
	answer := Decision{Reason: ReasonNoRuleMatched}
	for i := range s.allow {
		rule := &s.allow[i]
		if !rule.match.fits(id) {
			continue
		}
		if rule.require.MetBy(id.ACR, id.AMR, id.AuthTime, in.Now) {
			return Decision{Effect: Allow, Rule: rule.name, Reason: ReasonAllowedByRule}, nil
		}
		if answer.Effect != NeedStepUp {
			answer = Decision{Effect: NeedStepUp, Rule: rule.name, Reason: ReasonStepUp, StepUp: rule.require}
		}
	}
	return answer, nil
}
