package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway/config"
)

func TestJSONSchemaIsThatOfTheConfiguration(t *testing.T) {
	want := generateSchema(t)
	for _, file := range []string{"config.schema.json", "../../docs/config.schema.json"} {
		if *update {
			if err := os.WriteFile(file, want, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not that of the configuration of today: run go test ./gateway/config -update", file)
		}
	}
	if !*update && !bytes.Equal(config.JSONSchema(), want) {
		t.Error("what the program has is another one")
	}
}

// validator compiles the generated schema.
func validator(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(generateSchema(t)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// sound are configurations that nothing is wrong with: those of the tests, of the
// pages, and those that are shipped.
func sound(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, pattern := range []string{"testdata/good/*.yaml", shipped, "../../deploy/*/config.yaml", "../../deploy/kubernetes/base/config.yaml", "../../deploy/kubernetes/overlays/*/config.yaml"} {
		for _, file := range glob(t, pattern) {
			all[file] = read(file)
		}
	}
	all["every setting of "+shipped] = regexp.MustCompile(`(?m)^( *)#([^\s#])`).ReplaceAllString(all[shipped], "$1$2")
	block := regexp.MustCompile("(?s)```yaml[^\n]*\n(.*?)```")
	pages := slices.Concat(glob(t, "../../docs/*.md"), glob(t, "../../deploy/*/README.md"), glob(t, "../../*.md"))
	for _, page := range pages {
		for i, m := range block.FindAllStringSubmatch(read(page), -1) {
			if _, err := config.Parse(page, []byte(m[1]), nil); onlyFiles(err) {
				all[fmt.Sprintf("%s, block %d", page, i)] = m[1]
			}
		}
	}
	return all
}

// onlyFiles tells that nothing is wrong but that files are not there.
func onlyFiles(err error) bool {
	faults, _ := errors.AsType[config.Faults](err)
	return !slices.ContainsFunc(faults, func(f config.Fault) bool { return !strings.Contains(f.Problem, "cannot be read") })
}

func parsed(t *testing.T, text string) (*yaml.Node, any) {
	t.Helper()
	var n yaml.Node
	var v any
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return &n, v
}

func TestJSONSchemaAcceptsWhatIsSound(t *testing.T) {
	schema := validator(t)
	all := sound(t)
	if len(all) < 80 {
		t.Errorf("only %d configurations were found", len(all))
	}
	for name, text := range all {
		if _, v := parsed(t, text); schema.Validate(v) != nil {
			t.Errorf("%s: %v", name, schema.Validate(v))
		}
	}
}

// TestJSONSchemaRefusesEveryMisspeltKey changes one key at a time.
func TestJSONSchemaRefusesEveryMisspeltKey(t *testing.T) {
	schema := validator(t)
	seen := map[string]bool{}
	for name, text := range sound(t) {
		n, _ := parsed(t, text)
		eachKey(n, "", func(key *yaml.Node, path string) {
			if seen[path] {
				return
			}
			seen[path] = true
			right := key.Value
			key.Value = right[:len(right)-1] + "_" // never a key
			var v any
			if err := n.Decode(&v); err != nil {
				t.Fatal(err)
			}
			if schema.Validate(v) == nil {
				t.Errorf("%s: %s instead of %s is accepted", name, key.Value, path)
			}
			key.Value = right
		})
	}
	if len(seen) < 200 {
		t.Errorf("only %d keys were misspelt", len(seen))
	}
}

func eachKey(n *yaml.Node, path string, visit func(key *yaml.Node, path string)) {
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			eachKey(child, path, visit)
		}
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at := path + "." + n.Content[i].Value
		visit(n.Content[i], at)
		eachKey(n.Content[i+1], at, visit)
	}
}

func TestJSONSchemaRefusesWrongTypes(t *testing.T) {
	schema := validator(t)
	for _, text := range []string{
		"server: {listen: 8080}", "server: {trusted_proxies: 10.0.0.1}", "session: {idle_timeout: 300}", "session: {idle_timeout: 300x}",
		"session: {cookie: {same_site: laxx}}", "session: {cache: {max_bytes: 64MB}}", "routes: {name: app}", "routes: [{name: app, public: yes please}]",
		"routes: [{paths: [/]}]", "login: {providers: [{name: corp}]}", "tokens: {issuers: [{algorithms: [none]}]}", "session: {max_per_user: 1.5}",
		"server: {tls: {min_version: 1.2}}", "lint: {ignore: [{code: SP010}]}",
	} {
		if _, v := parsed(t, text); schema.Validate(v) == nil {
			t.Errorf("accepts %s", text)
		}
	}
}

// TestJSONSchemaHasTheValuesThatTheCheckerHas: of every closed list, it knows just
// those that a message about another value names.
func TestJSONSchemaHasTheValuesThatTheCheckerHas(t *testing.T) {
	for path, list := range closedLists() {
		cfg := strings.ReplaceAll(list.file, "VALUE", "bogusvalue")
		_, err := config.Parse("config.yaml", []byte(cfg), nil)
		faults, _ := errors.AsType[config.Faults](err)
		want := "write " + strings.Join(list.values[:len(list.values)-1], ", ") + " or " + list.values[len(list.values)-1]
		if !slices.ContainsFunc(faults, func(f config.Fault) bool { return f.Fix == want }) {
			t.Errorf("%s: the checker does not say %q: %v", path, want, err)
		}
	}
}

// Whoever opens the committed configuration in an editor has its schema.
func TestCommittedConfigurationNamesItsSchema(t *testing.T) {
	for _, file := range []string{shipped} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		name, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
		if !ok {
			t.Fatalf("%s begins with %q", file, first)
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), name)); err != nil {
			t.Error(err)
		}
	}
}
