package policy

import "slices"

// Facts are what Lint makes of the conditions of a match.
type Facts []fact

// FactsOf reads a match that compiles.
func FactsOf(e *Engine, m *Match) Facts {
	lang, err := e.linted()
	if err != nil {
		panic(err)
	}
	l := &linter{engine: e, lang: lang, policy: &Policy{Rules: []Rule{{Allow: m}}}}
	return l.read(0).facts
}

// Imply reports whether Lint is sure that others are true wherever these are.
func (f Facts) Imply(others Facts) bool { return allFollow(others, f) }

// Exclude reports whether Lint is sure that others are never true where these are.
func (f Facts) Exclude(others Facts) bool {
	why, _ := contradiction(slices.Concat(f, others))
	return why != ""
}
