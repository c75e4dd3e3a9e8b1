package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/lint"
)

// copied are the configurations that people copy, by where they stand: those of the
// pages, the committed one, and those of deploy.
func copied(t *testing.T) map[string][]string {
	t.Helper()
	texts := map[string][]string{}
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	glob := func(pattern string) []string {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		return files
	}
	for _, page := range append(append(glob("../docs/*.md"), glob("../deploy/*/README.md")...), "../README.md", "../deploy/README.md") {
		if filepath.Base(page) == "lint.md" { // its blocks are what it is about
			continue
		}
		name := strings.TrimPrefix(page, "../")
		for _, m := range yamlBlock.FindAllStringSubmatch(read(page), -1) {
			texts[name] = append(texts[name], m[1])
		}
	}
	for _, pattern := range []string{"../config.yaml", "../deploy/*/config.yaml", "../deploy/kubernetes/base/config.yaml", "../deploy/kubernetes/overlays/*/config.yaml"} {
		for _, file := range glob(pattern) {
			texts[strings.TrimPrefix(file, "../")] = []string{read(file)}
		}
	}
	return texts
}

// mounted puts a folder of files where configurations name the secrets of a
// container, of a pod, and of a service of systemd.
func mounted(t *testing.T) *strings.Replacer {
	t.Helper()
	secrets := secretsOfTheDocs(t)
	for name, as := range map[string]string{
		"admin-token": "admin", "valkey-password": "valkey", "oidc-client-secret": "oidc", "tls.crt": "app.crt", "tls.key": "app.key",
	} {
		if err := os.Symlink(as, filepath.Join(secrets, name)); err != nil {
			t.Fatal(err)
		}
	}
	return strings.NewReplacer("/run/secrets/sallyport", secrets, "/run/secrets", secrets, "/run/credentials/sallyport.service", secrets)
}

// TestConfigurationsThatPeopleCopyAreClean: nothing in them is weak, in settings or
// in policies, but where a page shows it for what it is, or the file itself says why
// it is meant so.
func TestConfigurationsThatPeopleCopyAreClean(t *testing.T) {
	t.Parallel()
	meant := map[string]int{
		"docs/providers.md: anyone_signed_in":      3, // ways to sign in, each for itself
		"docs/policy-lint.md: require_never_asked": 1,
		"docs/policy-lint.md: loose_text":          1,
		"docs/forward-auth.md: SP021":              1, // one sign-in for the applications of all subdomains
		"docs/migrate-oauth2-proxy.md: SP021":      1, // what oauth2-proxy was told
		"docs/migrate-oauth2-proxy.md: SP022":      1,
	}
	files := mounted(t)
	linted := 0
	for name, blocks := range copied(t) {
		for _, block := range blocks {
			cfg, err := config.Parse("block", []byte(files.Replace(block)), nil)
			if err != nil {
				continue // policies alone, or cases
			}
			found, err := gateway.Weaknesses(cfg, ofTheDocs)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			linted++
			for _, f := range found {
				key := name + ": " + f.Code
				if f.Severity == lint.Note || f.Silenced != "" {
					continue
				}
				// Pages that are about something else make do without a provider.
				if f.Code == "SP067" && strings.HasPrefix(name, "docs/") {
					continue
				}
				if _, known := meant[key]; !known {
					t.Errorf("%s:%d: %s %s: %s", name, f.Line, f.Code, f.Path, f.Problem)
					continue
				}
				meant[key]--
			}
		}
	}
	for key, n := range meant {
		if n != 0 {
			t.Errorf("%s: %d findings less than were known", key, n)
		}
	}
	if linted < 40 {
		t.Errorf("only %d configurations were linted", linted)
	}
}
