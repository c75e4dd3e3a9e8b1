package config

import (
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// envPrefix begins every environment variable that is ours.
const envPrefix = "SALLYPORT_"

// environmentPlace begins the place of what a variable has set.
const environmentPlace = "environment "

// envName is the variable of a leaf key: SALLYPORT_SESSION__IDLE_TIMEOUT.
func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "__"))
}

// environment reads the variables of environ that set a key, by path. A name
// that is unknown is a fault only if it has a double underscore: container
// platforms make names such as SALLYPORT_PORT and SALLYPORT_SERVICE_HOST by
// themselves.
func (r *reader) environment(environ []string) map[string]any {
	values := map[string]any{}
	known := leaves(new(Config))
	last := map[string]string{} // as in a process, the last of equal names counts
	var order []string
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(name, envPrefix) {
			continue
		}
		if _, again := last[name]; !again {
			order = append(order, name)
		}
		last[name] = value
	}
	for _, name := range order {
		one := reader{file: environmentPlace + excerpt(name), places: r.places}
		if l, ok := leafOf(known, name); ok {
			r.places[l.path] = place{file: one.file}
			if v, ok := one.variable(l, last[name]); ok {
				values[l.path] = v
			} else {
				one.broken = append(one.broken, l.path)
			}
		} else if strings.Contains(name, "__") {
			one.unknownVariable(known, name)
		}
		r.faults = append(r.faults, one.faults...)
		r.broken = append(r.broken, one.broken...)
	}
	return values
}

func leafOf(known []leaf, name string) (leaf, bool) {
	for _, l := range known {
		if envName(l.path) == name {
			return l, true
		}
	}
	return leaf{}, false
}

func (r *reader) unknownVariable(known []leaf, name string) {
	names := make([]string, len(known))
	for i, l := range known {
		names[i] = envName(l.path)
		if l.kind.Kind() == reflect.Slice && strings.HasPrefix(name, names[i]+"__") {
			r.report(nil, "", "sets a part of a list", "write the whole list as one YAML value: "+names[i]+"='[...]'")
			return
		}
	}
	fix := "unset it; levels are separated by __, as in SALLYPORT_SESSION__IDLE_TIMEOUT"
	if near, ok := nearest(name, names); ok {
		fix = "did you mean " + near + "?"
	}
	r.report(nil, "", "is not a known setting", fix)
}

// variable reads one value. Text is taken as it stands; a list or a section is YAML.
func (r *reader) variable(l leaf, value string) (any, bool) {
	if value == "" && holdsSecretOrFile(l.field) {
		// A secret that was lost on the way must never look like one that was
		// not configured.
		r.fault(nil, l.path, "is set but empty", "give it a value, or unset it")
		return nil, false
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: value}
	switch {
	case l.kind.Kind() == reflect.Slice, l.kind.Kind() == reflect.Pointer:
		root, fault := parseYAML(r.file, []byte(value))
		if fault != nil {
			problem, fix := fault.Problem, "write one YAML list, such as '[a, b]'"
			if l.kind.Kind() == reflect.Pointer {
				fix = "write one YAML value, such as '{groups: [a, b]}'"
			} else if strings.TrimSpace(value) == "" {
				fix = "write [] for an empty list, or unset it"
			}
			if strings.TrimSpace(value) == "" {
				problem = "is set but empty"
			}
			r.fault(nil, l.path, strings.TrimPrefix(problem, "the file "), fix)
			return nil, false
		}
		n = root
	case l.kind.Kind() == reflect.String || l.kind == reflect.TypeFor[time.Duration]():
		n.Tag = "!!str"
	case l.size && strings.TrimLeft(value, "-0123456789") != "":
		n.Tag = "!!str"
	}
	return r.read(n, l.field, l.path)
}

func holdsSecretOrFile(f field) bool {
	return f.kind == reflect.TypeFor[Secret]() || strings.HasSuffix(f.name, "_file") || strings.HasSuffix(f.name, "_files")
}
