package config

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader checks YAML nodes against the schema and turns them into plain values
// of exactly the schema's types. Whatever is faulty is reported and left out.
type reader struct {
	file   string
	lines  bool // positions in the nodes are lines of file
	part   bool // of the configuration: the rest has no place in file
	places map[string]place
	faults Faults
	broken []string // the paths whose values are unknown, so that nothing more is said about them
}

func newReader(file string) *reader {
	return &reader{file: file, lines: true, places: map[string]place{}}
}

func (r *reader) root(n *yaml.Node) map[string]any {
	value, ok := r.read(n, field{kind: reflect.TypeFor[Config]()}, "")
	if !ok {
		return nil
	}
	return value.(map[string]any)
}

func (r *reader) line(n *yaml.Node) int {
	if r.lines && n != nil {
		return n.Line
	}
	return 0
}

// report says what is wrong where no value is lost by it.
func (r *reader) report(n *yaml.Node, path, problem, fix string) {
	r.faults = append(r.faults, Fault{File: r.file, Line: r.line(n), Path: path, Problem: problem, Fix: fix})
}

// fault says what is wrong with the value at path, which is then unknown.
func (r *reader) fault(n *yaml.Node, path, problem, fix string) {
	r.report(n, path, problem, fix)
	r.broken = append(r.broken, path)
}

// read returns the value of n as f wants it, or false after reporting a fault.
func (r *reader) read(n *yaml.Node, f field, path string) (any, bool) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.fault(n, path, "YAML anchors (&) and aliases (*) are not supported here", "write the value out; in quotes if it begins with & or *")
		return nil, false
	}
	kind, optional := f.kind, f.kind.Kind() == reflect.Pointer
	if optional {
		kind = kind.Elem()
	}
	if isNull(n) && (optional || f.listed || kind.Kind() != reflect.Struct) {
		r.fault(n, path, "has no value", "write one, or remove the key")
		return nil, false
	}
	switch {
	case kind == reflect.TypeFor[time.Duration]():
		return r.duration(n, path)
	case f.size:
		return r.size(n, kind, path)
	case kind.Kind() == reflect.Struct:
		return r.section(n, kind, path)
	case kind.Kind() == reflect.Slice:
		return r.list(n, kind, path)
	case kind.Kind() == reflect.String:
		return r.text(n, kind, path)
	case kind.Kind() == reflect.Bool:
		return r.boolean(n, path)
	default:
		return r.integer(n, kind, path)
	}
}

func (r *reader) section(n *yaml.Node, kind reflect.Type, path string) (any, bool) {
	values := map[string]any{}
	if isNull(n) {
		return values, true
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "must be a section of keys, not "+describe(n), "write its keys below it, indented")
		return nil, false
	}
	fields := fieldsOf(kind)
	written := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		written[n.Content[i].Value] = true
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || key.Anchor != "" {
			r.fault(key, path, "a key must be a plain word, not "+describeKey(key), "write one of "+keyList(fields))
			continue
		}
		at := join(path, key.Value)
		if first, twice := seen[key.Value]; twice {
			problem := "is given twice"
			if r.lines {
				problem += fmt.Sprintf(" (first on line %d)", first)
			}
			r.report(key, at, problem, "keep one of them")
			if f, known := findField(fields, key.Value); known {
				r.beside(value, f, at)
			}
			continue
		}
		seen[key.Value] = key.Line
		f, known := findField(fields, key.Value)
		if !known {
			near := r.unknown(key, path, fields)
			if near == "" || written[near] {
				continue
			}
			written[near] = true
			f, _ = findField(fields, near)
			if v, ok := r.meant(key, value, f, join(path, near)); ok {
				values[near] = v
			}
			continue
		}
		r.places[at] = place{file: r.file, line: r.line(key)}
		if v, ok := r.read(value, f, at); ok {
			values[key.Value] = v
		}
	}
	return values, true
}

// meant reads the value of a misspelt key as that of the key at path, so that its faults
// are told along with the spelling. Where it does not look like one, the value at path is
// unknown, and not missing.
func (r *reader) meant(key, value *yaml.Node, f field, path string) (any, bool) {
	sub := &reader{file: r.file, lines: r.lines, part: r.part, places: map[string]place{path: {file: r.file, line: r.line(key)}}}
	v, ok := sub.read(value, f, path)
	if !ok {
		r.broken = append(r.broken, path)
		return nil, false
	}
	maps.Copy(r.places, sub.places)
	r.faults, r.broken = append(r.faults, sub.faults...), append(r.broken, sub.broken...)
	return v, true
}

// beside tells the faults of a value that does not count.
func (r *reader) beside(value *yaml.Node, f field, path string) {
	sub := &reader{file: r.file, lines: r.lines, part: r.part, places: map[string]place{}}
	_, _ = sub.read(value, f, path)
	r.faults = append(r.faults, sub.faults...)
}

func describeKey(n *yaml.Node) string {
	if n.ShortTag() == "!!merge" {
		return "a merge (<<)"
	}
	if n.Anchor != "" {
		return "an anchor (&)"
	}
	return describe(n)
}

// unknown reports a key, and returns the one that was meant where that can be told.
func (r *reader) unknown(key *yaml.Node, parent string, fields []field) (near string) {
	at := join(parent, key.Value)
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	if file := key.Value + "_file"; slices.Contains(names, file) {
		r.fault(key, at, "is not a known key", "write "+file+", the name of a file that holds it")
		r.broken = append(r.broken, join(parent, file))
		return
	}
	if near, ok := nearest(key.Value, names); ok {
		r.report(key, at, "is not a known key", fmt.Sprintf("did you mean %s?", near))
		return near
	}
	if parent == "" && !r.part {
		var paths []string
		for _, l := range leaves(new(Config)) {
			if l.name == key.Value {
				paths = append(paths, l.path)
			}
		}
		if len(paths) > 0 {
			r.report(key, at, "is not a known key here", "write it as "+orList(paths))
			return ""
		}
	}
	r.fault(key, at, "is not a known key", "known here: "+keyList(fields))
	return ""
}

func (r *reader) list(n *yaml.Node, kind reflect.Type, path string) (any, bool) {
	if kind == reflect.TypeFor[Upstreams]() && n.Kind == yaml.ScalarNode {
		v, ok := r.text(n, kind.Elem(), path)
		return []any{v}, ok
	}
	if n.Kind != yaml.SequenceNode {
		fix := "write [a, b], or one line with \"- \" for each"
		if n.Kind == yaml.ScalarNode && kind.Elem().Kind() == reflect.String {
			fix = "write [" + excerpt(withoutQuery(n.Value)) + "]"
		}
		r.fault(n, path, "must be a list, not "+describe(n), fix)
		return nil, false
	}
	values := make([]any, len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.places[at] = place{file: r.file, line: r.line(item)}
		v, ok := r.read(item, field{kind: kind.Elem(), listed: true}, at)
		if !ok {
			// Keep the place, so that the items after it keep their numbers.
			v = ""
			if kind.Elem().Kind() == reflect.Struct {
				v = map[string]any{}
			}
		}
		values[i] = v
	}
	return values, true
}

func (r *reader) text(n *yaml.Node, kind reflect.Type, path string) (any, bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		return n.Value, true
	}
	fix := "write it as text"
	if n.Kind == yaml.ScalarNode {
		fix = "put it in quotes"
		if kind != reflect.TypeFor[Secret]() {
			fix += ": \"" + excerpt(n.Value) + "\""
		}
	}
	r.fault(n, path, "must be text, not "+describe(n), fix)
	return nil, false
}

func (r *reader) boolean(n *yaml.Node, path string) (any, bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		if v, err := strconv.ParseBool(strings.ToLower(n.Value)); err == nil {
			return v, true
		}
	}
	r.fault(n, path, "must be true or false, not "+describe(n), "write true or false, without quotes")
	return nil, false
}

// decimal is what an integer may look like: 0123 and 0x1F would mean something
// else to YAML than to most people.
var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

func (r *reader) integer(n *yaml.Node, kind reflect.Type, path string) (any, bool) {
	number := n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float")
	if !number || !decimal.MatchString(n.Value) {
		problem := "must be a whole number, not " + describe(n)
		if number {
			problem = "must be a plain whole number"
		}
		r.fault(n, path, problem, "write it in decimal digits, such as 32768")
		return nil, false
	}
	v, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil || reflect.Zero(kind).OverflowInt(v) {
		r.fault(n, path, "is too large", "write a smaller number")
		return nil, false
	}
	return v, true
}

func (r *reader) size(n *yaml.Node, kind reflect.Type, path string) (any, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		return r.integer(n, kind, path)
	}
	digits := strings.TrimRight(n.Value, "KMGiB ")
	var shift uint
	switch strings.TrimSpace(n.Value[len(digits):]) {
	case "B":
	case "KiB":
		shift = 10
	case "MiB":
		shift = 20
	case "GiB":
		shift = 30
	default:
		digits = ""
	}
	if !decimal.MatchString(digits) {
		r.fault(n, path, fmt.Sprintf("%q is not a size", shorten(n.Value)), "write bytes such as 32768, or 32KiB, 64MiB, 1GiB")
		return nil, false
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v > math.MaxInt64>>shift || v < math.MinInt64>>shift || reflect.Zero(kind).OverflowInt(v<<shift) {
		r.fault(n, path, "is too large", "write a smaller size")
		return nil, false
	}
	return v << shift, true
}

func (r *reader) duration(n *yaml.Node, path string) (any, bool) {
	const fix = "write a duration with its unit, such as 30s, 10m or 12h"
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		r.fault(n, path, "needs a unit", fmt.Sprintf("write %ss, %sm or %sh", excerpt(n.Value), excerpt(n.Value), excerpt(n.Value)))
		return nil, false
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		r.fault(n, path, "must be a duration, not "+describe(n), fix)
		return nil, false
	}
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		r.fault(n, path, fmt.Sprintf("%q is not a duration", shorten(n.Value)), fix)
		return nil, false
	}
	return v, true
}
