package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Rule allows or denies whom its Match describes. Exactly one of Allow and Deny
// is set. Name appears in decisions and in the audit log; without one the rule
// is called by its position, such as rules[0].
type Rule struct {
	Name  string
	Allow *Match
	Deny  *Match

	// Require is what the sign-in of whom the rule allows must have been like.
	// It belongs beside Allow alone.
	Require StepUp
}

// Match describes people: every field that is given must fit, and a field fits
// when any of its values does. Comparison is exact and case-sensitive, except
// for e-mail addresses.
//
// Emails are whole addresses, compared without regard to ASCII letter case, and
// with a verified address only: an unverified one never matches, neither an
// allow nor a deny rule. To shut out one person, deny the subject. EmailDomains
// are compared likewise with all that follows the one '@': example.com covers
// neither sub.example.com nor example.com.evil.test.
//
// Scopes are those of an access token (RFC 6749, section 3.3): the words of its
// scope claim or, where there is none, of scp, which may be a list instead.
type Match struct {
	Groups       []string
	Emails       []string
	EmailDomains []string
	Subjects     []string
	Scopes       []string
	Claims       []Claim
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

// Engine compiles policies.
type Engine struct{}

// NewEngine returns an Engine.
func NewEngine() *Engine { return &Engine{} }

// Compile turns rules into a Set. It reports every fault at once: the error
// joins one *RuleError for each, and the Set is then nil. It keeps no reference to
// rules.
func (e *Engine) Compile(name string, rules []Rule) (*Set, error) {
	c := compiler{policy: name}
	s := &Set{name: name}
	if len(rules) == 0 {
		c.fault("", "rules", "has no rules and would deny everybody", "add a rule with allow")
	}
	seen := make(map[string]int, len(rules))
	for i, r := range rules {
		at := fmt.Sprintf("rules[%d]", i)
		c.rule = r.Name
		if r.Name != "" {
			if first, ok := seen[r.Name]; ok {
				c.fault("", at+".name", fmt.Sprintf("is also the name of rules[%d]", first), "give each rule a name of its own, the audit log shows it")
			} else {
				seen[r.Name] = i
			}
		}
		label := r.Name
		if label == "" {
			label = at
		}
		switch {
		case r.Allow != nil && r.Deny != nil:
			c.fault("", at, "has both allow and deny", "make two rules of it")
		case r.Allow != nil:
			s.allow = append(s.allow, compiledRule{name: label, match: c.match(at+".allow", r.Allow), require: c.require(at+".require", r.Require)})
		case r.Deny != nil && !r.Require.Empty():
			c.fault("", at+".require", "stands beside deny, which asks for no sign-in", "put it beside allow")
		case r.Deny != nil:
			s.deny = append(s.deny, compiledRule{name: label, match: c.match(at+".deny", r.Deny)})
		default:
			c.fault("", at, "has neither allow nor deny", "write one of them, such as allow: {groups: [staff]}")
		}
	}
	if err := errors.Join(c.faults...); err != nil {
		return nil, err
	}
	s.sortAllow()
	return s, nil
}

type compiler struct {
	policy string
	rule   string
	faults []error
}

func (c *compiler) fault(at, field, problem, fix string) {
	c.faults = append(c.faults, &RuleError{Policy: c.policy, Rule: c.rule, Path: at + field, Problem: problem, Fix: fix})
}

func (c *compiler) match(at string, m *Match) matcher {
	if m.Groups == nil && m.Emails == nil && m.EmailDomains == nil && m.Subjects == nil && m.Scopes == nil && m.Claims == nil {
		c.fault(at, "", "describes nobody in particular", "write groups, emails, email_domains, subjects, scopes or claims; for any signed-in user use the policy authenticated")
		return matcher{}
	}
	out := matcher{
		groups:   c.words(at, ".groups", m.Groups),
		subjects: c.words(at, ".subjects", m.Subjects),
		emails:   c.emails(at, m.Emails),
		domains:  c.domains(at, m.EmailDomains),
		scopes:   c.scopes(at, m.Scopes),
	}
	if m.Claims != nil && len(m.Claims) == 0 {
		c.fault(at, ".claims", "is an empty list", "list at least one, or leave the key out")
	}
	for i, cl := range m.Claims {
		in := fmt.Sprintf("%s.claims[%d]", at, i)
		if blank(cl.Name) {
			c.fault(in, ".name", "is empty", "write the name of a claim, such as department")
		}
		if cl.Values == nil {
			c.fault(in, ".values", "is missing", "list at least one value")
		}
		out.claims = append(out.claims, claimMatcher{name: cl.Name, values: c.words(in, ".values", cl.Values)})
	}
	return out
}

func (c *compiler) require(at string, r StepUp) StepUp {
	if r.MaxAge < 0 {
		c.fault(at, ".max_age", "is negative", "write how old a sign-in may be, such as 1h")
	}
	for i, acr := range r.ACR {
		if blank(acr) {
			c.fault(at, fmt.Sprintf(".acr[%d]", i), "is empty", "write a value or delete the entry")
		}
	}
	for i, amr := range r.AMR {
		if blank(amr) {
			c.fault(at, fmt.Sprintf(".amr[%d]", i), "is empty", "write a value or delete the entry")
		}
	}
	return StepUp{ACR: slices.Clone(r.ACR), AMR: slices.Clone(r.AMR), MaxAge: r.MaxAge}
}

func (c *compiler) words(at, field string, list []string) words {
	if list != nil && len(list) == 0 {
		c.fault(at, field, "is an empty list", "list at least one value, or leave the key out")
	}
	for i, s := range list {
		if blank(s) {
			c.fault(at, fmt.Sprintf("%s[%d]", field, i), "is empty", "write a value or delete the entry")
		}
	}
	return newWords(list)
}

func (c *compiler) emails(at string, list []string) words {
	for i, s := range list {
		if !blank(s) && !plausibleAddress(s) {
			c.fault(at, fmt.Sprintf(".emails[%d]", i), fmt.Sprintf("%q is not an e-mail address", s), "write one whole address, such as alice@example.com")
		}
	}
	return c.words(at, ".emails", foldedList(list))
}

func (c *compiler) domains(at string, list []string) words {
	for i, s := range list {
		if !blank(s) && !plausibleAddress("x@"+s) {
			c.fault(at, fmt.Sprintf(".email_domains[%d]", i), fmt.Sprintf("%q is not a domain", s), "write what follows the @, such as example.com")
		}
	}
	return c.words(at, ".email_domains", foldedList(list))
}

func (c *compiler) scopes(at string, list []string) words {
	for i, s := range list {
		if !blank(s) && strings.ContainsAny(s, " \t\r\n") {
			c.fault(at, fmt.Sprintf(".scopes[%d]", i), fmt.Sprintf("%q is more than one scope", s), "write one scope an entry")
		}
	}
	return c.words(at, ".scopes", list)
}

// foldedList keeps nil nil: no condition.
func foldedList(list []string) []string {
	if list == nil {
		return nil
	}
	folded := make([]string, len(list))
	for i, s := range list {
		folded[i] = strings.Map(foldASCII, s)
	}
	return folded
}

// plausibleAddress asks for one '@' with something on both sides and for
// nothing that addresses in lists or header fields are set apart by. Such an
// address can have only one reading.
func plausibleAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && len(s) <= maxAddress &&
		!strings.ContainsAny(domain, "@") && !strings.ContainsAny(s, " \t\r\n,;<>\"") &&
		!strings.HasPrefix(domain, ".") && !strings.HasSuffix(domain, ".")
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

func foldASCII(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}
