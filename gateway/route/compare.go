package route

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/policy"
)

var _ policy.Coverer = (*pattern)(nil)

// Covers implements policy.Coverer: every canonical path that the other pattern fits,
// this one fits as well. Of two regular expressions it is sure only where they are
// written alike.
func (p *pattern) Covers(other policy.Path) bool {
	o, ok := other.(*pattern)
	switch {
	case !ok:
		return false
	case p.String() == o.String() || p.kind == prefixPath && p.text == "/":
		return true
	case o.kind == exactPath, o.kind == prefixPath && p.kind == prefixPath:
		return p.Fits(o.text)
	case o.kind == regexpPath && p.kind == prefixPath:
		return strings.HasPrefix(o.literal, p.text+"/")
	}
	return false
}

// Disjoint implements policy.Coverer: no canonical path fits both. Of regular
// expressions it knows what every path of theirs begins with.
func (p *pattern) Disjoint(other policy.Path) bool {
	o, ok := other.(*pattern)
	switch {
	case !ok:
		return false
	case p.kind == exactPath:
		return !o.Fits(p.text)
	case o.kind == exactPath:
		return !p.Fits(o.text)
	case p.kind == prefixPath && o.kind == prefixPath:
		return !p.Fits(o.text) && !o.Fits(p.text)
	case p.kind == regexpPath && o.kind == regexpPath:
		return !strings.HasPrefix(p.literal, o.literal) && !strings.HasPrefix(o.literal, p.literal)
	case p.kind == regexpPath:
		return o.Disjoint(p)
	}
	below := strings.TrimSuffix(p.text, "/") + "/"
	return !strings.HasPrefix(below, o.literal) && !strings.HasPrefix(o.literal, below)
}

// Reaches reports whether a request whose path p fits can find the route, as far as
// the patterns tell: another route may be there for all such paths, on every host.
func (t *Table) Reaches(rt *Route, p policy.Path) bool {
	want, ok := p.(*pattern)
	own, known := t.scope[rt]
	if !ok || !known {
		return true
	}
	for _, h := range own.hosts {
		if slices.ContainsFunc(own.patterns, func(o pattern) bool { return !o.Disjoint(want) && !t.taken(h, &o, want) }) {
			return true
		}
	}
	return false
}

// taken reports whether on a host another pattern comes before this one for every
// path that want fits. Whose it is does not matter: the path decides before the
// method does.
func (t *Table) taken(h *hostTable, own, want *pattern) bool {
	for _, s := range t.scope {
		if slices.Contains(s.hosts, h) && slices.ContainsFunc(s.patterns, func(o pattern) bool { return comparePatterns(&o, own) < 0 && o.Covers(want) }) {
			return true
		}
	}
	return false
}
