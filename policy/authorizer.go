package policy

import "context"

// RuleAuthorizer is the Rule of what an external authorizer has decided; behind a
// colon comes the word that it gives for its reason, where it gives one.
const RuleAuthorizer = "authorizer"

// Authorizer decides in the place of rules, somewhere else. An *EvaluationError
// means that it was asked and gave no answer that makes sense, or that the request
// can't be put to it: the request is denied. Any other error means that it could not
// be asked: an outage, and neither yes nor no. It must honour the context and not
// keep the Input.
type Authorizer interface {
	Authorize(ctx context.Context, in *Input) (Decision, error)
}

// OutageError says that something which has to be asked did not answer.
type OutageError struct{ Err error }

// Error tells what happened.
func (e *OutageError) Error() string { return "policy: the authorizer: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *OutageError) Unwrap() error { return e.Err }
