package config

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a configuration: where, what, and what to
// write instead.
type Fault struct { //nolint:errname // a fault is a value that people and programs read, not only an error
	File    string
	Line    int    // 0 when the key is not in the file (a missing key, or the environment)
	Path    string // server.limits.idle_timeout, routes[2].policy
	Problem string
	Fix     string
}

// Error renders "file:line: path: problem: fix".
func (f Fault) Error() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		b.WriteString(": ")
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

// Faults are all faults of one configuration, in the order of their lines;
// those of the environment come last.
type Faults []Fault //nolint:errname // as above

// Error lists every fault on a line of its own.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// sort orders faults by line, those in file before those of the environment.
func (f Faults) sort(file string) {
	slices.SortStableFunc(f, func(a, b Fault) int {
		switch {
		case a.File == b.File:
			return cmp.Compare(a.Line, b.Line)
		case a.File == file:
			return -1
		case b.File == file:
			return 1
		}
		return cmp.Compare(a.File, b.File)
	})
}

// Together joins what several steps have found wrong in the configuration, nil where none
// has. Faults become one list, in which each is told once; what is no fault is joined
// with it as errors.Join does.
func (c *Config) Together(errs ...error) error {
	var faults Faults
	var others []error
	var add func(error)
	add = func(err error) {
		joined, ok := err.(interface{ Unwrap() []error })
		switch list, isFaults := errors.AsType[Faults](err); {
		case err == nil:
		case ok:
			for _, one := range joined.Unwrap() {
				add(one)
			}
		case isFaults:
			for _, one := range list {
				if !slices.Contains(faults, one) {
					faults = append(faults, one)
				}
			}
		default:
			others = append(others, err)
		}
	}
	for _, err := range errs {
		add(err)
	}
	if len(faults) == 0 {
		return errors.Join(others...)
	}
	faults.sort(c.source.file)
	if len(others) == 0 {
		return faults
	}
	return errors.Join(append([]error{faults}, others...)...)
}

// Touched tells whether one of the faults is at path or below it, or is of all that path
// is a part of.
func (f Faults) Touched(path string) bool {
	return slices.ContainsFunc(f, func(one Fault) bool {
		if one.Path == path || strings.HasPrefix(one.Path, path+".") || strings.HasPrefix(one.Path, path+"[") {
			return true
		}
		for above := range upwards(path) {
			if above != "" && above == one.Path {
				return true
			}
		}
		return false
	})
}

// source remembers where every key was written.
type source struct {
	file   string
	places map[string]place
	dir    string // where relative file names start; "" = the working directory
	short  bool   // the only provider and the only route stem from the short form
}

// place is a line of the file, or an environment variable (line 0).
type place struct {
	file string
	line int
}

// Fault reports something wrong at path, which those who compile the
// configuration (policies, regular expressions, key files) find out after Load.
// The line is the key's own or, where it is absent, its nearest parent's.
func (c *Config) Fault(path, problem, fix string) Fault {
	path = c.source.written(path)
	at := c.source.place(path)
	return Fault{File: at.file, Line: at.line, Path: path, Problem: problem, Fix: fix}
}

// written is where the key of this path was written.
func (s source) written(path string) string {
	if s.short {
		return shortPath(path)
	}
	return path
}

// given tells whether the key at path was written, however empty its value.
func (s source) given(path string) bool {
	_, ok := s.places[s.written(path)]
	return ok
}

func (s source) place(path string) place {
	for p := range upwards(s.written(path)) {
		if at, ok := s.places[p]; ok {
			return at
		}
	}
	return place{file: s.file}
}

// upwards yields path, its parent and so on, and "" for the whole at last.
func upwards(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for path != "" {
			if !yield(path) {
				return
			}
			path = path[:max(strings.LastIndexAny(path, ".["), 0)]
		}
		yield("")
	}
}
