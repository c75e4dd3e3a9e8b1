package config

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// maxFile is the largest configuration that is read, in bytes.
const maxFile = 1 << 20

// Load reads the file at path and environ (in the form of os.Environ) over the
// defaults and checks the whole, with every file that it names. Relative file
// names, in the configuration too, are relative to the working directory.
//
// The error is Faults: everything that is wrong, at once. With an error there
// is no Config.
func Load(path string, environ []string) (*Config, error) {
	return sound(LoadDraft(path, environ))
}

// LoadDraft is Load for those who look for further faults: along with Faults it returns
// what could be read, which nobody may be judged by; nil where that is nothing.
func LoadDraft(path string, environ []string) (*Config, error) {
	data, err := readConfiguration(path)
	if err != nil {
		return nil, err
	}
	return ParseDraft(path, data, environ)
}

func sound(c *Config, err error) (*Config, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// readConfiguration reads one byte more than a configuration may have.
func readConfiguration(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	return data, nil
}

func unreadable(path string, err error) Faults {
	return Faults{{File: path, Problem: "the file " + fileProblem(err), Fix: "name the configuration file with -c FILE"}}
}

// fileProblem words err without the operation and the name that it carries.
func fileProblem(err error) string {
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err
	}
	return "cannot be read (" + err.Error() + ")"
}

// Parse is Load for bytes; name stands for the file in messages.
func Parse(name string, data []byte, environ []string) (*Config, error) {
	return ParseIn("", name, data, environ)
}

// ParseIn is Parse where relative file names start at dir. It is for those who
// compile the policies alone: everything else starts at the working directory.
func ParseIn(dir, name string, data []byte, environ []string) (*Config, error) {
	return sound(parse(dir, name, data, environ))
}

// ParseDraft is LoadDraft for bytes; name stands for the file in messages.
func ParseDraft(name string, data []byte, environ []string) (*Config, error) {
	return parse("", name, data, environ)
}

func parse(dir, name string, data []byte, environ []string) (*Config, error) {
	root, fault := parseYAML(name, data)
	if fault != nil {
		return nil, Faults{*fault}
	}

	file := newReader(name)
	fileValues := file.root(root)
	env := newReader(name)
	envValues := env.environment(environ)

	c, err := decode(fileValues, envValues)
	if err != nil {
		return nil, Faults{{File: name, Problem: "the configuration cannot be decoded"}}
	}
	c.source = source{file: name, places: file.places, dir: dir}
	forget(c.source.places, envValues)
	maps.Copy(c.source.places, env.places)

	check := &checker{Config: c, lost: lostPaths(file.broken, env.broken)}
	check.expandShortForm()
	c.entryDefaults()
	check.server()
	check.ingress()
	check.session()
	check.login()
	check.signOut()
	check.tokens()
	check.introspection()
	check.assertions()
	check.pages()
	check.policies()
	check.routes()
	check.stepUp()
	check.loginLimits()
	check.refresh()
	check.log()
	check.audit()
	check.tracing()
	check.lint()

	faults := slices.Concat(file.faults, env.faults, check.faults)
	if len(faults) > 0 {
		faults.sort(name)
		return c, faults
	}
	return c, nil
}

// forget drops everything at and below the paths that the environment replaces.
func forget(places map[string]place, replaced map[string]any) {
	for p := range places {
		for above := range upwards(p) {
			if _, ok := replaced[above]; ok {
				delete(places, p)
			}
		}
	}
}

// decode lays the environment over the file over the defaults. Both are
// checked against the schema already, so the decoder converts nothing.
func decode(file, env map[string]any) (*Config, error) {
	const delimiter = "::" // the usual dot would split keys such as host names
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	for _, l := range leaves(Default()) {
		if !l.value.IsZero() {
			v.SetDefault(strings.ReplaceAll(l.path, ".", delimiter), l.value.Interface())
		}
	}
	if err := v.MergeConfigMap(file); err != nil {
		return nil, err
	}
	for path, value := range env {
		v.Set(strings.ReplaceAll(path, ".", delimiter), value)
	}
	c := new(Config)
	err := v.UnmarshalExact(c, func(d *mapstructure.DecoderConfig) {
		d.WeaklyTypedInput = false
		d.DecodeHook = nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}
