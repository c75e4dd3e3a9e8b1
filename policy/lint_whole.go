package policy

import (
	"fmt"
	"slices"
	"time"

	celast "cel.dev/cel-go/common/ast"
)

// evadable finds deny rules that those whom they are for can get around, and those
// that are for less than they seem to.
func (l *linter) evadable(r *lintRule) {
	if r.allow {
		return
	}
	l.methodsLeftOut(r)
	if l.addressNeeded() {
		return
	}
	for i := range r.facts {
		f := &r.facts[i]
		byAddress := f.kind == factIs && (f.about == aboutEmail && !slices.Contains(f.values, "") || f.about == aboutDomain || f.about == aboutExactEmail) && !f.not ||
			f.kind == factOther && !f.not && comparesAddress(f.expr)
		if byAddress {
			l.found(f.at, lintEvadableDeny, "denies by e-mail address, and an address that is not verified never matches",
				"Whoever has no verified address is not denied.", "deny the subjects, or deny those without a verified address as well: {claims: [{name: email_verified, values: [\"false\"]}]}")
			return
		}
	}
}

// comparesAddress is true of comparisons of a part of the address.
func comparesAddress(e celast.Expr) bool {
	return e.Kind() == celast.CallKind && slices.Contains([]string{"startsWith", "endsWith", "contains", "matches"}, e.AsCall().FunctionName()) &&
		slices.Contains(freeNames(e), aboutEmail)
}

// addressNeeded tells whether nobody without a verified address comes in anyway.
func (l *linter) addressNeeded() bool {
	open := slices.ContainsFunc(l.rules, func(r lintRule) bool { return r.allow && r.mode == Enforce && !verified(r.facts) })
	unverifiedOut := slices.ContainsFunc(l.rules, func(r lintRule) bool {
		return !r.allow && r.mode == Enforce && len(r.facts) == 1 &&
			(follows(&r.facts[0], []fact{{kind: factIs, about: aboutVerified, values: []string{"false"}}}) ||
				follows(&r.facts[0], []fact{{kind: factIs, about: aboutEmail, values: []string{""}}}))
	})
	return !open || unverifiedOut
}

// methodsLeftOut finds deny rules for some of the methods that do one kind of thing.
func (l *linter) methodsLeftOut(r *lintRule) {
	can, known, _ := texts(r.facts, aboutMethod)
	if !known {
		return
	}
	has := func(m string) bool { return slices.Contains(can, m) }
	var left []string
	writing := []string{"POST", "PUT", "PATCH", "DELETE"}
	for _, m := range writing {
		if !has(m) {
			left = append(left, m)
		}
	}
	switch {
	case has("GET") && !has("HEAD"):
		left = []string{"HEAD"}
	case len(left) == 0 || len(left) >= len(writing)-1:
		return
	}
	l.found(last(r.facts, aboutMethod), lintMethodsLeftOut, fmt.Sprintf("denies %s and not %s", several(can), several(left)),
		"Applications often do the same for them.", "add them, or deny unless the method is one of those that are allowed")
}

// signIns looks at what a rule asks of the sign-in.
func (l *linter) signIns(r *lintRule) {
	if why, _ := contradiction(r.facts); why == "" && len(r.require) > 0 {
		if why, _ := contradiction(slices.Concat(r.facts, r.require)); why != "" {
			l.found(r.at+".require", lintContradiction, "nobody can meet it: "+why,
				"Whom the rule fits does not meet the requirement, and after the sign-in that it asks for the rule no longer fits.", "say it once, under require")
		}
	}
	for _, f := range r.facts {
		if r.allow && !f.not && (f.wants == "acr" || f.wants == "amr" || f.wants == "max_age") {
			l.found(f.at, lintRequireInMatch, "describes the sign-in, and asks for none", "Whoever has signed in otherwise is denied, and never asked to sign in again.", "move it to require beside allow")
		}
	}
	short := func(f fact) bool { return f.kind == factRecent && f.age < time.Minute }
	for _, f := range slices.Concat(r.facts, r.require) {
		if short(f) {
			l.found(f.at, lintMaxAgeShort, ShortDuration(f.age)+" is less than clocks of two machines may differ by", "People may be asked to sign in again right after they have.", "write 1m or more")
		}
	}
}

// here finds what no request can be where the policy is used.
func (l *linter) here(r *lintRule) {
	if len(l.uses) == 0 {
		return
	}
	if why, _ := contradiction(slices.Concat(r.facts, r.require)); why != "" {
		return
	}
	var whys []string
	for i := range l.uses {
		why := l.uses[i].rulesOut(r)
		if why == "" {
			whys = nil
			break
		}
		if !slices.Contains(whys, why) {
			whys = append(whys, why)
		}
	}
	if len(whys) > 0 {
		l.found(r.at, lintUnreachable, "never fits where the policy is used: "+several(whys), "The rule does nothing.", "correct the rule, or use the policy on a route that it is for")
		return
	}
	l.pathsHere(r)
	if len(r.require) > 0 && !slices.ContainsFunc(l.uses, func(u Use) bool { return !u.NoPage }) {
		l.found(r.at+".require", lintNoPage, "asks for a sign-in where no sessions are taken",
			"The client gets 401 and has to come with a token of another sign-in; nobody is sent to a page.", "make sure that tokens carry acr, amr and auth_time, or add session to auth")
	}
}

// pathsHere finds the patterns that no request of these routes can have.
func (l *linter) pathsHere(r *lintRule) {
	for i := range r.facts {
		f := &r.facts[i]
		if f.kind != factPaths || len(f.paths) < 2 {
			continue
		}
		for j, p := range f.paths {
			if !slices.ContainsFunc(l.uses, func(u Use) bool { return u.Reaches == nil || u.Reaches(p) }) {
				l.found(fmt.Sprintf("%s[%d]", f.at, j), lintUnreachable, fmt.Sprintf("no request by %s comes to a route with this policy", p),
					"The value does nothing, and another route decides about these paths.", "delete it, or write it into the policy of the route that these paths go to")
			}
		}
	}
}

// rulesOut says why a rule never fits at a route, or "".
func (u *Use) rulesOut(r *lintRule) string {
	if why, _ := contradiction(slices.Concat(u.facts(), r.facts)); why != "" {
		return why
	}
	if asked := slices.Concat(r.facts, r.require, requireFacts("", u.Require)); r.allow {
		if why, _ := contradiction(asked); why != "" {
			return fmt.Sprintf("nobody can meet what it and the route %q require: %s", u.Route, why)
		}
	}
	for _, f := range slices.Concat(r.facts, r.require) {
		switch {
		case f.not || slices.Contains(f.values, ""):
		case f.kind == factPaths && u.Reaches != nil && !slices.ContainsFunc(f.paths, u.Reaches):
			return fmt.Sprintf("no request by %s comes to the route %q", pathTexts(f.paths), u.Route)
		case u.NoScopes && (f.about == aboutScopes || f.about == "identity.scopes"):
			return fmt.Sprintf("the route %q takes no credential that has scopes", u.Route)
		case u.NoSignIns && (f.about == aboutACR || f.about == aboutAMR || f.kind == factRecent):
			return fmt.Sprintf("no credential of the route %q tells how, or when, somebody signed in", u.Route)
		}
	}
	return ""
}

// whole looks at the policy as a whole.
func (l *linter) whole() {
	l.rule = nil
	allows := func(r lintRule) bool {
		if !r.allow || r.mode == Shadow && l.policy.Mode == Enforce {
			return false
		}
		why, _ := contradiction(r.facts)
		denied := func(f Finding) bool {
			return f.Path == r.at && (f.Code == lintShadowedByDeny || f.Code == lintContradiction)
		}
		return why == "" && !slices.ContainsFunc(l.findings, denied)
	}
	if len(l.rules) > 0 && !slices.ContainsFunc(l.rules, allows) {
		problem := "no rule allows anything"
		if slices.ContainsFunc(l.rules, func(r lintRule) bool { return r.allow }) {
			problem = "no rule that allows something can fit, or counts"
		}
		l.found("rules", lintAllowsNobody, problem, "Where no allow rule fits, access is denied: nobody comes in.", "add a rule with allow; for any signed-in user but those of the deny rules, write allow: {when: 'identity.subject != \"\"'}")
	}
	if l.policy.Mode != Shadow {
		return
	}
	l.found("mode", lintNotEnforced, "is judged and not enforced", "Every signed-in user passes.", "write mode: enforce once what it would have decided is right")
	for i := range l.rules {
		if r := &l.rules[i]; r.mode == Shadow {
			l.rule = r
			l.found(r.at+".mode", lintShadowInShadow, "is a trial within a trial", "The policy is judged with this rule now, and without it once it is enforced: what it tells now is not what will be.",
				"delete mode here, or mode of the policy")
		}
	}
	l.rule = nil
}
