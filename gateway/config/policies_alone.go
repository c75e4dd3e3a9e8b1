package config

import (
	"path/filepath"
	"reflect"

	"go.yaml.in/yaml/v3"
)

const policiesExample = "write policies: [{name: staff, rules: [{allow: {groups: [staff]}}]}]"

// ParsePolicies reads a file that has policies and nothing else, as tests of policies
// have it, with the checks and the faults that Parse has for them. Everything else of
// the Config is as by default: nothing could be served with it.
//
// Relative file names start at dir, or at the working directory where that is empty.
func ParsePolicies(dir, name string, data []byte) (*Config, error) {
	root, fault := parseYAML(name, data)
	if fault != nil {
		if *fault == *emptyFile(name) {
			fault.Fix = policiesExample
		}
		return nil, Faults{*fault}
	}
	file := newReader(name)
	file.part = true
	values := file.policies(root)
	c, err := decode(values, nil)
	if err != nil {
		return nil, Faults{{File: name, Problem: "the policies cannot be decoded"}}
	}
	c.source = source{file: name, places: file.places, dir: dir}
	c.entryDefaults()
	check := &checker{Config: c, lost: lostPaths(file.broken)}
	check.policies()
	if len(c.Policies) == 0 {
		check.missing("policies", "is missing or empty", policiesExample)
	}
	if faults := append(file.faults, check.faults...); len(faults) > 0 {
		faults.sort(name)
		return nil, faults
	}
	return c, nil
}

// policies reads a document that may have no other key.
func (r *reader) policies(n *yaml.Node) map[string]any {
	type alone struct {
		Policies []Policy `mapstructure:"policies"`
	}
	value, ok := r.read(n, field{kind: reflect.TypeFor[alone]()}, "")
	if !ok {
		return nil
	}
	return value.(map[string]any)
}

// FileName is where a file lies that the configuration names.
func (c *Config) FileName(name string) string {
	if c.source.dir == "" || name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.source.dir, name)
}
