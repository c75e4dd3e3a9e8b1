package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Severity says how sure a Finding is that the policy does not do what was meant.
type Severity uint8

// The severities.
const (
	LintNote    Severity = iota // often meant so
	LintWarning                 // seldom meant so
	LintError                   // never meant so
)

// String returns the word for it.
func (s Severity) String() string {
	switch s {
	case LintError:
		return "error"
	case LintWarning:
		return "warning"
	case LintNote:
	}
	return "note"
}

// Finding is one thing about a policy that whoever reviews it should look at. Path
// is relative to the policy, such as rules[1].allow.cidr[0], and Code one of
// LintCodes.
type Finding struct {
	Policy   string
	Rule     string // as decisions name it; empty where it is about the whole policy
	Path     string
	Code     string
	Severity Severity
	Problem  string // what is so
	Why      string // what comes of it
	Fix      string
}

// LintOptions are what is known beyond the policy itself.
type LintOptions struct {
	// Uses are the places where the policy decides. Without any, it is judged by
	// itself alone.
	Uses []Use
	// Now is the time by which something is over. The zero Time stands for now.
	Now time.Time
}

// Use is a place where a policy decides: what can be said there of every request.
// An empty list says nothing.
type Use struct {
	Route       string
	Methods     []string
	Hosts       []string
	Credentials []string
	Issuers     []string
	Providers   []string

	// Sources are those who name the users: two of them can use one name for two
	// people.
	Sources []string
	// Public are the providers at which anybody can open an account.
	Public []PublicProvider

	// Require is what the route asks of everybody whom the policy allows.
	Require StepUp

	NoScopes  bool // no credential has any
	NoSignIns bool // no credential tells how, or when, somebody signed in
	NoPage    bool // nobody can be sent to sign in again

	// Reaches reports whether a request whose path the pattern fits can come here.
	// Nil stands for yes.
	Reaches func(Path) bool
}

// PublicProvider is a provider at which anybody can open an account. An empty Issuer
// says nothing.
type PublicProvider struct{ Name, Title, Issuer string }

// Lint says what is weak or wrong in a policy that compiles: rules that can't fit,
// that others make pointless, or that let in more than they seem to. Of a rule that
// is said never to fit, or to be pointless, that is certain; the findings of the
// other kinds are judgement. Nothing is found out about an external authorizer.
//
// The error is that of Compile.
func (e *Engine) Lint(p Policy, o LintOptions) ([]Finding, error) {
	if _, err := e.Compile(p); err != nil {
		return nil, err
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	lang, err := e.linted()
	if err != nil {
		return nil, err
	}
	l := &linter{engine: e, lang: lang, policy: &p, uses: o.Uses, now: o.Now}
	for i := range p.Rules {
		l.rules = append(l.rules, l.read(i))
	}
	for i := range l.rules {
		r := &l.rules[i]
		l.rule = r
		l.impossible(r)
		l.values(r)
		l.wide(r)
		l.evadable(r)
		l.signIns(r)
		l.expressions(r)
		l.here(r)
	}
	l.cover()
	l.whole()
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(ruleOf(a.Path), ruleOf(b.Path)), cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Code, b.Code))
	})
	return l.findings, nil
}

// linter collects the findings of one policy.
type linter struct {
	engine   *Engine
	lang     *language
	policy   *Policy
	uses     []Use
	now      time.Time
	rules    []lintRule
	rule     *lintRule // at which it looks
	findings []Finding
}

// lintRule is a rule with what has to be true for it to fit.
type lintRule struct {
	index   int
	name    string
	at      string // rules[1]
	matchAt string // rules[1].allow
	mode    Mode
	allow   bool
	rule    *Rule
	match   *Match
	facts   []fact // all of them
	require []fact // what its requirement asks for besides
	asks    []fact // that, and what every route asks for
	exprs   []lintExpr
	dead    bool // it never fits, or another one makes it pointless
}

// lintExpr is one expression of a rule.
type lintExpr struct {
	at     string
	unless bool
	text   *checkedText
}

// found adds a finding about the rule at hand, or about the policy where there is
// none.
func (l *linter) found(at, code string, problem, why, fix string) {
	l.foundAs(at, code, lintSeverity(code), problem, why, fix)
}

// foundAs is found with another severity than usual. What was said is not said again.
func (l *linter) foundAs(at, code string, severity Severity, problem, why, fix string) {
	f := Finding{Policy: l.policy.Name, Path: at, Code: code, Severity: severity, Problem: problem, Why: why, Fix: fix}
	if l.rule != nil {
		f.Rule = l.rule.name
	}
	same := func(o Finding) bool { return o.Path == at && o.Code == code && o.Problem == problem }
	if !slices.ContainsFunc(l.findings, same) {
		l.findings = append(l.findings, f)
	}
}

// read turns a rule into facts.
func (l *linter) read(i int) lintRule {
	r := &l.policy.Rules[i]
	at := fmt.Sprintf("rules[%d]", i)
	out := lintRule{index: i, name: cmp.Or(r.Name, at), at: at, mode: r.Mode, allow: r.Allow != nil, rule: r, match: r.Deny, matchAt: at + ".deny"}
	if out.allow {
		out.match, out.matchAt = r.Allow, at+".allow"
	}
	out.facts = matchFacts(l.engine, out.matchAt, out.match)
	for _, e := range []struct {
		at, source string
		unless     bool
	}{
		{at + ".when", r.When, false},
		{at + ".unless", r.Unless, true},
		{out.matchAt + ".when", out.match.When, false},
		{out.matchAt + ".unless", out.match.Unless, true},
	} {
		if e.source == "" {
			continue
		}
		text, ok := l.lang.checked(e.source)
		if !ok {
			continue // Compile would have said so
		}
		out.exprs = append(out.exprs, lintExpr{at: e.at, unless: e.unless, text: text})
		out.facts = append(out.facts, text.facts(e.at, text.root, e.unless)...)
	}
	out.require = requireFacts(at+".require", r.Require)
	out.asks = slices.Concat(out.require, l.routesAsk())
	return out
}

// routesAsk is what is asked for wherever the policy is used.
func (l *linter) routesAsk() []fact {
	if len(l.uses) == 0 {
		return nil
	}
	return slices.DeleteFunc(requireFacts("", l.uses[0].Require), func(f fact) bool {
		return slices.ContainsFunc(l.uses, func(u Use) bool { return !follows(&f, requireFacts("", u.Require)) })
	})
}

// countsWith tells whether the rule counts wherever other does.
func (r *lintRule) countsWith(other *lintRule) bool { return r.mode == Enforce || other.mode == Shadow }

// ruleOf is the place of a rule, by which findings are put in order; those of the
// whole policy come first.
func ruleOf(path string) int {
	var i int
	if _, err := fmt.Sscanf(path, "rules[%d]", &i); err != nil {
		return -1
	}
	return i
}

// several lists a few values.
func several(list []string) string {
	const most = 5
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}
