package policy

import (
	"context"
	"errors"
	"slices"
)

// Set is a compiled policy. It is immutable and safe for concurrent use.
// A nil Set denies.
type Set struct {
	name       string
	mode       Mode
	anyone     bool // allow whoever has a subject and meets require
	require    StepUp
	rules      []compiledRule // as written
	enforced   ruleSet
	shadow     ruleSet // what is enforced and what is not, together
	shadowing  bool    // some rule is not enforced
	readsQuery bool    // some condition that is enforced, or the authorizer
	authorizer Authorizer
	message    string
}

// ruleSet are rules in the order in which they are asked.
type ruleSet struct {
	deny  []compiledRule
	allow []compiledRule // those that ask for the least first
}

type compiledRule struct {
	name       string
	mode       Mode
	allow      bool
	conditions []condition
	require    StepUp
	reason     string
	message    string
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

// Rules returns the names of the rules, as they are written.
func (s *Set) Rules() []string {
	if s == nil {
		return nil
	}
	names := make([]string, len(s.rules))
	for i := range s.rules {
		names[i] = s.rules[i].name
	}
	return names
}

// ReadsQuery reports whether decisions that count hang on the query of a request. Of one that
// CheckQuery refuses nothing is known, and it can be refused before.
func (s *Set) ReadsQuery() bool { return s != nil && s.readsQuery }

// External reports whether an external authorizer is asked.
func (s *Set) External() bool { return s != nil && s.authorizer != nil }

func (s *Set) add(r compiledRule) {
	enforced := s.mode == Enforce && r.mode == Enforce
	s.readsQuery = s.readsQuery || enforced && slices.ContainsFunc(r.conditions, func(c condition) bool { return c.expr.names(nameQuery) })
	// What costs the most is asked last.
	slices.SortStableFunc(r.conditions, func(a, b condition) int { return a.cost() - b.cost() })
	s.rules = append(s.rules, r)
	s.shadow.add(r)
	if r.mode == Shadow {
		s.shadowing = true
		return
	}
	s.enforced.add(r)
}

func (r *ruleSet) add(one compiledRule) {
	if one.allow {
		r.allow = append(r.allow, one)
	} else {
		r.deny = append(r.deny, one)
	}
}

var errNoInput = errors.New("policy: nothing to decide on")

// Evaluate decides. It neither changes nor keeps in and, unless there is an external
// authorizer, does no I/O. Without expressions it does not allocate; only decoding
// the claims that rules ask for may.
//
// An error means that there is no answer, and the Decision beside it denies, with the
// reason policy_error. An *OutageError says that the external authorizer could not be
// asked; any other error is a rule that could not be evaluated, or an answer of the
// authorizer that makes no sense.
func (s *Set) Evaluate(ctx context.Context, in *Input) (Decision, error) {
	if in == nil {
		return Decision{Reason: ReasonPolicyError}, errNoInput
	}
	if s == nil {
		return Decision{Reason: ReasonNoRuleMatched}, nil
	}
	if in.Identity.Subject == "" {
		return Decision{Reason: ReasonUnproven}, nil
	}
	if s.anyone {
		return s.anybody(in, ReasonAuthenticated), nil
	}
	if s.mode == Shadow {
		judged, _ := s.judge(ctx, &s.shadow, in) // an error has its reason in the decision
		d := s.anybody(in, ReasonShadow)
		d.Shadow = judged.shadowed()
		return d, nil
	}
	d, err := s.judge(ctx, &s.enforced, in)
	if s.shadowing {
		judged, _ := s.shadow.decide(in)
		d.Shadow = judged.shadowed()
	}
	return d, err
}

func (d *Decision) shadowed() Shadowed {
	return Shadowed{Judged: true, Effect: d.Effect, Rule: d.Rule, Reason: d.Reason}
}

// anybody allows every proven user whose sign-in is good enough.
func (s *Set) anybody(in *Input, reason string) Decision {
	id := &in.Identity
	if !s.require.MetBy(id.ACR, id.AMR, id.AuthTime, in.Now) {
		return Decision{Effect: NeedStepUp, Reason: ReasonStepUp, StepUp: s.require}
	}
	return Decision{Effect: Allow, Reason: reason}
}

// judge asks the rules, and then the authorizer about what they allow.
func (s *Set) judge(ctx context.Context, rules *ruleSet, in *Input) (Decision, error) {
	d := Decision{Effect: Allow, Reason: ReasonAllowedByAuthorizer}
	var err error
	if len(s.rules) > 0 || s.authorizer == nil {
		d, err = rules.decide(in)
	} else if !s.require.Empty() {
		d = s.anybody(in, ReasonAllowedByAuthorizer)
	}
	if d.Effect == Allow && s.authorizer != nil {
		switch answer, asked := s.ask(ctx, in); {
		case asked != nil || answer.Effect != Allow:
			d, err = answer, asked
		case len(s.rules) == 0:
			d.Rule = answer.Rule
		}
	}
	if d.Effect == Deny && d.Message == "" {
		d.Message = s.message
	}
	return d, err
}

// ask asks the authorizer, about a copy, which leaves the Input of everybody else
// on the stack.
func (s *Set) ask(ctx context.Context, in *Input) (Decision, error) {
	copied := *in
	d, err := s.authorizer.Authorize(ctx, &copied)
	if e, ok := errors.AsType[*EvaluationError](err); ok {
		return failure(e)
	}
	if err != nil {
		return Decision{Reason: ReasonPolicyError}, &OutageError{Err: err}
	}
	return d, nil
}

// decide is the sentence of precedence. The error of an allow rule counts only
// where no other one lets the request pass: it allows nothing by itself.
func (r *ruleSet) decide(in *Input) (Decision, error) {
	var failed error
	for i := range r.deny {
		fits, err := allFit(r.deny[i].conditions, in)
		if fits {
			return Decision{Rule: r.deny[i].name, Reason: r.deny[i].reason, Message: r.deny[i].message}, nil
		}
		if err != nil && failed == nil {
			failed = &EvaluationError{Rule: r.deny[i].name, Err: err}
		}
	}
	if failed != nil {
		return failure(failed)
	}
	answer := Decision{Reason: ReasonNoRuleMatched}
	id := &in.Identity
	for i := range r.allow {
		rule := &r.allow[i]
		fits, err := allFit(rule.conditions, in)
		if err != nil && failed == nil {
			failed = &EvaluationError{Rule: rule.name, Err: err}
		}
		if !fits {
			continue
		}
		if rule.require.MetBy(id.ACR, id.AMR, id.AuthTime, in.Now) {
			return Decision{Effect: Allow, Rule: rule.name, Reason: rule.reason}, nil
		}
		if answer.Effect != NeedStepUp {
			answer = Decision{Effect: NeedStepUp, Rule: rule.name, Reason: ReasonStepUp, StepUp: rule.require}
		}
	}
	if failed != nil && answer.Effect != NeedStepUp {
		return failure(failed)
	}
	return answer, nil
}

// EvaluationError says which rule could not be evaluated.
type EvaluationError struct {
	Rule string
	Err  error
}

// Error names the rule.
func (e *EvaluationError) Error() string { return "policy: rule " + e.Rule + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *EvaluationError) Unwrap() error { return e.Err }

func failure(err error) (Decision, error) {
	d := Decision{Reason: ReasonPolicyError}
	if e, ok := errors.AsType[*EvaluationError](err); ok {
		d.Rule = e.Rule
	}
	return d, err
}
