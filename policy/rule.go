package policy

import (
	"fmt"
	"time"
)

// Mode says whether a policy or a rule counts.
type Mode uint8

// The modes.
const (
	Enforce Mode = iota
	// Shadow judges, for the log and the metrics, and changes nothing.
	Shadow
)

// Policy is what is compiled: rules, an external authorizer, or both. With both, a
// request has to be allowed by the rules first, and by the authorizer too.
//
// In the mode Shadow the policy lets every proven user pass, and only tells what
// it would have decided.
type Policy struct {
	Name       string
	Mode       Mode
	Rules      []Rule
	Authorizer Authorizer // nil = none
	Message    string     // for people whom no rule allows
}

// Rule allows or denies whom its Match describes. Exactly one of Allow and Deny
// is set. Name appears in decisions and in the audit log; without one the rule
// is called by its position, such as rules[0].
type Rule struct {
	Name string
	Mode Mode

	// When and Unless are expressions that say for which requests the rule is there
	// at all. They are conditions like those of the Match.
	When, Unless string

	Allow *Match
	Deny  *Match

	// Require is what the sign-in of whom the rule allows must have been like.
	// It belongs beside Allow alone.
	Require StepUp

	// Reason takes the place of denied_by_rule, and Message tells people more.
	// Both belong beside Deny alone.
	Reason  string
	Message string
}

// Match describes people and their requests: every field that is given must fit,
// and a field fits when any of its values does. Comparison is exact and
// case-sensitive, except for e-mail addresses.
//
// Emails are whole addresses, compared without regard to ASCII letter case, and
// with a verified address only: an unverified one never matches, neither an
// allow nor a deny rule. To shut out one person, deny the subject. EmailDomains
// are compared likewise with all that follows the one '@': example.com covers
// neither sub.example.com nor example.com.evil.test.
//
// Scopes are those of an access token (RFC 6749, section 3.3): the words of its
// scope claim or, where there is none, of scp, which may be a list instead.
//
// ACR, AMR and MaxAge describe how the user has signed in, and a sign-in of
// another kind does not fit. Rule.Require asks for another sign-in instead.
//
// When fits where the expression is true, Unless where it is false.
type Match struct {
	Groups       []string
	Emails       []string
	EmailDomains []string
	Subjects     []string
	Issuers      []string
	Scopes       []string
	Claims       []Claim

	ACR    []string
	AMR    []string // all of them, unlike the others
	MaxAge time.Duration

	Methods []string
	Paths   []string // in the language of routes
	CIDR    []string // networks or addresses of clients
	Hours   []string // such as "mon-fri 08:00-18:00 Europe/Berlin"

	When, Unless string

	// From adds values that can change while the policy is in use, by the name of
	// the field: groups, emails, email_domains, subjects, issuers, cidr.
	From map[string]*Values
}

// Claim fits when the claim called Name is one of Values, or is a list that
// holds one of them. Name is first taken literally, then its part before the
// first dot as the name of an object and the rest as a name in there. The names
// iss, sub, email, email_verified and groups mean the identity's own fields, so
// that email stays a verified address.
//
// Booleans compare as true and false, numbers in their shortest decimal form
// (42, -1.5). Objects, null, lists in lists and whole numbers too large to have
// been decoded exactly never match.
type Claim struct {
	Name   string
	Values []string
}

// Path is a compiled path pattern.
type Path interface {
	Fits(path string) bool
	String() string
}

// RuleError is one thing that is wrong in a policy: where, what, and what to write
// instead. Path is relative to the policy, such as rules[1].allow.groups[0].
type RuleError struct {
	Policy  string
	Rule    string
	Path    string
	Problem string
	Fix     string
}

// Error names the policy, the place and the rule.
func (f *RuleError) Error() string {
	where := f.Path
	if f.Rule != "" {
		where += fmt.Sprintf(" (%q)", f.Rule)
	}
	return fmt.Sprintf("policy %q: %s: %s: %s", f.Policy, where, f.Problem, f.Fix)
}
