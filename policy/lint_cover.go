package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// cover finds the rules that others make pointless. A rule that was found to be so
// covers nothing any more, so that all of them can go at once.
func (l *linter) cover() {
	for i := range l.rules {
		r := &l.rules[i]
		if why, _ := contradiction(r.facts); why != "" {
			r.dead = true
		}
	}
	// Later rules first: of two that are alike the first one stays.
	for _, r := range slices.Backward(l.rules) {
		if r := &l.rules[r.index]; !r.dead && !r.allow {
			l.rule = r
			l.coveredDeny(r)
		}
	}
	for _, r := range slices.Backward(l.rules) {
		if r := &l.rules[r.index]; !r.dead && r.allow {
			l.rule = r
			l.deniedAnyway(r)
		}
	}
	for _, single := range []bool{true, false} {
		for _, r := range slices.Backward(l.rules) {
			if r := &l.rules[r.index]; !r.dead && r.allow {
				l.rule = r
				l.coveredAllow(r, single)
			}
		}
	}
	l.rule = nil
}

// coveredDeny finds a deny rule that denies nobody whom others would not. One that
// comes first has a point where it gives a reason or says something of its own.
func (l *linter) coveredDeny(r *lintRule) {
	by := l.covers(r, r.facts, func(w *lintRule) bool { return !w.allow })
	if len(by) == 0 {
		return
	}
	speaks := slices.ContainsFunc(by, func(w *lintRule) bool { return w.index > r.index })
	own := r.rule.Reason != "" || r.rule.Message != ""
	if own && speaks {
		return
	}
	r.dead = true
	why := "Without it the same requests would be denied."
	if own {
		why = "Its reason and message are never given: of the deny rules that fit, the first one speaks."
	}
	l.found(r.at, lintRedundant, fmt.Sprintf("denies nobody whom %s does not deny", ruleNames(by)), why, "delete it, or put it first to give a reason or a message of its own")
}

// deniedAnyway finds an allow rule that allows nothing.
func (l *linter) deniedAnyway(r *lintRule) {
	by := l.covers(r, r.facts, func(w *lintRule) bool { return !w.allow })
	if len(by) == 0 {
		return
	}
	r.dead = true
	if len(by) == 1 && allFollow(r.facts, by[0].facts) {
		l.found(r.at, lintContradiction, fmt.Sprintf("allows exactly what %s denies", ruleNames(by)),
			"A deny rule that fits wins over every allow rule, so that this one allows nothing.", "delete one of the two, or tell them apart by another condition")
		return
	}
	l.found(r.at, lintShadowedByDeny, fmt.Sprintf("allows nobody: whomever it fits, %s denies", ruleNames(by)),
		"A deny rule that fits wins over every allow rule, wherever it is written.", "narrow the deny rule, such as with unless, or delete this one")
}

// coveredAllow finds an allow rule without which the same people come in, and one
// whose requirement they never have to meet.
func (l *linter) coveredAllow(r *lintRule, single bool) {
	met := slices.Concat(r.facts, r.asks)
	asksLess := func(w *lintRule) bool { return w.allow && allFollow(w.asks, met) }
	weaker := func(w *lintRule) bool {
		return !allFollow(r.require, slices.Concat(w.asks, r.facts))
	}
	by := l.covers(r, r.facts, asksLess)
	if len(by) > 1 && single {
		return
	}
	switch {
	case len(by) == 0:
		less := func(w *lintRule) bool { return asksLess(w) && weaker(w) }
		if !single && len(r.require) > 0 && !l.partlyAsked(r, less) {
			l.askedElsewhere(r, less)
		}
	case len(r.require) > 0 && slices.ContainsFunc(by, weaker):
		r.dead = true
		l.found(r.at+".require", lintRequireNotAsked, fmt.Sprintf("nobody is ever asked for it (%s): whomever this rule fits, %s lets in without", r.rule.Require.String(), ruleNames(by)),
			"Of the allow rules that fit, one whose requirement is met is enough.", "put the requirement into the other rule as well, or exclude these people there with unless")
	default:
		r.dead = true
		l.found(r.at, lintRedundant, fmt.Sprintf("lets in nobody whom %s does not let in", ruleNames(by)),
			"Without it the same requests would be allowed.", "delete it; if it was to restrict something, write it as a deny rule")
	}
}

// partlyAsked finds a requirement that some of those whom it is for don't have to
// meet.
func (l *linter) partlyAsked(r *lintRule, weaker func(*lintRule) bool) bool {
	for i := range r.facts {
		var free []string
		var by []*lintRule
		for _, part := range r.facts[i].parts() {
			if w := l.covering(r, withFact(r.facts, i, part), weaker); w != nil {
				free = append(free, part.text())
				by = addRule(by, w)
			}
		}
		if len(free) > 0 {
			l.found(r.at+".require", lintRequireNotAsked,
				fmt.Sprintf("is not asked of everybody (%s): where %s is %s, %s lets in without", r.rule.Require.String(), r.facts[i].wants, several(free), ruleNames(by)),
				"Of the allow rules that fit, one whose requirement is met is enough.", "put the requirement into the other rule as well, or take these values out of this one")
			return true
		}
	}
	return false
}

// askedElsewhere finds rules for the same requests that let others in without: who
// is one of both is not asked.
func (l *linter) askedElsewhere(r *lintRule, weaker func(*lintRule) bool) {
	for i := range l.rules {
		w := &l.rules[i]
		if w.index == r.index || w.dead || !w.countsWith(r) || !weaker(w) {
			continue
		}
		request := slices.DeleteFunc(slices.Clone(w.facts), func(f fact) bool { return namesPeople(&f) })
		if why, _ := contradiction(slices.Concat(r.facts, w.facts)); why == "" && allFollow(request, r.facts) {
			l.found(r.at+".require", lintRequireSkipped, fmt.Sprintf("is not asked of those whom %s fits as well", ruleNames([]*lintRule{w})),
				"Of the allow rules that fit, one whose requirement is met is enough.", "put the requirement into the other rule as well, or at the route, unless just that is meant")
			return
		}
	}
}

// covers returns the rules one of which fits wherever facts are true, or none. They
// are one rule, or one for each of the values that a list has.
func (l *linter) covers(r *lintRule, facts []fact, may func(*lintRule) bool) []*lintRule {
	if w := l.covering(r, facts, may); w != nil {
		return []*lintRule{w}
	}
	for i := range facts {
		var by []*lintRule
		parts := facts[i].parts()
		for _, part := range parts {
			w := l.covering(r, withFact(facts, i, part), may)
			if w == nil {
				by = nil
				break
			}
			by = addRule(by, w)
		}
		if len(by) > 0 {
			return by
		}
	}
	return nil
}

func (l *linter) covering(r *lintRule, facts []fact, may func(*lintRule) bool) *lintRule {
	for i := range l.rules {
		w := &l.rules[i]
		if w.index != r.index && !w.dead && w.countsWith(r) && may(w) && allFollow(w.facts, facts) {
			return w
		}
	}
	return nil
}

// maxParts bounds the work for long lists, of which it is seldom true.
const maxParts = 64

// parts takes a fact with several values apart: one of the parts is true where it is.
func (f *fact) parts() []fact {
	if f.not || f.open {
		return nil
	}
	var out []fact
	add := func(change func(*fact)) {
		one := *f
		change(&one)
		out = append(out, one)
	}
	switch f.kind {
	case factIs, factHas:
		for _, v := range f.values {
			add(func(one *fact) { one.values = []string{v} })
		}
	case factNets:
		for _, n := range f.nets {
			add(func(one *fact) { one.nets = []netip.Prefix{n} })
		}
	case factPaths:
		for _, p := range f.paths {
			add(func(one *fact) { one.paths = []Path{p} })
		}
	case factHours:
		for _, h := range f.hours {
			add(func(one *fact) { one.hours = []hours{h} })
		}
	case factBegins, factRecent, factOther, factConst:
	}
	if len(out) < 2 || len(out) > maxParts {
		return nil
	}
	return out
}

// text is the value of a part.
func (f *fact) text() string {
	switch {
	case len(f.values) > 0:
		return f.values[0]
	case len(f.nets) > 0:
		return f.nets[0].String()
	case len(f.paths) > 0:
		return f.paths[0].String()
	case len(f.hours) > 0:
		return f.hours[0].text
	}
	return f.wants
}

func withFact(facts []fact, i int, one fact) []fact {
	out := slices.Clone(facts)
	out[i] = one
	return out
}

func addRule(list []*lintRule, r *lintRule) []*lintRule {
	if slices.Contains(list, r) {
		return list
	}
	return append(list, r)
}

func ruleNames(rules []*lintRule) string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = fmt.Sprintf("%q", r.name)
	}
	text := strings.Join(names, " and ")
	if len(rules) > 1 {
		return "together " + text
	}
	return "the rule " + text
}
