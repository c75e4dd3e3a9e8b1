package gateway_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// lintRow is a row of the table of docs/policy-lint.md.
type lintRow struct {
	code, severity, bad, good string
}

func lintRows(t *testing.T) []lintRow {
	t.Helper()
	text, err := os.ReadFile("../docs/policy-lint.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []lintRow
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\w+) \\| .* \\| `(.*)` \\| `(.*)` \\|$").FindAllStringSubmatch(string(text), -1) {
		pipes := strings.NewReplacer(`\|`, "|")
		rows = append(rows, lintRow{m[1], m[2], pipes.Replace(m[3]), pipes.Replace(m[4])})
	}
	return rows
}

func TestEveryFindingIsInTheReferenceAndNoOther(t *testing.T) {
	t.Parallel()
	var documented, known []string
	for _, row := range lintRows(t) {
		documented = append(documented, row.code+" "+row.severity)
	}
	for _, c := range gateway.LintCodes() {
		known = append(known, c.Code+" "+c.Severity.String())
	}
	slices.Sort(documented)
	slices.Sort(known)
	if !slices.Equal(documented, known) {
		t.Errorf("documented %q\nknown %q", documented, known)
	}
}

// TestExamplesOfFindingsHaveThem: what stands in the table is what the command says
// of it, and of what is to be written instead it says nothing.
func TestExamplesOfFindingsHaveThem(t *testing.T) {
	t.Parallel()
	lists := t.TempDir()
	for name, text := range map[string]string{"nobody.txt": "# nobody\n", "guests.txt": "ann@partner.example\n", "networks.txt": "203.0.113.0/24\n"} {
		if err := os.WriteFile(filepath.Join(lists, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range lintRows(t) {
		t.Run(row.code, func(t *testing.T) {
			bad := lintExample(t, lists, row.bad)
			for _, f := range bad {
				if f.Code != row.code && f.Severity != "note" {
					t.Errorf("it also has %s: %s", f.Code, f.Problem)
				}
			}
			if !slices.ContainsFunc(bad, func(f gateway.LintFinding) bool { return f.Code == row.code }) {
				t.Errorf("the example has %+v", bad)
			}
			for _, f := range lintExample(t, lists, row.good) {
				if f.Code == row.code || f.Severity != "note" {
					t.Errorf("what is to be written has %s: %s", f.Code, f.Problem)
				}
			}
		})
	}
}

// lintExample builds a configuration around the parts of a policy, and lints it.
func lintExample(t *testing.T, lists, text string) []gateway.LintFinding {
	t.Helper()
	p := map[string]any{}
	if err := yaml.Unmarshal([]byte("{"+strings.ReplaceAll(text, listsFolder, lists)+"}"), &p); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	route := map[string]any{"name": "app", "upstream": "builtin:echo", "policy": "p", "headers": []any{map[string]any{"name": "X-Issuer", "claim": "iss"}}}
	if given, ok := p["route"].(map[string]any); ok {
		maps.Copy(route, given)
	}
	names, ok := p["providers"].([]any)
	if !ok {
		names = []any{"corp"}
	}
	var providers []any
	for _, name := range names {
		providers = append(providers, map[string]any{"name": name, "type": "oidc", "issuer": "https://" + name.(string) + ".example.com", "client_id": "app", "client_secret": "s"})
	}
	delete(p, "route")
	delete(p, "providers")
	p["name"] = "p"
	file, err := yaml.Marshal(map[string]any{
		"server": map[string]any{"public_url": "https://app.example.com"},
		"login":  map[string]any{"providers": providers},
		"tokens": map[string]any{"issuers": []any{map[string]any{"issuer": "https://corp.example.com", "audiences": []any{"api"}}}},
		"routes": []any{route}, "policies": []any{p},
	})
	if err != nil {
		t.Fatal(err)
	}
	return lintText(t, string(file))
}

func lintText(t *testing.T, file string) []gateway.LintFinding {
	t.Helper()
	cfg, err := config.Parse("config.yaml", []byte(file), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	if err := gateway.Check(t.Context(), cfg); err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	found, err := gateway.LintPolicies(cfg, ofTheDocs)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	return found
}
