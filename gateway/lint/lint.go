// Package lint says which settings of a sound configuration are weak: each finding
// has a code, its place, why it matters, and what to write instead. It looks at the
// configuration and at the files that it names, and opens nothing else. What is
// refused when a configuration is loaded has no code here; what is odd about
// policies is the policy package's to say.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

// Severity says how bad a finding is.
type Severity string

// The severities. With notes alone a configuration counts as clean.
const (
	Error   Severity = "error"   // secrets or identities are open to others: never meant so
	Warning Severity = "warning" // weaker than it need be: seldom meant so
	Note    Severity = "note"    // to be looked at: often meant so
)

// rank orders severities, the worst first.
func (s Severity) rank() int {
	return slices.Index([]Severity{Error, Warning, Note}, s)
}

// Code is one kind of weakness. A code never changes its meaning.
type Code struct {
	ID       string   // SP001
	Severity Severity // the usual one
	Title    string   // what is weak, in a few words
	Why      string   // what comes of it, in whole sentences
	// References are the requirements of OWASP ASVS 5.0, RFCs and other documents
	// that ask for something else; see ReferenceURL.
	References []string
	// Bad is a part of a configuration that has the weakness, on the lines with the
	// code in a comment; Good has it mended. See Complete.
	Bad, Good string

	find func(*linter)
}

// Codes are all of them, in their order.
func Codes() []Code {
	return slices.Concat(serverCodes(), sessionCodes(), secretCodes(), loginCodes(), tokenCodes(), routeCodes(), webCodes(), ownCodes())
}

// Lookup finds a code.
func Lookup(id string) (Code, bool) {
	all := Codes()
	i := slices.IndexFunc(all, func(c Code) bool { return c.ID == id })
	if i < 0 {
		return Code{}, false
	}
	return all[i], true
}

// Finding is one weakness of a configuration, with its place. The JSON is a part of
// the documented report.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	// File is the configuration, a file that it names, or "environment NAME".
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // of the setting, or of what it is missing from; 0 = none
	Path string `json:"path"`

	Problem    string   `json:"problem"`
	Why        string   `json:"why"`
	References []string `json:"references,omitempty"`
	Fix        string   `json:"fix"`
	// Silenced is the reason for which the configuration says that it is meant so.
	Silenced string `json:"silenced,omitempty"`
}

// Check finds what is weak in a configuration that was loaded with config.Load. The
// order is that of the codes: see Sort.
func Check(cfg *config.Config) []Finding {
	l := &linter{Config: cfg}
	for _, code := range Codes() {
		if code.find != nil {
			l.code = code
			code.find(l)
		}
	}
	return l.findings
}

// Sort orders findings by severity, then by their place.
func Sort(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Severity.rank(), b.Severity.rank()),
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Code, b.Code),
		)
	})
}

// linter collects the findings of a configuration.
type linter struct {
	*config.Config
	code     Code
	findings []Finding
}

// found reports a setting with the usual severity of the code.
func (l *linter) found(path, problem, fix string) {
	l.foundAs(l.code.Severity, path, problem, fix)
}

func (l *linter) foundAs(severity Severity, path, problem, fix string) {
	at := l.Fault(path, problem, fix)
	l.foundAt(at.File, at.Line, severity, at.Path, problem, fix)
}

// foundAt reports something in a file that the configuration names.
func (l *linter) foundAt(file string, line int, severity Severity, path, problem, fix string) {
	l.findings = append(l.findings, Finding{
		Code: l.code.ID, Severity: severity, File: file, Line: line, Path: path,
		Problem: problem, Why: l.code.Why, References: l.code.References, Fix: fix,
	})
}

func item(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// quoted makes one line of a value of the configuration.
func quoted(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}
