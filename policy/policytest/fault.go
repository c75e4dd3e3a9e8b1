package policytest

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong in a test file: where, what, and what to write
// instead.
type Fault struct { //nolint:errname // a fault is a value that people and programs read, not only an error
	File    string
	Line    int    // 0 where it is the whole file
	Path    string // cases[2].identity.groups
	Problem string
	Fix     string
}

// Error renders "file:line: path: problem: fix".
func (f Fault) Error() string {
	var b strings.Builder
	switch {
	case f.File != "" && f.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
	case f.File != "":
		b.WriteString(f.File + ": ")
	case f.Line > 0:
		fmt.Fprintf(&b, "line %d: ", f.Line)
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Problem)
	if f.Fix != "" {
		b.WriteString(": " + f.Fix)
	}
	return b.String()
}

// Faults are everything that is wrong, in the order of lines.
type Faults []Fault //nolint:errname // as above

// Error lists every fault on a line of its own.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}
