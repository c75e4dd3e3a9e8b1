package gateway_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/policy/policytest"
)

// TestEveryConfigurationInTheDocsWorks builds a gateway from every YAML block,
// as a reader who copies one would. A block of policies alone is put into a
// configuration with a route for each of them; cases for policies are read.
func TestEveryConfigurationInTheDocsWorks(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	secrets := secretsOfTheDocs(t)
	found := 0
	for _, file := range append(files, "../README.md") {
		if filepath.Base(file) == "lint.md" { // parts, and weak ones: TestWeakExamplesHaveTheirCodesOnTheirLines has them
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lists := listsOf(t, string(text))
		for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			found++
			t.Run(filepath.Base(file), func(t *testing.T) {
				yaml := strings.NewReplacer("/run/secrets", secrets, listsFolder, lists,
					"token_file: admin.token", "token_file: "+secrets+"/admin", "secret_file: oidc.secret", "secret_file: "+secrets+"/oidc",
					"file: users.yaml", "file: "+secrets+"/users.yaml").Replace(m[1])
				if err := checkBlock(t, yaml); err != nil {
					t.Errorf("%v\n%s", err, m[1])
				}
			})
		}
	}
	if found < 5 {
		t.Errorf("only %d blocks were found", found)
	}
}

func checkBlock(t *testing.T, yaml string) error {
	t.Helper()
	if isCases(yaml) {
		_, err := policytest.Parse("block", []byte(yaml), time.Now())
		return err
	}
	if isPolicies(yaml) {
		alone, err := config.ParsePolicies("", "block", []byte(yaml))
		if err != nil {
			return err
		}
		yaml += "login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}\nroutes:\n"
		for i := range alone.Policies {
			name := alone.Policies[i].Name
			yaml += fmt.Sprintf("  - {name: %q, paths: [/%d], upstream: \"builtin:echo\", policy: %q}\n", name, i, name)
		}
	}
	cfg, err := config.Parse("block", []byte(yaml), nil)
	if err != nil {
		return err
	}
	return gateway.Check(t.Context(), cfg)
}

// secretsOfTheDocs makes a folder of the files that examples name below
// /run/secrets.
func secretsOfTheDocs(t *testing.T) string {
	t.Helper()
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	cert, key, _ := certificate(t, "app.example.com")
	hash, err := gateway.HashPassword("a password")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"oidc":            "a client secret\n",
		"github":          "a client secret\n",
		"gitlab":          "a client secret\n",
		"google":          "a client secret\n",
		"microsoft":       "a client secret\n",
		"kakao":           "a client secret\n",
		"naver":           "a client secret\n",
		"client.key":      read(key),
		"valkey":          "a password\n",
		"session-key":     base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")) + "\n",
		"valkey-ca.crt":   read(cert),
		"clients.crt":     read(cert),
		"app.crt":         read(cert),
		"app.key":         read(key),
		"introspection":   "a client secret\n",
		"opa":             "a token\n",
		"audit":           base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")) + "\n",
		"opa-ca.crt":      read(cert),
		"admin":           "a token\n",
		"wiki":            "a password\n",
		"metrics":         "a-token\n",
		"mail-users.yaml": "users: [{subject: alice, username: alice, password: 'a password'}]",
		"users.yaml":      "users: [{username: alice, password_hash: '" + hash + "'}]",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
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
