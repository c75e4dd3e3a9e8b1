package gateway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// TestEveryConfigurationInTheDocsWorks builds a gateway from every YAML block,
// as a reader who copies one would.
func TestEveryConfigurationInTheDocsWorks(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a client secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			found++
			t.Run(filepath.Base(file), func(t *testing.T) {
				yaml := strings.ReplaceAll(m[1], "/run/secrets/oidc", secret)
				cfg, err := config.Parse("block", []byte(yaml), nil)
				if err == nil {
					err = gateway.Check(t.Context(), cfg)
				}
				if err != nil {
					t.Errorf("%v\n%s", err, m[1])
				}
			})
		}
	}
	if found < 5 {
		t.Errorf("only %d blocks were found", found)
	}
}

func TestCommittedConfigurationBuilds(t *testing.T) {
	cfg, err := config.Load("../config.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Check(t.Context(), cfg); err != nil {
		t.Error(err)
	}
}
