package gateway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestEveryConfigurationInTheDeployReadmesWorks builds a gateway from every YAML
// block there that is for Sallyport; others are for other programs.
func TestEveryConfigurationInTheDeployReadmesWorks(t *testing.T) {
	files, err := filepath.Glob("../deploy/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	secrets := secretsOfTheDocs(t)
	found := 0
	for _, file := range append(files, "../deploy/README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if !isOurs(t, m[1]) {
				continue
			}
			found++
			t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
				yaml := strings.NewReplacer("/run/secrets", secrets, "/run/credentials/sallyport.service", secrets).Replace(m[1])
				if err := checkBlock(t, yaml); err != nil {
					t.Errorf("%v\n%s", err, m[1])
				}
			})
		}
	}
	if found < 2 {
		t.Errorf("only %d blocks were found", found)
	}
}

// isOurs tells that one of the keys of a block is a section of our configuration.
func isOurs(t *testing.T, block string) bool {
	t.Helper()
	var keys map[string]any
	if yaml.Unmarshal([]byte(block), &keys) != nil {
		return false // several documents, or a list
	}
	ours := []string{"server", "admin", "session", "login", "tokens", "assertions", "policies", "routes", "forward_auth", "ext_authz", "compat", "pages"}
	return slices.ContainsFunc(ours, func(key string) bool { _, ok := keys[key]; return ok })
}

func TestEveryDeployFolderIsInTheTable(t *testing.T) {
	table, err := os.ReadFile("../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	folders, err := os.ReadDir("../deploy")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		readme := f.Name() + "/README.md"
		if _, err := os.Stat(filepath.Join("../deploy", readme)); err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(table), "["+f.Name()+"]("+readme+")") {
			t.Errorf("deploy/%s is not in the table of deploy/README.md", f.Name())
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([a-z]+/README\.md)\)`).FindAllStringSubmatch(string(table), -1) {
		if _, err := os.Stat(filepath.Join("../deploy", m[1])); err != nil {
			t.Errorf("deploy/README.md leads to %s: %v", m[1], err)
		}
	}
}
