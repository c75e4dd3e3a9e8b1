package compat

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/google/shlex"
	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
)

// maxSource is the largest file that is read, in bytes.
const maxSource = 1 << 20

// deepest is how deep YAML is looked into.
const deepest = 32

// form is what a source is written in. Later ones win over earlier ones.
type form uint8

const (
	configFile form = iota
	alphaFile
	environment
	commandLine
)

// found is one setting, by the name that the configuration file has for it.
type found struct {
	form   form
	key    string
	values []string
	where  string // the value is, if it is not here
}

// reader collects what the sources say.
type reader struct {
	found []found
	alpha *alpha
}

func readSources(sources []Source) (*settings, error) {
	if len(sources) == 0 {
		return nil, &FormatError{"nothing", "no file was given"}
	}
	r := &reader{}
	for _, s := range sources {
		if err := r.read(s); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(r.found, func(a, b found) int { return cmp.Compare(a.form, b.form) })
	in := newSettings()
	for _, f := range r.found {
		in.put(f.key, f.values)
		if in.elsewhere[f.key] = f.where; f.where == "" {
			delete(in.elsewhere, f.key)
		}
	}
	in.alpha = r.alpha
	return in, nil
}

var environmentLine = regexp.MustCompile(`(?m)^\s*(?:export\s+)?OAUTH2_PROXY_[A-Z0-9_]+=`)

// read finds out what a source is: environment, then TOML, then YAML, then a command
// line. None of them can be taken for one that comes before.
func (r *reader) read(s Source) error {
	if len(s.Data) > maxSource {
		return &FormatError{s.Name, "it is larger than 1 MiB: name the right file"}
	}
	if environmentLine.Match(s.Data) && !bytes.Contains(s.Data, []byte("ExecStart=")) {
		return r.environment(s)
	}
	var table map[string]any
	tomlErr := toml.Unmarshal(s.Data, &table)
	if tomlErr == nil {
		if len(table) == 0 {
			return &FormatError{s.Name, "it has no setting: every line is a comment, or there is none"}
		}
		r.table(table)
		return nil
	}
	if known, err := r.documents(s); known || err != nil {
		return err
	}
	if at := regexp.MustCompile(`(?:^|\s)--?[a-z][a-z0-9-]+`).FindIndex(s.Data); at != nil {
		return r.words(s.Name, string(s.Data[at[0]:]))
	}
	problem := "it is neither a configuration file of oauth2-proxy (TOML), nor its alpha configuration (YAML), nor OAUTH2_PROXY_ variables, nor a command line"
	if e, ok := errors.AsType[*toml.DecodeError](tomlErr); ok {
		line, _ := e.Position()
		problem += fmt.Sprintf("; as TOML, line %d is wrong", line)
	}
	return &FormatError{s.Name, problem}
}

// add keeps a setting. Values of a list may stand behind one another with commas.
func (r *reader) add(from form, name string, values []string, commas bool) {
	key := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	if list, ok := lists()[key]; ok {
		key = list
		if commas {
			values = strings.Split(strings.Join(values, ","), ",")
		}
		values = slices.DeleteFunc(values, func(v string) bool { return strings.TrimSpace(v) == "" })
		for i, earlier := range r.found {
			if earlier.form == from && earlier.key == key && from == commandLine {
				r.found[i].values = append(earlier.values, values...)
				return
			}
		}
	}
	f := found{form: from, key: key, values: values}
	if len(values) == 1 && reference.MatchString(values[0]) {
		f.values, f.where = nil, "in the variable "+strings.Trim(values[0], "${}()")
	}
	r.found = append(r.found, f)
}

// reference is a variable that whoever starts the program fills in.
var reference = regexp.MustCompile(`^\$(?:\([A-Za-z0-9_]+\)|\{[A-Za-z0-9_]+\})$`)

func (r *reader) table(table map[string]any) {
	keys := make([]string, 0, len(table))
	for key := range table {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		switch v := table[key].(type) {
		case []any:
			values := make([]string, len(v))
			for i, one := range v {
				values[i] = fmt.Sprint(one)
			}
			r.add(configFile, key, values, false)
		default:
			r.add(configFile, key, []string{fmt.Sprint(v)}, true)
		}
	}
}

// environment reads NAME=VALUE lines, as env files of containers and of systemd have
// them.
func (r *reader) environment(s Source) error {
	for n, line := range strings.Split(string(s.Data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if !ok {
			return &FormatError{s.Name, fmt.Sprintf("line %d is not NAME=VALUE", n+1)}
		}
		if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		r.variable(strings.TrimSpace(name), value)
	}
	return nil
}

func (r *reader) variable(name, value string) {
	if key, ok := strings.CutPrefix(name, "OAUTH2_PROXY_"); ok {
		r.add(environment, key, []string{value}, true)
	}
}

// words reads a command line as a shell would.
func (r *reader) words(name, line string) error {
	line = strings.ReplaceAll(strings.ReplaceAll(line, "\\\r\n", " "), "\\\n", " ")
	words, err := shlex.Split(line)
	if err != nil {
		return &FormatError{name, "a quote of the command line does not end"}
	}
	r.arguments(words)
	return nil
}

func (r *reader) arguments(words []string) {
	for i := 0; i < len(words); i++ {
		name, dashed := strings.CutPrefix(words[i], "-")
		name = strings.TrimPrefix(name, "-")
		if !dashed || name == "" {
			continue // the program itself, or what stands behind --
		}
		name, value, given := strings.Cut(name, "=")
		key := strings.ReplaceAll(name, "-", "_")
		switch boolean := slices.Contains(booleans(), key); {
		case given:
		case boolean:
			value = "true"
		case i+1 < len(words):
			i++
			value = words[i]
		}
		r.add(commandLine, name, []string{value}, true)
	}
}

// documents reads YAML: the alpha configuration, arguments, or manifests that hold
// them. known is false where it is something else.
func (r *reader) documents(s Source) (known bool, _ error) {
	dec := yaml.NewDecoder(bytes.NewReader(s.Data))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return known, nil
		} else if err != nil {
			return false, nil //nolint:nilerr // no YAML: something else, then
		}
		if len(doc.Content) == 0 {
			continue
		}
		root := doc.Content[0]
		if root.Kind == yaml.MappingNode && isAlpha(root) {
			if err := r.readAlpha(s.Name, root); err != nil {
				return false, err
			}
			known = true
			continue
		}
		known = r.manifest(root, 0) || known
	}
}

// manifest looks for the arguments and variables of a container, however deep.
func (r *reader) manifest(n *yaml.Node, depth int) (known bool) {
	if depth > deepest {
		return false
	}
	if n.Kind == yaml.SequenceNode && isArguments(n) {
		var words []string
		for _, one := range n.Content {
			words = append(words, one.Value)
		}
		r.arguments(words)
		return true
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, n.Content[i+1]
			switch {
			case key == "env" || key == "environment":
				known = r.variables(value) || known
			case (key == "command" || key == "args") && value.Kind == yaml.ScalarNode && strings.Contains(value.Value, "--"):
				known = r.words("", value.Value[strings.Index(value.Value, "--"):]) == nil || known
			default:
				known = r.manifest(value, depth+1) || known
			}
		}
		return known
	}
	for _, one := range n.Content {
		known = r.manifest(one, depth+1) || known
	}
	return known
}

func isArguments(n *yaml.Node) bool {
	flag := func(one *yaml.Node) bool { return one.Kind == yaml.ScalarNode && strings.HasPrefix(one.Value, "--") }
	scalar := func(one *yaml.Node) bool { return one.Kind == yaml.ScalarNode }
	return slices.ContainsFunc(n.Content, flag) && !slices.ContainsFunc(n.Content, func(one *yaml.Node) bool { return !scalar(one) })
}

// variables reads env of a container: {name, value} of Kubernetes, or NAME: VALUE and
// NAME=VALUE of compose. A value that is elsewhere stays there.
func (r *reader) variables(n *yaml.Node) (known bool) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			known = strings.HasPrefix(n.Content[i].Value, "OAUTH2_PROXY_") || known
			r.variable(n.Content[i].Value, n.Content[i+1].Value)
		}
		return known
	}
	for _, one := range n.Content {
		if one.Kind == yaml.ScalarNode {
			name, value, _ := strings.Cut(one.Value, "=")
			known = strings.HasPrefix(name, "OAUTH2_PROXY_") || known
			r.variable(name, value)
			continue
		}
		var v struct {
			Name, Value string
			ValueFrom   struct {
				SecretKeyRef    struct{ Name, Key string } `yaml:"secretKeyRef"`
				ConfigMapKeyRef struct{ Name, Key string } `yaml:"configMapKeyRef"`
			} `yaml:"valueFrom"`
		}
		key, ours := "", false
		if one.Decode(&v) == nil {
			key, ours = strings.CutPrefix(v.Name, "OAUTH2_PROXY_")
		}
		if !ours {
			continue
		}
		known = true
		ref, kind := v.ValueFrom.SecretKeyRef, "Secret"
		if ref.Name == "" {
			ref, kind = v.ValueFrom.ConfigMapKeyRef, "ConfigMap"
		}
		if ref.Name == "" {
			r.variable(v.Name, v.Value)
			continue
		}
		where := "at the key " + oneLine(ref.Key) + " of the " + kind + " " + oneLine(ref.Name)
		r.found = append(r.found, found{form: environment, key: strings.ToLower(key), where: where})
	}
	return known
}
