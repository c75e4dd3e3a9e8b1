package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/lint"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// TestTheBinaryFindsEveryCode writes a script that runs sallyport on the bad example
// of each code. What else the examples have, and that the good ones have nothing, the
// gateway's own test says.
func TestTheBinaryFindsEveryCode(t *testing.T) {
	t.Parallel()
	scripts := t.TempDir()
	secrets := secretsOfTheCodes(t)
	var script, files strings.Builder
	for _, c := range lint.Codes() {
		exit := 1
		if c.Severity == lint.Note && !strings.Contains(c.Bad, "SP064") {
			exit = 0
		}
		fmt.Fprintf(&script, "exitcode %d sallyport check --json -c %s.yaml\nstdout '\"code\": \"%s\"'\n! stderr .\n", exit, c.ID, c.ID)
		fmt.Fprintf(&files, "-- %s.yaml --\n%s", c.ID, strings.ReplaceAll(lint.Complete(c.Bad), "/run/secrets", secrets))
	}
	if err := writeFile(filepath.Join(scripts, "codes.txtar"), script.String()+files.String()); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:   scripts,
		Setup: func(env *testscript.Env) error { env.Setenv("GORACE", raceOptions); return nil },
		Cmds:  map[string]func(ts *testscript.TestScript, neg bool, args []string){"exitcode": exitCode},
	})
}

// secretsOfTheCodes makes the files that the examples name below /run/secrets.
func secretsOfTheCodes(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ca := tlstest.New(t)
	pair := ca.Server("app.example.com")
	hash, err := gateway.HashPassword("a password")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"oidc": "a client secret\n", "valkey": "a password\n", "introspection": "a secret\n", "admin": "a token\n", "opa": "a token\n",
		"world-readable":  "a client secret\n",
		"shared":          "0123456789abcdef0123456789abcdef\n",
		"session-key":     base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")) + "\n",
		"users.yaml":      "users: [{username: alice, password_hash: '" + hash + "'}]\n",
		"weak-users.yaml": "users: [{username: alice, password_hash: '$2a$04$eImiTXuWVxfM37uY4JANjOOXfPNlSh1nMUa9tMx6EHr5TfWBTMBKi'}]\n",
	} {
		if err := writeFile(filepath.Join(dir, name), text); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range map[string]string{"app.crt": pair.CertFile, "app.key": pair.KeyFile, "client.key": pair.KeyFile, "clients.crt": pair.CertFile} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeFile(filepath.Join(dir, name), string(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "world-readable"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
