package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Options are what an Engine needs of others.
type Options struct {
	// Paths compiles a path pattern, or says what is wrong with it. Without it no
	// rule can name paths.
	Paths func(pattern string) (p Path, problem string)
	// Reasons are words that mean something already where decisions are logged and
	// shown, besides those of this package. No deny rule can give one as its own.
	Reasons []string
}

// Engine compiles policies. It is immutable and safe for concurrent use.
type Engine struct {
	paths   func(string) (Path, string)
	reasons words
	lang    *language
	linted  func() (*language, error) // lang as Lint uses it
}

// NewEngine returns an Engine. An error is a fault of this program.
func NewEngine(o Options) (*Engine, error) {
	lang, err := newLanguage()
	if err != nil {
		return nil, fmt.Errorf("policy: the expression language: %w", err)
	}
	return &Engine{paths: o.Paths, reasons: newWords(o.Reasons), lang: lang, linted: sync.OnceValues(lang.forPeople)}, nil
}

// Compile turns a policy into a Set. It reports every fault at once: the error
// joins one *RuleError for each, and the Set is then nil. It keeps no reference to
// the rules.
func (e *Engine) Compile(p Policy) (*Set, error) {
	c := compiler{engine: e, policy: p.Name}
	s := &Set{name: p.Name, mode: p.Mode, readsQuery: p.Authorizer != nil && p.Mode == Enforce, authorizer: p.Authorizer, message: p.Message}
	if len(p.Rules) == 0 && p.Authorizer == nil {
		c.fault("", "rules", "has no rules and would deny everybody", "add a rule with allow")
	}
	seen := make(map[string]int, len(p.Rules))
	for i := range p.Rules {
		r := &p.Rules[i]
		at := fmt.Sprintf("rules[%d]", i)
		c.rule = r.Name
		label := r.Name
		if label == "" {
			label = at
		} else if first, twice := seen[r.Name]; twice {
			c.fault("", at+".name", fmt.Sprintf("is also the name of rules[%d]", first), "give each rule a name of its own, the audit log shows it")
		} else {
			seen[r.Name] = i
		}
		s.add(c.compile(at, label, r))
	}
	if err := errors.Join(c.faults...); err != nil {
		return nil, err
	}
	s.sortAllow()
	return s, nil
}

type compiler struct {
	engine *Engine
	policy string
	rule   string
	faults []error
}

func (c *compiler) fault(at, field, problem, fix string) {
	c.faults = append(c.faults, &RuleError{Policy: c.policy, Rule: c.rule, Path: at + field, Problem: problem, Fix: fix})
}

func (c *compiler) compile(at, label string, r *Rule) compiledRule {
	out := compiledRule{name: label, mode: r.Mode, reason: ReasonDeniedByRule, message: r.Message}
	out.conditions = c.expressions(out.conditions, at, r.When, r.Unless)
	switch {
	case r.Allow != nil && r.Deny != nil:
		c.fault("", at, "has both allow and deny", "make two rules of it")
	case r.Allow != nil:
		out.allow, out.reason, out.require = true, ReasonAllowedByRule, c.require(at+".require", r.Require)
		out.conditions = c.match(out.conditions, at+".allow", r.Allow)
		if r.Reason != "" || r.Message != "" {
			c.fault(at, "", "has a reason or a message beside allow, which nobody would see", "put them beside deny")
		}
	case r.Deny != nil:
		if !r.Require.Empty() {
			c.fault("", at+".require", "stands beside deny, which asks for no sign-in", "put it beside allow")
		}
		out.conditions = c.match(out.conditions, at+".deny", r.Deny)
		if r.Reason != "" {
			out.reason = r.Reason
			c.reason(at, r.Reason)
		}
	default:
		c.fault("", at, "has neither allow nor deny", "write one of them, such as allow: {groups: [staff]}")
	}
	return out
}

// maxReason keeps reasons short enough for a label.
const maxReason = 40

// reason takes words that look like those of the gateway and mean nothing yet.
func (c *compiler) reason(at, s string) {
	switch {
	case slices.Contains(ownReasons(), s), c.engine.reasons.has(s):
		c.fault(at, ".reason", fmt.Sprintf("%q means something already", s), "choose another word")
		return
	}
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') || len(s) > maxReason {
			c.fault(at, ".reason", fmt.Sprintf("%q is no reason", s), "write a word of small letters, such as outside_office_hours")
			return
		}
	}
}

func (c *compiler) match(out []condition, at string, m *Match) []condition {
	before := len(out)
	lists := []struct {
		field field
		list  []string
		check func(string) (problem, fix string)
	}{
		// The cheapest first, which is also what most rules have.
		{fieldMethods, m.Methods, checkMethod},
		{fieldSubjects, m.Subjects, nil},
		{fieldGroups, m.Groups, nil},
		{fieldIssuers, m.Issuers, nil},
		{fieldACR, m.ACR, nil},
		{fieldAMR, m.AMR, nil},
		{fieldEmails, m.Emails, checkEmail},
		{fieldDomains, m.EmailDomains, checkDomain},
		{fieldScopes, m.Scopes, checkScope},
	}
	for _, l := range lists {
		from := m.From[l.field.String()]
		if l.list == nil && from == nil {
			continue
		}
		c.words(at, l.field.String(), l.list, from != nil, l.check)
		words := l.list
		if l.field == fieldEmails || l.field == fieldDomains {
			words = foldedList(words)
		}
		out = append(out, condition{field: l.field, words: newWords(words), values: from})
	}
	out = c.places(out, at, m)
	if m.MaxAge < 0 {
		c.fault(at, ".max_age", "is negative", "write how old a sign-in may be, such as 1h")
	}
	if m.MaxAge != 0 {
		out = append(out, condition{field: fieldMaxAge, maxAge: m.MaxAge})
	}
	out = c.claims(out, at, m.Claims)
	out = c.expressions(out, at, m.When, m.Unless)
	if len(out) == before && m.When == "" && m.Unless == "" {
		c.fault(at, "", "describes nobody in particular", "write groups, emails, email_domains, subjects, scopes, claims, when or another condition; for any signed-in user use the policy authenticated")
	}
	return out
}

// places are the conditions on where a request goes to and comes from.
func (c *compiler) places(out []condition, at string, m *Match) []condition {
	if m.Paths != nil {
		c.words(at, "paths", m.Paths, false, nil)
		one := condition{field: fieldPaths}
		for i, s := range m.Paths {
			if c.engine.paths == nil {
				c.fault(at, ".paths", "can't be judged here", "leave it out")
				break
			}
			p, problem := c.engine.paths(s)
			if problem != "" && !blank(s) {
				c.fault(at, fmt.Sprintf(".paths[%d]", i), fmt.Sprintf("%q %s", s, problem), "")
			}
			one.paths = append(one.paths, p)
		}
		out = append(out, one)
	}
	if from := m.From["cidr"]; m.CIDR != nil || from != nil {
		c.words(at, "cidr", m.CIDR, from != nil, nil)
		one := condition{field: fieldCIDR, values: from}
		for i, s := range m.CIDR {
			network, problem := parseNetwork(s)
			if problem != "" && !blank(s) {
				c.fault(at, fmt.Sprintf(".cidr[%d]", i), fmt.Sprintf("%q %s", s, problem), "")
			}
			one.nets = append(one.nets, network)
		}
		out = append(out, one)
	}
	if m.Hours != nil {
		c.words(at, "hours", m.Hours, false, nil)
		one := condition{field: fieldHours}
		for i, s := range m.Hours {
			h, problem := parseHours(s)
			if problem != "" && !blank(s) {
				c.fault(at, fmt.Sprintf(".hours[%d]", i), fmt.Sprintf("%q %s", s, problem), "")
			}
			one.hours = append(one.hours, h)
		}
		out = append(out, one)
	}
	return out
}

func (c *compiler) claims(out []condition, at string, claims []Claim) []condition {
	if claims != nil && len(claims) == 0 {
		c.fault(at, ".claims", "is an empty list", "list at least one, or leave the key out")
	}
	for i, cl := range claims {
		in := fmt.Sprintf("%s.claims[%d]", at, i)
		if blank(cl.Name) {
			c.fault(in, ".name", "is empty", "write the name of a claim, such as department")
		}
		if cl.Values == nil {
			c.fault(in, ".values", "is missing", "list at least one value")
		}
		c.words(in, "values", cl.Values, false, nil)
		out = append(out, condition{field: fieldClaim, claim: cl.Name, words: newWords(cl.Values)})
	}
	return out
}

func (c *compiler) expressions(out []condition, at, when, unless string) []condition {
	for _, e := range []struct {
		field  field
		source string
	}{{fieldWhen, when}, {fieldUnless, unless}} {
		if e.source == "" {
			continue
		}
		expr, problem, fix := c.engine.lang.compile(e.source)
		if problem != "" {
			c.fault(at, "."+e.field.String(), problem, fix)
			continue
		}
		out = append(out, condition{field: e.field, expr: expr})
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

// words refuses what is empty: an empty list never means everybody. Beside values
// from a file there need be none.
func (c *compiler) words(at, field string, list []string, optional bool, check func(string) (problem, fix string)) {
	if list != nil && len(list) == 0 && !optional {
		c.fault(at, "."+field, "is an empty list", "list at least one value, or leave the key out")
	}
	for i, s := range list {
		in := fmt.Sprintf(".%s[%d]", field, i)
		if blank(s) {
			c.fault(at, in, "is empty", "write a value or delete the entry")
		} else if check != nil {
			if problem, fix := check(s); problem != "" {
				c.fault(at, in, fmt.Sprintf("%q %s", s, problem), fix)
			}
		}
	}
}

func checkEmail(s string) (problem, fix string) {
	if !plausibleAddress(s) {
		return "is not an e-mail address", "write one whole address, such as alice@example.com"
	}
	return "", ""
}

func checkDomain(s string) (problem, fix string) {
	if !plausibleAddress("x@" + s) {
		return "is not a domain", "write what follows the @, such as example.com"
	}
	return "", ""
}

func checkScope(s string) (problem, fix string) {
	if strings.ContainsAny(s, " \t\r\n") {
		return "is more than one scope", "write one scope an entry"
	}
	return "", ""
}

// checkMethod knows that methods are case-sensitive (RFC 9110, section 9.1).
func checkMethod(s string) (problem, fix string) {
	if s != strings.ToUpper(s) || strings.ContainsAny(s, " ,") {
		return "is no method", "write one such as GET, in capitals"
	}
	return "", ""
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
