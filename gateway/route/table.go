package route

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Entry says which requests a Route is for.
//
// Hosts are names, addresses, or "*.example.com" for one label; an empty list
// means the default hosts. Paths has at least one pattern: a prefix on whole
// segments, "=/x" for one path, "~expr" for a regular expression that must
// match the whole path. Methods are case-sensitive; an empty list means all,
// and GET does not imply HEAD.
type Entry struct {
	Route   *Route
	Hosts   []string
	Paths   []string
	Methods []string
}

// Table finds routes. It is immutable and safe for concurrent use; a reload
// makes a new one.
type Table struct {
	exact map[string]*hostTable
	wild  map[string]*hostTable // by what follows "*."
	order []*Route
	scope map[*Route]*scope // for explanations

	defaults map[string]bool // canonical hosts, whether routes are there or not
}

// hostTable holds the patterns of one host.
type hostTable struct {
	name    string
	exact   map[string]*leaf
	root    node
	regexps []*leaf // in the order in which they are tried

	all map[string]*leaf // by pattern, while the table is built
}

// node is one segment in the tree of prefixes. Walking it costs the depth of
// the configured prefixes, however many routes there are and however long the
// path is.
type node struct {
	children map[string]*node
	leaf     *leaf
}

// leaf holds the routes of one host and one pattern, which differ in method.
type leaf struct {
	pattern pattern
	name    string // the pattern as text
	any     *Route
	methods []methodRoute
	allow   []string // every method listed, sorted; for 405
	slash   bool     // one of the routes allows encoded slashes
}

type methodRoute struct {
	method string
	route  *Route
}

func (l *leaf) route(method string) *Route {
	if l.any != nil {
		return l.any
	}
	for i := range l.methods {
		if l.methods[i].method == method {
			return l.methods[i].route
		}
	}
	return nil
}

// EntryError is one thing that is wrong in an entry. Path is relative to the route,
// such as paths[0].
type EntryError struct {
	Route   string
	Path    string
	Problem string
}

// Error names the route and the place.
func (f *EntryError) Error() string {
	return fmt.Sprintf("route %q: %s: %s", f.Route, f.Path, f.Problem)
}

// NewTable compiles entries. Their order has no meaning. The error joins one
// *EntryError for everything that is wrong; two routes that are for the same host,
// path and method are an error that names both.
func NewTable(entries []Entry, defaultHosts []string) (*Table, error) {
	b := builder{table: &Table{exact: map[string]*hostTable{}, wild: map[string]*hostTable{}, scope: map[*Route]*scope{}}, clashes: map[string]bool{}}
	b.table.defaults = map[string]bool{}
	for _, host := range defaultHosts {
		if name, ok := canonicalHost(host); ok {
			b.table.defaults[name] = true
		}
	}
	for _, e := range entries {
		b.entry(e, defaultHosts)
	}
	if err := errors.Join(b.faults...); err != nil {
		return nil, err
	}
	b.finish()
	return b.table, nil
}

// Routes returns each route once, in order of precedence: exact hosts by name,
// then wildcards; on each the exact paths, then the others from the longest
// literal text to the shortest.
func (t *Table) Routes() []*Route { return slices.Clone(t.order) }

type builder struct {
	table   *Table
	faults  []error
	clashes map[string]bool
}

func (b *builder) fault(e Entry, path, problem string) {
	b.faults = append(b.faults, &EntryError{Route: e.Route.Name, Path: path, Problem: problem})
}

func (b *builder) entry(e Entry, defaultHosts []string) {
	if e.Route == nil {
		b.faults = append(b.faults, errors.New("route: an entry without a route"))
		return
	}
	hosts := e.Hosts
	if len(hosts) == 0 {
		hosts = defaultHosts
	}
	if len(hosts) == 0 {
		b.fault(e, "hosts", "is empty and there is no default host: list at least one")
	}
	if len(e.Paths) == 0 {
		b.fault(e, "paths", `is empty: write [/] for everything`)
	}
	b.methods(e)

	var patterns []pattern
	for i, s := range e.Paths {
		p, problem := parsePattern(s)
		if problem != "" {
			b.fault(e, fmt.Sprintf("paths[%d]", i), fmt.Sprintf("%q %s", s, problem))
			continue
		}
		patterns = append(patterns, p)
	}
	covered := b.table.scope[e.Route]
	if covered == nil {
		covered = &scope{}
		b.table.scope[e.Route] = covered
	}
	covered.patterns, covered.methods = append(covered.patterns, patterns...), append(covered.methods, e.Methods...)
	for i, s := range hosts {
		host, wildcard, problem := hostPattern(s)
		if problem != "" {
			b.fault(e, fmt.Sprintf("hosts[%d]", i), fmt.Sprintf("%q %s", s, problem))
			continue
		}
		h := b.table.hostTable(host, wildcard)
		covered.hosts = append(covered.hosts, h)
		for _, p := range patterns {
			b.add(h, p, e)
		}
	}
}

func (b *builder) methods(e Entry) {
	for i, m := range e.Methods {
		at := fmt.Sprintf("methods[%d]", i)
		switch {
		case !isToken(m):
			b.fault(e, at, fmt.Sprintf("%q is no method: write one such as GET", m))
		case m == "CONNECT" || m == "TRACE":
			b.fault(e, at, m+" is never forwarded: delete it")
		case m != strings.ToUpper(m):
			b.fault(e, at, fmt.Sprintf("%q is not %s: methods are case-sensitive, write %[2]s", m, strings.ToUpper(m)))
		}
	}
}

func (t *Table) hostTable(host string, wildcard bool) *hostTable {
	byName, name := t.exact, host
	if wildcard {
		byName, name = t.wild, "*."+host
	}
	h := byName[host]
	if h == nil {
		h = &hostTable{name: name, exact: map[string]*leaf{}, all: map[string]*leaf{}}
		byName[host] = h
	}
	return h
}

func (b *builder) add(h *hostTable, p pattern, e Entry) {
	l := h.all[p.String()]
	if l == nil {
		l = &leaf{pattern: p, name: p.String()}
		h.all[p.String()] = l
	}
	if len(e.Methods) == 0 {
		if l.any != nil {
			b.clash(h, l, e, l.any)
		}
		for _, m := range l.methods {
			b.clash(h, l, e, m.route)
		}
		l.any = e.Route
	}
	for _, m := range e.Methods {
		if other := l.route(m); other != nil {
			b.clash(h, l, e, other)
			continue
		}
		l.methods = append(l.methods, methodRoute{m, e.Route})
	}
	l.slash = l.slash || e.Route.AllowEncodedSlash
}

// clash reports two routes for the same requests, once for all their hosts. A
// route that lists one pattern twice, as "/a" and "/a/", is in nobody's way.
func (b *builder) clash(h *hostTable, l *leaf, e Entry, other *Route) {
	if other == e.Route {
		return
	}
	key := other.Name + "\x00" + e.Route.Name + "\x00" + l.name
	if b.clashes[key] {
		return
	}
	b.clashes[key] = true
	b.fault(e, "paths", fmt.Sprintf("%s on %s is also what route %q is for: change one of them, or give them different methods", l.name, h.name, other.Name))
}

// finish arranges the patterns for lookup and the routes for display.
func (b *builder) finish() {
	t := b.table
	var hosts []*hostTable
	for _, m := range []map[string]*hostTable{t.exact, t.wild} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			hosts = append(hosts, m[name])
		}
	}
	seen := map[*Route]bool{}
	for _, h := range hosts {
		for _, l := range h.finish() {
			for _, m := range append([]methodRoute{{"", l.any}}, l.methods...) {
				if m.route != nil && !seen[m.route] {
					seen[m.route] = true
					t.order = append(t.order, m.route)
				}
			}
		}
	}
}

func (h *hostTable) finish() []*leaf {
	leaves := slices.SortedFunc(maps.Values(h.all), func(a, b *leaf) int { return comparePatterns(&a.pattern, &b.pattern) })
	h.all = nil
	for _, l := range leaves {
		slices.SortFunc(l.methods, func(a, b methodRoute) int { return cmp.Compare(a.method, b.method) })
		for _, m := range l.methods {
			l.allow = append(l.allow, m.method)
		}
		switch l.pattern.kind {
		case exactPath:
			h.exact[l.pattern.text] = l
		case prefixPath:
			h.root.insert(l)
		case regexpPath:
			h.regexps = append(h.regexps, l)
		}
	}
	return leaves
}

// comparePatterns is the order of precedence between patterns of one host. Two
// expressions with equally much literal text are tried from the longer to the
// shorter one, then by their text, so that the order of the file never counts.
func comparePatterns(a, b *pattern) int {
	if (a.kind == exactPath) != (b.kind == exactPath) {
		return cmp.Compare(a.kind, b.kind)
	}
	return cmp.Or(
		cmp.Compare(b.length(), a.length()),
		cmp.Compare(b.kind, a.kind), // regular expressions before prefixes
		cmp.Compare(len(b.text), len(a.text)),
		cmp.Compare(a.text, b.text),
	)
}

func (n *node) insert(l *leaf) {
	for segment := range segments(l.pattern.text) {
		child := n.children[segment]
		if child == nil {
			child = &node{}
			if n.children == nil {
				n.children = map[string]*node{}
			}
			n.children[segment] = child
		}
		n = child
	}
	n.leaf = l
}

func segments(prefix string) func(yield func(string) bool) {
	if prefix == "/" {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(prefix[1:], "/")
}
