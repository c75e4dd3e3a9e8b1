// Package policy answers one question: may this identity make this request?
// It owns the vocabulary of rules, their compilation and their evaluation.
//
// The order of precedence is one sentence: a deny rule that matches wins over
// every allow rule, and where no allow rule matches, access is denied. The
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
)

// Decision is the answer of a policy. The zero Decision denies.
//
// Rule names the rule that decided and is empty where none did. StepUp says
// what is wanted and counts only with the effect NeedStepUp.
type Decision struct {
	Effect Effect
	Rule   string
	Reason string
	StepUp StepUp
}

// StepUp is how well, and how lately, a user must have proven himself.
type StepUp struct {
	ACR    string        // authentication context class reference
	AMR    []string      // methods, all of them (RFC 8176)
	MaxAge time.Duration // zero means no limit
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
	name   string
	anyone bool // allow whoever has a subject
	deny   []compiledRule
	allow  []compiledRule
}

type compiledRule struct {
	name  string
	match matcher
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
// allocate; only decoding the claims that rules ask for may. An error means that there is no answer; the Decision beside it
// denies, with the reason policy_error.
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
		return Decision{Effect: Allow, Reason: ReasonAuthenticated}, nil
	}
	for i := range s.deny {
		if s.deny[i].match.fits(id) {
			return Decision{Rule: s.deny[i].name, Reason: ReasonDeniedByRule}, nil
		}
	}
	for i := range s.allow {
		if s.allow[i].match.fits(id) {
			return Decision{Effect: Allow, Rule: s.allow[i].name, Reason: ReasonAllowedByRule}, nil
		}
	}
	return Decision{Reason: ReasonNoRuleMatched}, nil
}
