package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// impossible finds a rule that never fits.
func (l *linter) impossible(r *lintRule) {
	why, at := contradiction(r.facts)
	if why == "" {
		return
	}
	what, fix := "The rule allows nobody.", "correct the condition, or delete the rule"
	if !r.allow {
		what = "The rule denies nobody but those for whom it can't be evaluated."
		if len(r.exprs) == 0 {
			what = "The rule denies nobody."
		}
	}
	l.found(at, lintNeverMatches, "can never fit: "+why, what+" Every condition of a rule has to fit, and the rule's own when and unless too.", fix)
}

// values finds values that do nothing.
func (l *linter) values(r *lintRule) {
	never, _ := contradiction(r.facts)
	for i := range r.facts {
		f := &r.facts[i]
		if never == "" {
			l.deadValues(r, f)
		}
		if why := f.alwaysTrue(); why != "" {
			l.found(f.at, lintAlwaysTrue, why, "The rule is as wide as it would be without this condition.", "delete the condition, or correct it")
		}
		l.redundantValues(f)
	}
	l.files(r)
	for i, c := range r.match.Claims {
		if c.Name != "email_verified" {
			continue
		}
		for j, v := range c.Values {
			if v != "true" && v != "false" {
				l.found(fmt.Sprintf("%s.claims[%d].values[%d]", r.matchAt, i, j), lintImpossibleValue, fmt.Sprintf("email_verified is never %q", v),
					"It is true or false, whatever the provider sends.", "write true or false")
			}
		}
	}
}

// deadValues finds values of a list that another condition rules out.
func (l *linter) deadValues(r *lintRule, f *fact) {
	if f.kind != factIs || f.not || len(f.values) < 2 && !f.open {
		return
	}
	can, known, _ := texts(r.facts, f.about)
	lost := func(v string) bool { return known && !slices.Contains(can, v) }
	other := f.about
	switch f.about {
	case aboutEmail:
		if domains, some, _ := texts(r.facts, aboutDomain); some {
			lost, other = func(v string) bool { return !slices.Contains(domains, domainOf(v)) }, aboutDomain
		}
	case aboutDomain:
		if emails, some, _ := texts(r.facts, aboutEmail); some {
			lost, other = func(v string) bool {
				return !slices.ContainsFunc(emails, func(e string) bool { return domainOf(e) == v })
			}, aboutEmail
		}
	}
	var dead []string
	for _, v := range f.values {
		if lost(v) {
			dead = append(dead, v)
		}
	}
	if len(dead) > 0 {
		l.found(f.at, lintDeadValue, fmt.Sprintf("%s never fits here: %s has to be %s as well", several(dead), other, ways(r.facts, other)),
			"Conditions of one rule all have to fit; only the values of one list are alternatives.", "make two rules of it if either was to be enough, or delete the value")
	}
}

// alwaysTrue says why a fact is one of every request, or "".
func (f *fact) alwaysTrue() string {
	switch f.kind {
	case factConst:
		if !f.not {
			return f.wants + " always holds"
		}
	case factHours:
		if (&hours{}).everyMinute(func(day, minute int) bool {
			return slices.ContainsFunc(f.hours, func(h hours) bool { return h.zone.String() == f.hours[0].zone.String() && h.includes(day, minute) })
		}) {
			return "covers the whole week"
		}
	case factPaths:
		if slices.ContainsFunc(f.paths, func(p Path) bool { return p.String() == "/" && p.Fits("/any/path") }) {
			return "covers every path"
		}
	case factBegins:
		if f.prefix == "" && !f.not || f.about == aboutPath && f.prefix == "/" && !f.not {
			return fmt.Sprintf("every %s begins with %q", f.about, f.prefix)
		}
	case factIs, factHas, factNets, factRecent, factOther:
	}
	return ""
}

// redundantValues finds values that others of the same list cover.
func (l *linter) redundantValues(f *fact) {
	var twice []string
	seen := make(map[string]bool, len(f.values))
	for _, v := range f.values {
		if seen[v] {
			twice = append(twice, v+" is listed twice")
		}
		seen[v] = true
	}
	for i, n := range f.nets {
		if j := slices.IndexFunc(f.nets, func(o netip.Prefix) bool { return o.Bits() < n.Bits() && o.Contains(n.Addr()) }); j >= 0 {
			twice = append(twice, fmt.Sprintf("%s lies within %s", n, f.nets[j]))
		} else if slices.Index(f.nets, n) < i {
			twice = append(twice, n.String()+" is listed twice")
		}
	}
	for i, p := range f.paths {
		for j, o := range f.paths {
			if i != j && coveredPath(p, f.paths[j:j+1]) && (i > j || !coveredPath(o, f.paths[i:i+1])) {
				twice = append(twice, fmt.Sprintf("%s is covered by %s", p, o))
				break
			}
		}
	}
	for i, h := range f.hours {
		for j, o := range f.hours {
			if i != j && coveredHours(h, f.hours[j:j+1]) && (i > j || !coveredHours(o, f.hours[i:i+1])) {
				twice = append(twice, fmt.Sprintf("%s lies within %s", h.text, o.text))
				break
			}
		}
	}
	if len(twice) > 0 {
		l.found(f.at, lintRedundantValue, several(twice), "It changes nothing.", "delete the value that is covered")
	}
}

// files finds files of values that hold none.
func (l *linter) files(r *lintRule) {
	for _, field := range slices.Sorted(maps.Keys(r.match.From)) {
		if r.match.From[field].Len() > 0 {
			continue
		}
		at := r.matchAt + "." + field + "_file"
		inline := slices.ContainsFunc(r.facts, func(f fact) bool { return f.wants == field && len(f.values)+len(f.nets) > 0 })
		switch {
		case inline:
			l.foundAs(at, lintEmptyFile, LintNote, "holds no value", "Only the values beside it count.", "fill the file, or delete the key")
		default:
			l.found(at, lintEmptyFile, "holds no value", "What holds nothing fits nobody: the rule never fits while the file is empty.", "fill the file")
		}
	}
}
