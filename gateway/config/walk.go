package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// NamedFile is a file that the configuration names.
type NamedFile struct {
	Path string // of the key: login.providers[0].ca_file
	Name string // as it is written
}

// Files lists the files that the configuration names, in the order of the schema.
func (c *Config) Files() []NamedFile {
	var files []NamedFile
	walk("", reflect.ValueOf(c).Elem(), func(path, key string, v reflect.Value) {
		switch {
		case key == "file" || strings.HasSuffix(key, "_file"):
			if v.Kind() == reflect.String && v.String() != "" {
				files = append(files, NamedFile{path, v.String()})
			}
		case strings.HasSuffix(key, "_files"):
			for i := range v.Len() {
				files = append(files, NamedFile{fmt.Sprintf("%s[%d]", path, i), v.Index(i).String()})
			}
		}
	})
	return files
}

// Changed lists the keys whose values differ in two configurations, in the order of
// the schema. A list of sections of another length is one key.
func Changed(a, b *Config) []string {
	values := func(c *Config) (paths []string, of map[string]any) {
		of = map[string]any{}
		walk("", reflect.ValueOf(c).Elem(), func(path, _ string, v reflect.Value) {
			paths = append(paths, path)
			of[path] = v.Interface()
		})
		return paths, of
	}
	before, old := values(a)
	after, now := values(b)
	var changed []string
	for _, path := range append(before, after...) {
		was, isThere := old[path]
		is, wasThere := now[path]
		if isThere != wasThere || !reflect.DeepEqual(was, is) {
			if !slices.Contains(changed, path) {
				changed = append(changed, path)
			}
		}
	}
	return changed
}

// walk visits every key that holds a value, those of lists of sections too.
func walk(path string, v reflect.Value, visit func(path, key string, v reflect.Value)) {
	for i := range v.NumField() {
		key, ok := v.Type().Field(i).Tag.Lookup("mapstructure")
		if !ok {
			continue
		}
		at, one := join(path, key), v.Field(i)
		if key == ",squash" {
			at = path
		}
		walkValue(at, key, one, visit)
	}
}

func walkValue(at, key string, one reflect.Value, visit func(path, key string, v reflect.Value)) {
	switch {
	case one.Kind() == reflect.Pointer && one.Type().Elem().Kind() == reflect.Struct:
		if !one.IsNil() {
			walk(at, one.Elem(), visit)
		}
	case one.Kind() == reflect.Struct && hasKeys(one.Type()):
		walk(at, one, visit)
	case one.Kind() == reflect.Slice && one.Type().Elem().Kind() == reflect.Struct && hasKeys(one.Type().Elem()):
		for i := range one.Len() {
			walk(fmt.Sprintf("%s[%d]", at, i), one.Index(i), visit)
		}
	default:
		visit(at, key, one)
	}
}

// hasKeys tells a section from a value that happens to be a struct.
func hasKeys(t reflect.Type) bool {
	for f := range t.Fields() {
		if _, ok := f.Tag.Lookup("mapstructure"); ok {
			return true
		}
	}
	return false
}
