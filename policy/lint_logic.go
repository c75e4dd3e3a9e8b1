package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
)

// Coverer is a Path that can compare itself with others. Both answers hold for every
// path; where a pattern can't be sure, Covers is false and Disjoint is too.
type Coverer interface {
	Path
	Covers(Path) bool   // whatever the other fits, this one does
	Disjoint(Path) bool // nothing fits both
}

// contradiction says why facts can't all be true, or "". Then at is where the last
// of them is written. What it does not know may still be one.
func contradiction(facts []fact) (why, at string) {
	for i := range facts {
		f := &facts[i]
		if f.kind == factConst && f.not || (f.kind == factIs || f.kind == factHas) && !f.not && !f.open && len(f.values) == 0 {
			return f.wants + " never holds", f.at
		}
	}
	seen := map[string]bool{}
	for i := range facts {
		f := &facts[i]
		if f.kind != factIs || f.not || f.open || seen[f.about] {
			continue
		}
		seen[f.about] = true
		if can, known, _ := texts(facts, f.about); known && len(can) == 0 {
			return f.about + " would have to be " + ways(facts, f.about) + " at once", last(facts, f.about)
		}
	}
	if why, at := emailContradiction(facts); why != "" {
		return why, at
	}
	for i := range facts {
		for j := range facts {
			if why := facts[i].excludes(&facts[j]); why != "" {
				return why, facts[max(i, j)].at
			}
		}
	}
	return "", ""
}

// excludes says why two facts can't both be true, or "".
func (f *fact) excludes(o *fact) string {
	if f.about != o.about || f.kind != o.kind {
		return ""
	}
	switch f.kind {
	case factHas:
		if !f.not && o.not && !f.open && subset(f.values, o.values) {
			return fmt.Sprintf("%s can't have one of %s and none of %s", f.about, several(f.values), several(o.values))
		}
	case factBegins:
		switch {
		case !f.not && !o.not && !strings.HasPrefix(f.prefix, o.prefix) && !strings.HasPrefix(o.prefix, f.prefix):
			return fmt.Sprintf("%s can't begin with both %q and %q", f.about, f.prefix, o.prefix)
		case !f.not && o.not && strings.HasPrefix(f.prefix, o.prefix):
			return fmt.Sprintf("%s can't begin with %q and not with %q", f.about, f.prefix, o.prefix)
		}
	case factPaths:
		if disjoint(f.paths, o.paths) {
			return fmt.Sprintf("no path fits both %s and %s", pathTexts(f.paths), pathTexts(o.paths))
		}
	case factOther:
		if f.not != o.not && celast.EquivExpr(f.expr, o.expr) {
			return "an expression can't be both true and false: " + short(f.wants)
		}
	case factIs, factNets, factHours, factRecent, factConst:
	}
	return ""
}

// emailContradiction knows that the address, its domain and whether it is verified
// are one thing.
func emailContradiction(facts []fact) (why, at string) {
	emails, someEmails, _ := texts(facts, aboutEmail)
	domains, someDomains, _ := texts(facts, aboutDomain)
	outside := func(address string) bool { return !slices.Contains(domains, domainOf(address)) }
	if someEmails && someDomains && !slices.ContainsFunc(emails, func(a string) bool { return !outside(a) }) {
		return fmt.Sprintf("none of the addresses %s is of the domain %s, and both have to fit", several(emails), several(domains)), last(facts, aboutDomain)
	}
	flags, someFlags, _ := texts(facts, aboutVerified)
	if someFlags && !slices.Contains(flags, "true") && verified(facts) {
		return "an address that is not verified is compared with nothing", last(facts, aboutVerified)
	}
	return "", ""
}

// follows reports whether want is true wherever all facts are. Where one of them
// can't be evaluated, want is true, or can't be either.
func follows(want *fact, facts []fact) bool {
	switch want.kind {
	case factConst:
		return !want.not
	case factIs:
		return textFollows(want, facts)
	case factHas, factBegins, factNets, factPaths, factHours, factRecent, factOther:
	}
	if want.kind == factPaths || want.kind == factBegins {
		can, known, _ := texts(facts, want.about)
		fits := func(s string) bool { return strings.HasPrefix(s, want.prefix) != want.not }
		if want.kind == factPaths {
			fits = want.fitsPath
		}
		if known && !slices.ContainsFunc(can, func(s string) bool { return !fits(s) }) {
			return true
		}
	}
	return slices.ContainsFunc(facts, func(f fact) bool { return f.kind == want.kind && f.about == want.about && want.weakerThan(&f) })
}

// weakerThan compares two facts of one kind.
func (f *fact) weakerThan(o *fact) bool {
	switch f.kind {
	case factHas:
		if f.not != o.not {
			return false
		}
		if f.not {
			return subset(f.values, o.values)
		}
		return !o.open && subset(o.values, f.values)
	case factBegins:
		switch {
		case f.not != o.not:
			return f.not && !strings.HasPrefix(o.prefix, f.prefix) && !strings.HasPrefix(f.prefix, o.prefix)
		case f.not:
			return strings.HasPrefix(f.prefix, o.prefix)
		}
		return strings.HasPrefix(o.prefix, f.prefix)
	case factNets:
		return !o.open && !slices.ContainsFunc(o.nets, func(n netip.Prefix) bool { return !covered(n, f.nets) })
	case factPaths:
		return !slices.ContainsFunc(o.paths, func(p Path) bool { return !coveredPath(p, f.paths) })
	case factHours:
		return !slices.ContainsFunc(o.hours, func(h hours) bool { return !coveredHours(h, f.hours) })
	case factRecent:
		return o.age <= f.age
	case factOther:
		return f.not == o.not && celast.EquivExpr(f.expr, o.expr)
	case factIs, factConst:
	}
	return false
}

func textFollows(want *fact, facts []fact) bool {
	can, known, never := texts(facts, want.about)
	if want.not {
		return subset(want.values, never) || known && !slices.ContainsFunc(can, func(s string) bool { return slices.Contains(want.values, s) })
	}
	if known && subset(can, want.values) {
		return true
	}
	switch want.about {
	case aboutDomain:
		emails, some, _ := texts(facts, aboutEmail)
		return some && !slices.ContainsFunc(emails, func(a string) bool { return !slices.Contains(want.values, domainOf(a)) })
	case aboutVerified:
		return slices.Contains(want.values, "true") && verified(facts)
	}
	return false
}

// allFollow reports whether every one of wants follows of facts.
func allFollow(wants, facts []fact) bool {
	return !slices.ContainsFunc(wants, func(w fact) bool { return !follows(&w, facts) })
}

func subset(a, b []string) bool {
	if len(b) > scanUpTo {
		set := newWords(b).set
		return !slices.ContainsFunc(a, func(s string) bool { _, ok := set[s]; return !ok })
	}
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

// covered tells whether one of networks holds all of n.
func covered(n netip.Prefix, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(o netip.Prefix) bool { return o.Bits() <= n.Bits() && o.Contains(n.Addr()) })
}

func coveredPath(p Path, by []Path) bool {
	return slices.ContainsFunc(by, func(o Path) bool {
		c, ok := o.(Coverer)
		return o.String() == p.String() || ok && c.Covers(p)
	})
}

func disjoint(a, b []Path) bool {
	for _, one := range a {
		c, ok := one.(Coverer)
		if !ok || slices.ContainsFunc(b, func(o Path) bool { return !c.Disjoint(o) }) {
			return false
		}
	}
	return true
}

// coveredHours compares by the minute of the week, on the clocks of one place.
func coveredHours(h hours, by []hours) bool {
	return h.everyMinute(func(day, minute int) bool {
		return !h.includes(day, minute) || slices.ContainsFunc(by, func(o hours) bool {
			return o.zone.String() == h.zone.String() && o.includes(day, minute)
		})
	})
}

func (h *hours) everyMinute(holds func(day, minute int) bool) bool {
	for day := range 7 {
		for minute := range 24 * 60 {
			if !holds(day, minute) {
				return false
			}
		}
	}
	return true
}

// ways lists what the facts say of one text.
func ways(facts []fact, about string) string {
	var parts []string
	for i := range facts {
		if f := &facts[i]; f.about == about && !f.open {
			switch {
			case f.kind == factIs && f.not:
				parts = append(parts, "not "+several(f.values))
			case f.kind == factIs:
				parts = append(parts, strings.Join(f.values[:min(len(f.values), 5)], " or "))
			case f.kind == factBegins && f.not:
				parts = append(parts, fmt.Sprintf("without %q in front", f.prefix))
			case f.kind == factBegins:
				parts = append(parts, fmt.Sprintf("something that begins with %q", f.prefix))
			case f.kind == factPaths:
				parts = append(parts, "a path of "+pathTexts(f.paths))
			}
		}
	}
	return strings.Join(parts, ", and ")
}

// last is where the last fact about something is written.
func last(facts []fact, about string) string {
	for _, f := range slices.Backward(facts) {
		if f.about == about && f.at != "" {
			return f.at
		}
	}
	return ""
}

func pathTexts(paths []Path) string {
	list := make([]string, len(paths))
	for i, p := range paths {
		list[i] = p.String()
	}
	return several(list)
}
