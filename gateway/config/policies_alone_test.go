package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

func TestPoliciesCanStandAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "admins.txt"), []byte("root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.ParsePolicies(dir, "policies.yaml", []byte("policies: [{name: staff, rules: [{allow: {subjects_file: admins.txt}}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	file := c.Policies[0].Rules[0].Allow.SubjectsFile
	if file != "admins.txt" || c.FileName(file) != filepath.Join(dir, "admins.txt") {
		t.Errorf("the file is %s, found at %s", file, c.FileName(file))
	}
	if absolute := filepath.Join(dir, "x"); c.FileName(absolute) != absolute || c.FileName("") != "" {
		t.Errorf("%s is found at %s", absolute, c.FileName(absolute))
	}
}

func TestPoliciesAloneAreCheckedAsInAConfiguration(t *testing.T) {
	_, err := config.ParsePolicies(t.TempDir(), "policies.yaml", []byte(`policies:
  - {name: staff, rules: [{allow: {groups: []}, deny: {groups: [a]}}], mod: shadow}
  - {name: staff, rules: [{allow: {groups_file: none.txt}}]}
routes: []
`))
	faults, ok := errors.AsType[config.Faults](err)
	if !ok || len(faults) != 5 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{
		"policies.yaml:2: policies[0].mod: is not a known key: did you mean mode?",
		"policies.yaml:2: policies[0].rules[0]: has both allow and deny",
		`policies.yaml:3: policies[1].name: "staff" is the name of policies[0] already`,
		`policies.yaml:3: policies[1].rules[0].allow.groups_file: the file "none.txt" cannot be read`,
		"policies.yaml:4: routes: is not a known key: known here: policies",
	} {
		if !strings.HasPrefix(faults[i].Error(), want) {
			t.Errorf("%v, want %s", faults[i], want)
		}
	}
	for text, want := range map[string]string{
		"":             "p.yaml: the file is empty: write policies",
		"policies: []": "p.yaml:1: policies: is missing or empty: write policies",
		"[a]":          "p.yaml:1: must be a section of keys, not a list",
		"policies: [":  "this is not YAML",
	} {
		c, err := config.ParsePolicies("", "p.yaml", []byte(text))
		if _, ok := errors.AsType[config.Faults](err); !ok || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// TestAConfigurationCanStartElsewhere: every file that it names is looked for there.
func TestAConfigurationCanStartElsewhere(t *testing.T) {
	dir := t.TempDir()
	const text = `
login: {providers: [{name: corp, type: oidc, issuer: "https://id.example.com", client_id: app, client_secret_file: secret.txt, ca_file: ca.pem}]}
pages: {logo_file: logo.svg}
routes: [{name: app, upstream: "builtin:echo", policy: authenticated}]
`
	_, err := config.ParseIn(dir, "config.yaml", []byte(text), nil)
	for _, name := range []string{"secret.txt", "ca.pem", "logo.svg"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not miss %s", err, name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil && strings.Contains(err.Error(), dir) {
		t.Errorf("%v shows where it is", err)
	}
	if _, err := config.ParseIn(dir, "config.yaml", []byte(text), nil); err != nil {
		t.Error(err)
	}
}
