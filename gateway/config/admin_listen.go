package config

// AdminListen reads admin.listen alone, from the same places as Load. Whoever asks
// how a gateway is needs neither its secrets nor a configuration that would
// start: a file that was edited into something faulty says nothing about the
// gateway that runs.
//
// The error is Faults: those of admin.listen, or of a file that can't be read at all.
func AdminListen(path string, environ []string) (string, error) {
	data, err := readConfiguration(path)
	if err != nil {
		return "", err
	}
	root, fault := parseYAML(path, data)
	if fault != nil {
		return "", Faults{*fault}
	}
	file, env := newReader(path), newReader(path)
	values := file.root(root)
	if values == nil {
		return "", file.faults
	}
	c, err := decode(values, env.environment(environ))
	if err != nil {
		return "", Faults{{File: path, Problem: "the configuration cannot be decoded"}}
	}
	c.source = source{file: path, places: file.places}
	check := &checker{Config: c, lost: lostPaths(file.broken, env.broken)}
	for _, f := range append(file.faults, env.faults...) {
		if f.Path == "admin" || f.Path == "admin.listen" {
			check.faults = append(check.faults, f)
		}
	}
	if c.Admin.Listen != "" {
		check.listen("admin.listen", c.Admin.Listen)
	}
	if len(check.faults) > 0 {
		return "", check.faults
	}
	return c.Admin.Listen, nil
}
