package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// wide finds conditions that fit more people than they seem to.
func (l *linter) wide(r *lintRule) {
	l.networks(r)
	l.claimNames(r)
	if !r.allow {
		return
	}
	l.mailDomains(r)
	l.nobodyInParticular(r)
	l.anyIssuer(r)
}

// Networks that are larger hold a good part of all addresses.
const (
	smallestNet4 = 8  // 10.0.0.0/8
	smallestNet6 = 16 // providers get /32 and smaller
)

func (l *linter) networks(r *lintRule) {
	why := "The condition keeps hardly anybody out."
	if !r.allow {
		why = "The rule denies nearly everybody."
	}
	look := func(at string, n netip.Prefix) {
		if large(n) {
			l.found(at, lintWholeInternet, n.String()+" is a large part of the internet", why, "write the networks that are meant, or delete the condition")
		}
	}
	for _, f := range r.facts {
		for i, n := range f.nets {
			look(fmt.Sprintf("%s[%d]", f.at, i), n)
		}
	}
	for _, n := range r.match.From["cidr"].networks() {
		look(r.matchAt+".cidr_file", n)
	}
}

func large(n netip.Prefix) bool {
	local := netip.MustParsePrefix("fc00::/7") // RFC 4193
	linkLocal := netip.MustParsePrefix("fe80::/10")
	if n.Addr().Is4() {
		return n.Bits() < smallestNet4
	}
	return n.Bits() < smallestNet6 && !covered(n, []netip.Prefix{local, linkLocal})
}

func (l *linter) mailDomains(r *lintRule) {
	for i := range r.facts {
		if f := &r.facts[i]; f.kind == factIs && f.about == aboutDomain && !f.not {
			l.publicDomains(r, f.at, f.values)
		}
	}
	if from := r.match.From["email_domains"]; from != nil {
		l.publicDomains(r, r.matchAt+".email_domains_file", from.words().list)
	}
}

// publicDomains says nothing where another condition says who is meant.
func (l *linter) publicDomains(r *lintRule, at string, domains []string) {
	named := func(f fact) bool { return f.about != aboutDomain && namesPeople(&f) && !f.namesSource() && f.at != at }
	if slices.ContainsFunc(r.facts, named) {
		return
	}
	var public []string
	for _, d := range domains {
		if publicMailDomain(d) {
			public = append(public, d)
		}
	}
	if len(public) > 0 {
		l.found(at, lintPublicMail, fmt.Sprintf("anybody can have an address of %s", several(public)),
			"The rule lets in whoever opens an account there.", "list the addresses under emails, or use groups")
	}
}

// namesPeople tells whether a fact is true of some people and not of others.
func namesPeople(f *fact) bool {
	switch f.kind {
	case factIs, factHas, factBegins:
		if f.not || f.about == aboutACR || f.about == aboutAMR {
			return false
		}
		return strings.HasPrefix(f.about, "identity.") || f.about == aboutDomain || f.about == aboutScopes || strings.HasPrefix(f.about, aboutClaim)
	case factOther:
		return !f.not && binds(f.expr)
	case factNets, factPaths, factHours, factRecent, factConst:
	}
	return false
}

// binds tells whether an expression is true of some people alone, whatever they ask
// for.
func binds(e celast.Expr) bool {
	if e.Kind() == celast.CallKind {
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.LogicalAnd:
			return binds(args[0]) || binds(args[1])
		case operators.LogicalOr:
			return binds(args[0]) && binds(args[1])
		case operators.Conditional:
			return binds(args[1]) && binds(args[2]) || binds(args[0]) && (binds(args[1]) || binds(args[2]))
		}
	}
	return slices.ContainsFunc(freeNames(e), isWho)
}

// isWho tells names that say who somebody is from those that say how he signed in.
func isWho(name string) bool {
	return strings.HasPrefix(name, "identity.") && name != aboutACR && name != aboutAMR && name != "identity.auth_time"
}

// nobodyInParticular finds allow rules that fit every user who is signed in, or
// everybody at a provider that takes everybody.
func (l *linter) nobodyInParticular(r *lintRule) {
	if l.policy.Authorizer != nil || slices.ContainsFunc(r.facts, func(f fact) bool { return namesPeople(&f) && !f.namesSource() }) {
		return
	}
	if why, _ := contradiction(r.facts); why != "" {
		return
	}
	half := slices.IndexFunc(r.facts, func(f fact) bool {
		return f.kind == factOther && !f.not && slices.ContainsFunc(freeNames(f.expr), isWho)
	})
	if half >= 0 {
		l.found(r.facts[half].at, lintHalfIdentity, "one side of || (or of ?:) says nothing about who the user is",
			"Where that side holds, any signed-in user is let in.", "make a rule of its own of each side, or put && between them")
		return
	}
	const fix = "add groups, email_domains or another condition on the user, unless just that is meant"
	if public := l.joins(r); len(public) > 0 {
		l.foundAs(r.matchAt, lintAnyoneSignedIn, LintWarning, "says nothing about who the user is",
			fmt.Sprintf("It lets in whoever has an account at %s, which anybody can open.", several(public)), fix)
		return
	}
	if slices.ContainsFunc(r.facts, func(f fact) bool { return f.namesSource() }) {
		return
	}
	severity := LintNote
	denies := func(o lintRule) bool { return !o.allow && o.countsWith(r) }
	if !slices.ContainsFunc(r.facts, narrows) && len(r.require) == 0 && !slices.ContainsFunc(l.rules, denies) {
		severity = LintWarning
	}
	l.foundAs(r.matchAt, lintAnyoneSignedIn, severity, "says nothing about who the user is", "It lets in any signed-in user for these requests.", fix)
}

// namesSource tells whether a fact is about who vouches for the user, and not about
// the user.
func (f *fact) namesSource() bool {
	return f.kind == factIs && (f.about == aboutIssuer || f.about == aboutProvider || f.about == aboutCredential)
}

// joins are the providers by which anybody who likes can come to fit the rule.
func (l *linter) joins(r *lintRule) []string {
	var public []string
	for i := range l.uses {
		for _, p := range l.uses[i].Public {
			user := []fact{{kind: factIs, about: aboutProvider, values: []string{p.Name}}, {kind: factIs, about: aboutCredential, values: []string{"session"}}}
			if p.Issuer != "" {
				user = append(user, fact{kind: factIs, about: aboutIssuer, values: []string{p.Issuer}})
			}
			if why, _ := contradiction(slices.Concat(user, r.facts)); why == "" && !slices.Contains(public, p.Title) {
				public = append(public, p.Title)
			}
		}
	}
	return public
}

// narrows tells conditions that whoever sends the request can't choose from the rest.
func narrows(f fact) bool {
	switch f.kind {
	case factPaths, factNets, factHours, factRecent:
		return true
	case factIs, factHas, factBegins:
		return f.about == aboutMethod || f.about == aboutPath || f.about == aboutRoute || f.about == aboutACR || f.about == aboutAMR
	case factOther:
		return slices.ContainsFunc(freeNames(f.expr), func(n string) bool { return n != nameHeaders && n != nameQuery && n != aboutHost })
	case factConst:
	}
	return false
}

// anyIssuer finds names that mean one person or group at one issuer and another
// one at the next.
func (l *linter) anyIssuer(r *lintRule) {
	i := slices.IndexFunc(l.uses, func(u Use) bool { return len(u.Sources) > 1 })
	if i < 0 || verified(r.facts) {
		return
	}
	var at string
	for j := range r.facts {
		f := &r.facts[j]
		names := []string{f.about}
		if f.kind == factOther {
			names = freeNames(f.expr)
		}
		for _, name := range names {
			switch {
			case f.not:
			case name == aboutIssuer || name == aboutProvider:
				return
			case at == "" && (name == aboutSubject || name == aboutGroups || name == aboutScopes || name == "identity.scopes" || strings.HasPrefix(name, nameClaims) || strings.HasPrefix(name, aboutClaim)):
				at = f.at
			}
		}
	}
	if at == "" {
		return
	}
	l.found(at, lintAnyIssuer, fmt.Sprintf("counts whoever vouches for it: the route %q takes users of %s", l.uses[i].Route, several(l.uses[i].Sources)),
		"Whoever gives out names, groups or claims at one of them can let people in who are meant at none.", "add issuers: [...] with the one that is meant, or make a rule for each")
}
