package config

import "strings"

// AdminListen reads where the operators' listener is and whether it speaks TLS, from
// the same places as Load, and no more. Whoever asks
// how a gateway is needs neither its secrets nor a configuration that would
// start: a file that was edited into something faulty says nothing about the
// gateway that runs.
//
// The error is Faults: those of admin.listen, or of a file that can't be read at all.
func AdminListen(path string, environ []string) (Admin, error) {
	data, err := readConfiguration(path)
	if err != nil {
		return Admin{}, err
	}
	root, fault := parseYAML(path, data)
	if fault != nil {
		return Admin{}, Faults{*fault}
	}
	file, env := newReader(path), newReader(path)
	values := file.root(root)
	if values == nil {
		return Admin{}, file.faults
	}
	c, err := decode(values, env.environment(environ))
	if err != nil {
		return Admin{}, Faults{{File: path, Problem: "the configuration cannot be decoded"}}
	}
	c.source = source{file: path, places: file.places}
	check := &checker{Config: c, lost: lostPaths(file.broken, env.broken)}
	for _, f := range append(file.faults, env.faults...) {
		if f.Path == "admin" || f.Path == "admin.listen" || strings.HasPrefix(f.Path, "admin.tls") {
			check.faults = append(check.faults, f)
		}
	}
	if c.Admin.Listen != "" {
		check.listen("admin.listen", c.Admin.Listen)
	}
	if len(check.faults) > 0 {
		return Admin{}, check.faults
	}
	return c.Admin, nil
}
