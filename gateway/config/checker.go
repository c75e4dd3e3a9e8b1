package config

import (
	"fmt"
	"slices"
	"strings"
)

// A checker collects what is wrong with a decoded configuration. What the
// reader has already reported is not reported a second time.
type checker struct {
	*Config
	faults Faults
	lost   lost
}

// lost remembers the values that could not be read.
type lost struct {
	at    map[string]bool // these paths
	above map[string]bool // and everything that they are a part of
}

func lostPaths(lists ...[]string) lost {
	l := lost{at: map[string]bool{}, above: map[string]bool{}}
	for _, path := range slices.Concat(lists...) {
		l.add(path)
	}
	return l
}

func (l lost) add(path string) {
	l.at[path] = true
	for p := range upwards(path) {
		l.above[p] = true
	}
}

// covers tells that path lies at or below a lost value.
func (l lost) covers(path string) bool {
	for p := range upwards(path) {
		if l.at[p] {
			return true
		}
	}
	return false
}

// touches tells that path is lost, or some part of it.
func (l lost) touches(path string) bool { return l.above[path] || l.covers(path) }

// names tells that some name in a list of entries is lost, so that there may be more of
// them than are known.
func (l lost) names(list string) bool {
	if l.covers(list) {
		return true
	}
	for path := range l.at {
		entry, in := strings.CutPrefix(path, list+"[")
		if _, key, _ := strings.Cut(entry, "]"); in && (key == "" || key == ".name") {
			return true
		}
	}
	return false
}

// fault reports a value that is wrong.
func (k *checker) fault(path, problem, fix string) {
	if !k.lost.covers(path) {
		k.faults = append(k.faults, k.Fault(path, problem, fix))
	}
}

// missing reports a value that is absent or too little; nothing is said where
// some part of it could not be read.
func (k *checker) missing(path, problem, fix string) {
	if !k.lost.touches(path) {
		k.fault(path, problem, fix)
	}
}

func (k *checker) given(path string) bool { return k.source.given(path) }

// oneOf reports a value outside a closed list.
func (k *checker) oneOf(path, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	fix := "write " + orList(allowed)
	if near, ok := nearest(value, allowed); ok {
		fix = "did you mean " + near + "?"
	}
	k.fault(path, fmt.Sprintf("%q is not one of its values", shorten(value)), fix)
}

func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
