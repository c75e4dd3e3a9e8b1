package config

import (
	"reflect"
	"strconv"
	"strings"
)

// field is one key of a section of the schema.
type field struct {
	name   string
	kind   reflect.Type
	size   bool // an integer that may be written as 64MiB
	listed bool // an item of a list rather than a key
}

// fieldsOf lists the keys of a section in the order of the schema.
func fieldsOf(kind reflect.Type) []field {
	var fields []field
	for f := range kind.Fields() {
		name, ok := f.Tag.Lookup("mapstructure")
		switch {
		case name == ",squash":
			fields = append(fields, fieldsOf(f.Type)...)
		case ok:
			fields = append(fields, field{name: name, kind: f.Type, size: f.Tag.Get("unit") == "bytes"})
		}
	}
	return fields
}

func findField(fields []field, name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// leaf is a key outside lists that holds a value: what the environment can set.
type leaf struct {
	field
	path  string
	value reflect.Value
}

// leaves lists the leaf keys of the schema with their values in c.
func leaves(c *Config) []leaf {
	return appendLeaves(nil, "", reflect.ValueOf(c).Elem())
}

func appendLeaves(all []leaf, parent string, section reflect.Value) []leaf {
	for i := range section.NumField() {
		f := section.Type().Field(i)
		name, ok := f.Tag.Lookup("mapstructure")
		if !ok {
			continue
		}
		path := join(parent, name)
		if f.Type.Kind() == reflect.Struct {
			all = appendLeaves(all, path, section.Field(i))
			continue
		}
		all = append(all, leaf{
			field: field{name: name, kind: f.Type, size: f.Tag.Get("unit") == "bytes"},
			path:  path, value: section.Field(i),
		})
	}
	return all
}

func keyList(fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// join appends key to path; a key that is no plain word is quoted, so that a
// message stays one line whatever the file holds.
func join(path, key string) string {
	plain := key != ""
	for i := range len(key) {
		c := key[i]
		plain = plain && (c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
	}
	if !plain || len(key) > 60 {
		key = strconv.Quote(shorten(key))
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// excerpt shortens a value of the configuration for a message and makes it one
// printable line.
func excerpt(s string) string {
	quoted := strconv.Quote(shorten(s))
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// shorten also takes the password out of what looks like a URL, or like one
// that has lost its scheme.
func shorten(s string) string {
	const most = 60
	s = strings.ToValidUTF8(s, "?")
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		if _, host, hidden := cutLast(rest, "@"); hidden {
			s = scheme + "://...@" + host
		}
	} else if user, host, ok := cutLast(s, "@"); ok && strings.Contains(user, ":") {
		s = "...@" + host
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// withoutQuery cuts the query off a URL: some clients take a password there.
func withoutQuery(s string) string {
	if before, _, ok := strings.Cut(s, "?"); ok && strings.Contains(before, "://") {
		return before
	}
	return s
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// nearest finds the candidate that word probably means.
func nearest(word string, candidates []string) (string, bool) {
	best, at := "", 3
	if len(word) > 60 {
		return "", false
	}
	for _, c := range candidates[:min(len(candidates), 200)] {
		if d := len(word) - len(c); d <= -at || d >= at {
			continue
		}
		d := distance(strings.ToLower(word), strings.ToLower(c))
		if d < at && 2*d < max(len(c), 2) {
			best, at = c, d
		}
	}
	return best, best != ""
}

// distance counts the letters to insert, remove, replace or swap with their
// neighbour to come from a to b.
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
