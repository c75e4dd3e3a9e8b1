package policytest

import (
	"strings"
	"unicode"

	"github.com/sallyport/sallyport/policy"
)

// printable makes one line of a text that a file holds, without anything that a
// terminal would obey.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '\uFFFD'
		}
		return c
	}, s)
}

// parts are the words of a decision, those that are there.
type parts []string

func (p *parts) add(what, word string) {
	if word != "" {
		*p = append(*p, what+" "+word)
	}
}

func (p *parts) wanted(what string, word *string) {
	if word != nil {
		*p = append(*p, what+" "+orNone(*word))
	}
}

func (p parts) String() string { return printable(strings.Join(p, ", ")) }

// decision says what was decided.
func decision(d *policy.Decision) string {
	all := parts{d.Effect.String()}
	all.add("rule", d.Rule)
	all.add("reason", d.Reason)
	all.add("asks for", d.StepUp.String())
	if d.Shadow.Judged {
		all.add("shadow", d.Shadow.Effect.String())
		all.add("shadow rule", d.Shadow.Rule)
	}
	return all.String()
}

// String says what is wanted, as far as it is written.
func (e *Expect) String() string {
	all := parts{e.Effect.String()}
	all.wanted("rule", e.Rule)
	all.wanted("reason", e.Reason)
	all.wanted("message", e.Message)
	if want := e.StepUp; want != nil {
		all.add("acr", strings.Join(want.ACR, " or "))
		all.add("amr", strings.Join(want.AMR, " and "))
		if want.MaxAge != nil {
			all.add("max_age", orNone(ageText(*want.MaxAge)))
		}
	}
	if want := e.Shadow; want != nil {
		if want.Effect != nil {
			all.add("shadow", want.Effect.String())
		}
		all.wanted("shadow rule", want.Rule)
		all.wanted("shadow reason", want.Reason)
	}
	return all.String()
}

// asked says whom a case asks.
func (r *Result) asked() string {
	if r.Case.Policy == "" {
		if r.Policy == "" {
			return printable("route " + r.Case.Route)
		}
		return printable(r.Policy + " (route " + r.Case.Route + ")")
	}
	return printable(r.Case.Policy)
}

// got says what a case got.
func (r *Result) got() string {
	if r.Err != nil {
		return "no decision"
	}
	return decision(&r.Explanation.Decision)
}

// status is one word for a case.
func (r *Result) status() string {
	if r.Passed() {
		return "ok"
	}
	return "FAILED"
}
