package gateway_test

import (
	"encoding/base64"
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
	secrets := secretsOfTheDocs(t)
	found := 0
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			found++
			t.Run(filepath.Base(file), func(t *testing.T) {
				yaml := strings.ReplaceAll(m[1], "/run/secrets", secrets)
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
		"oidc":          "a client secret\n",
		"github":        "a client secret\n",
		"gitlab":        "a client secret\n",
		"google":        "a client secret\n",
		"microsoft":     "a client secret\n",
		"kakao":         "a client secret\n",
		"naver":         "a client secret\n",
		"client.key":    read(key),
		"valkey":        "a password\n",
		"session-key":   base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")) + "\n",
		"valkey-ca.crt": read(cert),
		"clients.crt":   read(cert),
		"app.crt":       read(cert),
		"app.key":       read(key),
		"introspection": "a client secret\n",
		"opa":           "a token\n",
		"opa-ca.crt":    read(cert),
		"admin":         "a token\n",
		"users.yaml":    "users: [{username: alice, password_hash: '" + hash + "'}]",
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
