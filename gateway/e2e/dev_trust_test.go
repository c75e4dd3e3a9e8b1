//go:build e2e && long

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestTrustedAuthorityOpensWithoutAWarning runs the command that sallyport dev trust
// prints for Chromium, in a home that no browser was in before.
func TestTrustedAuthorityOpensWithoutAWarning(t *testing.T) {
	home, ca := t.TempDir(), filepath.Join(t.TempDir(), "ca")
	says, err := exec.CommandContext(t.Context(), sallyport, "dev", "trust", "--ca-dir", ca).Output()
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^  (.*certutil .*nssdb -A .*)$`).FindSubmatch(says)
	if command == nil {
		t.Fatalf("no command for Chromium:\n%s", says)
	}
	sh := exec.CommandContext(t.Context(), "sh", "-c", string(command[1]))
	sh.Env = append(os.Environ(), "HOME="+home)
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command[1], err, out)
	}
	browser := env.StartBrowser(t, "HOME="+home)
	for _, host := range []string{"localhost", "app.localhost"} {
		browser.Open(startDevAs(t, host, "--host", host, "--tls", "--ca-dir", ca) + "/")
		browser.Click(`button[value="alice"], form:has(input[value="alice"]) button`)
		browser.WaitText("X-Forwarded-User")
	}
}
