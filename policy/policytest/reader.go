package policytest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader turns YAML nodes into values of exactly the type that is wanted.
// Whatever is faulty is reported and left out.
type reader struct {
	file   string
	faults Faults
	more   int // faults beyond maxFaults
}

// maxFaults bounds what one file can make a reader say.
const maxFaults = 200

func (r *reader) fault(n *yaml.Node, path, problem, fix string) {
	f := Fault{File: r.file, Path: path, Problem: problem, Fix: fix}
	if n != nil {
		f.Line = n.Line
	}
	r.add(f)
}

func (r *reader) add(f Fault) {
	if len(r.faults) == maxFaults {
		r.more++
		return
	}
	r.faults = append(r.faults, f)
}

// err returns the faults in the order of their lines, or nil where there are none.
func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	if r.more > 0 {
		return append(r.faults, Fault{File: r.file, Problem: "there are more faults, which are not shown", Fix: "mend these first"})
	}
	return r.faults
}

// key is a key that a section may have, and what takes its value.
type key struct {
	name string
	read func(n *yaml.Node, at string)
}

// section reads a mapping, each key by its own function, and returns the keys that
// were there, readable or not.
func (r *reader) section(n *yaml.Node, path string, keys []key) map[string]bool {
	seen := map[string]bool{}
	if n.Kind == yaml.AliasNode {
		return nil // reported already
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "must be a section of keys, not "+describe(n), "write its keys below it: "+keyList(keys))
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		word, ok := r.keyName(name, path, seen)
		if !ok {
			continue
		}
		at := join(path, word)
		known := slices.IndexFunc(keys, func(k key) bool { return k.name == word })
		switch {
		case known < 0:
			r.fault(name, at, "is not a known key", "known here: "+keyList(keys))
		case isNull(value):
			r.fault(value, at, "has no value", "write one, or remove the key")
		default:
			keys[known].read(value, at)
		}
	}
	return seen
}

// keyName reads the name of a key, and refuses one that is there twice.
func (r *reader) keyName(n *yaml.Node, path string, seen map[string]bool) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		what := describe(n)
		if n.ShortTag() == "!!merge" {
			what = "a merge (<<)"
		}
		r.fault(n, path, "a key must be a plain word, not "+what, "put it in quotes if it is meant as text")
		return "", false
	}
	if seen[n.Value] {
		r.fault(n, join(path, n.Value), "is given twice", "keep one of them")
		return "", false
	}
	seen[n.Value] = true
	return n.Value, true
}

// join appends a key to a path; one that is no plain word is quoted.
func join(path, key string) string {
	plain := key != "" && len(key) <= 60 && !strings.ContainsFunc(key, func(c rune) bool {
		return c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
	if !plain {
		key = excerpt(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func keyList(keys []key) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

// list yields the items of a list with their paths.
func (r *reader) list(n *yaml.Node, at, fix string) func(yield func(*yaml.Node, string) bool) {
	return func(yield func(*yaml.Node, string) bool) {
		if n.Kind == yaml.AliasNode {
			return
		}
		if n.Kind != yaml.SequenceNode {
			r.fault(n, at, "must be a list, not "+describe(n), fix)
			return
		}
		for i, item := range n.Content {
			if !yield(item, fmt.Sprintf("%s[%d]", at, i)) {
				return
			}
		}
	}
}

func (r *reader) text(n *yaml.Node, at string) (string, bool) {
	if n.Kind == yaml.AliasNode {
		return "", false
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		return n.Value, true
	}
	fix := "write it as text"
	if n.Kind == yaml.ScalarNode {
		fix = "put it in quotes: " + excerpt(n.Value)
	}
	r.fault(n, at, "must be text, not "+describe(n), fix)
	return "", false
}

// texts reads a list of texts. It is never nil where it can be read.
func (r *reader) texts(n *yaml.Node, at string) ([]string, bool) {
	fix := "write [a, b]"
	if n.Kind == yaml.ScalarNode {
		fix = "write [" + strings.Trim(excerpt(n.Value), `"`) + "]"
	}
	out, before := []string{}, len(r.faults)
	for item, at := range r.list(n, at, fix) {
		if s, ok := r.text(item, at); ok {
			out = append(out, s)
		}
	}
	return out, n.Kind == yaml.SequenceNode && len(r.faults) == before
}

func (r *reader) boolean(n *yaml.Node, at string) (value, ok bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" && n.Decode(&value) == nil {
		return value, true
	}
	if n.Kind != yaml.AliasNode {
		r.fault(n, at, "must be true or false, not "+describe(n), "write true or false, without quotes")
	}
	return false, false
}

func (r *reader) duration(n *yaml.Node, at string) (time.Duration, bool) {
	if n.Kind == yaml.AliasNode {
		return 0, false
	}
	const fix = "write a duration with its unit, such as 30s, 5m or 12h"
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!int" {
		r.fault(n, at, "must be a duration, not "+describe(n), fix)
		return 0, false
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil || d < 0 {
		r.fault(n, at, excerpt(n.Value)+" is not a duration", fix)
		return 0, false
	}
	return d, true
}

// moment reads a time with its zone. In quotes or not, it means the same.
func (r *reader) moment(n *yaml.Node, at string) (time.Time, bool) {
	if n.Kind == yaml.AliasNode {
		return time.Time{}, false
	}
	const fix = "write it with its zone, such as 2026-03-02T10:00:00+01:00"
	if n.Kind != yaml.ScalarNode {
		r.fault(n, at, "must be a time, not "+describe(n), fix)
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, n.Value)
	if err != nil {
		r.fault(n, at, excerpt(n.Value)+" is not a time", fix)
		return time.Time{}, false
	}
	return t, true
}

// oneOf reads a word of a closed list.
func (r *reader) oneOf(n *yaml.Node, at string, allowed ...string) (string, bool) {
	s, ok := r.text(n, at)
	if ok && !slices.Contains(allowed, s) {
		last := len(allowed) - 1
		r.fault(n, at, excerpt(s)+" is not one of its values", "write "+strings.Join(allowed[:last], ", ")+" or "+allowed[last])
		return "", false
	}
	return s, ok
}
