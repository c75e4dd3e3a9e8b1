// Package policytest asks policies what they decide in cases that people have
// written down, compares that with what they wanted, and tells which rules no case
// has reached.
//
// It owns the format of test files, of identities in it, and the reports. Where
// policies come from is left to its callers, so that it needs no gateway.
package policytest

import (
	"time"

	"github.com/sallyport/sallyport/policy"
)

// File is one test file.
type File struct {
	Name string
	// Config is the configuration whose policies are asked: what the file names,
	// relative to where the file is, or "" where it names none. An archive is its own.
	Config string
	Cases  []Case
	// Archive is what an archive holds besides cases, and nil for any other file.
	Archive *Archive
}

// Case is one question to a policy, and the answer that is wanted.
type Case struct {
	Name string
	Line int // of the file

	// Policy is the policy to ask. Without it that of Route is asked, with
	// everything that the route requires.
	Policy string
	Route  string

	Input  policy.Input
	Answer *Answer // of the external authorizer; nil: it must not be asked
	Expect Expect
}

// Expect is what is wanted of a decision. What is nil may be anything.
type Expect struct {
	Effect  policy.Effect
	Rule    *string // "" = no rule decides
	Reason  *string
	Message *string
	StepUp  *ExpectStepUp
	Shadow  *ExpectShadow
}

// ExpectStepUp is what is wanted of the sign-in that is asked for. A nil list or
// age may be anything; the order of a list says nothing.
type ExpectStepUp struct {
	ACR    []string
	AMR    []string
	MaxAge *time.Duration
}

// ExpectShadow is what is wanted of the decision that would have been made with
// what is in the mode shadow.
type ExpectShadow struct {
	Effect *policy.Effect
	Rule   *string
	Reason *string
}

// Answer is what the external authorizer says in a case, in the form that the
// gateway's gives it, or that it says nothing.
type Answer struct {
	Outage    bool // it can't be asked
	Senseless bool // what it says is no answer
	Decision  policy.Decision
}
