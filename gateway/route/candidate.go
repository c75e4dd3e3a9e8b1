package route

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Candidate is what one route has to do with a request.
type Candidate struct {
	Route   string `json:"route"`
	Matches bool   `json:"matches"`
	Why     string `json:"why"`
}

// scope is what a route was configured for.
type scope struct {
	hosts    []*hostTable
	patterns []pattern
	methods  []string
}

// Explain is Match with its reasons: the same answer, and why each route is the one
// or is not, in order of precedence.
func (t *Table) Explain(r *http.Request) (Match, []Candidate, error) {
	m, err := t.Match(r)
	candidates := make([]Candidate, 0, len(t.order))
	asked, unreadable := t.asked(r)
	for _, rt := range t.order {
		c := Candidate{Route: rt.Name}
		switch {
		case err == nil && rt == m.Route:
			c.Matches, c.Why = true, fmt.Sprintf("%s on %s", m.Pattern, asked.host.name)
		case unreadable != nil:
			c.Why = "no route is looked for: " + unreadable.Error()
		default:
			c.Why = asked.whyNot(t.scope[rt])
		}
		candidates = append(candidates, c)
	}
	return m, candidates, err
}

// asked is a request as routes are compared with it.
type asked struct {
	name   string
	host   *hostTable // nil: nobody serves it
	path   string
	method string
	best   *leaf
}

func (t *Table) asked(r *http.Request) (*asked, error) {
	raw, err := rawPath(r)
	if err != nil {
		return nil, err
	}
	path, err := read(raw)
	if err != nil {
		return nil, err
	}
	name, ok := canonicalHost(r.Host)
	if !ok {
		return nil, errors.New("the Host header is missing or malformed")
	}
	a := &asked{name: name, host: t.host(name), path: path.path, method: r.Method}
	if a.host != nil {
		a.best = a.host.find(a.path)
	}
	return a, nil
}

func (a *asked) whyNot(s *scope) string {
	if !slices.Contains(s.hosts, a.host) {
		names := make([]string, len(s.hosts))
		for i, h := range s.hosts {
			names[i] = h.name
			if parent, ok := strings.CutPrefix(h.name, "*."); ok && a.host != nil && coversName(parent, a.name) {
				return fmt.Sprintf("%s would cover the host, but other routes list %s exactly", h.name, a.name)
			}
		}
		return fmt.Sprintf("is for %s, not for %s", strings.Join(names, ", "), a.name)
	}
	fits := slices.IndexFunc(s.patterns, func(p pattern) bool { return p.Fits(a.path) })
	if fits < 0 {
		return fmt.Sprintf("no path of it covers %s: %s", a.path, patternList(s.patterns))
	}
	winner := slices.IndexFunc(s.patterns, func(p pattern) bool { return a.best != nil && p.String() == a.best.name })
	if winner < 0 {
		return fmt.Sprintf("%s covers the path too, but %s is more specific", s.patterns[fits].String(), a.best.name)
	}
	if len(s.methods) > 0 && !slices.Contains(s.methods, a.method) {
		return fmt.Sprintf("does not list %s: %s", a.method, strings.Join(s.methods, ", "))
	}
	return fmt.Sprintf("%s covers the path, but the request is refused before", a.best.name)
}

// coversName reports whether the wildcard of parent stands for name.
func coversName(parent, name string) bool {
	_, rest, ok := strings.Cut(name, ".")
	return ok && rest == parent
}

func patternList(patterns []pattern) string {
	names := make([]string, len(patterns))
	for i := range patterns {
		names[i] = patterns[i].String()
	}
	return strings.Join(names, ", ")
}
