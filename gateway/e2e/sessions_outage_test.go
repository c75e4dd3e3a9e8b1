//go:build e2e

package e2e_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestOperatorsAreToldThatTheirSessionsCannotBeListed: while the store stands still, and
// when it is gone, and they get all of them when it is back.
func TestOperatorsAreToldThatTheirSessionsCannotBeListed(t *testing.T) {
	server := env.StartValkey(t, env.ValkeyArgs("--appendonly", "yes"))
	f := newFleet(t, []string{valkeyAt(server.URL())})
	f.top = "admin: {token_file: admin-token}"
	f.start(t, "")
	g := f.gateways[0]
	cookies := f.sessions(t, 3)
	token := env.WriteFile(t, t.TempDir(), "token", "let me in")
	list := func(args ...string) (stdout, stderr string, status int) {
		var out, errs bytes.Buffer
		cmd := exec.CommandContext(t.Context(), f.binary, append([]string{"sessions", "list", "--admin", g.AdminURL, "--token-file", token}, args...)...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	known := func(when string) {
		t.Helper()
		if out, errs, status := list(); status != 0 || strings.Count(out, " alice ") != len(cookies) {
			t.Errorf("%s: %d\n%s%s", when, status, out, errs)
		}
	}
	unknown := func(when string) {
		t.Helper()
		for _, args := range [][]string{nil, {"--json"}, {"--subject", "alice", "--issuer", devIssuer}} {
			if out, errs, status := list(args...); status != 1 || out != "" || !strings.Contains(errs, "The store does not answer, so it is not known which sessions there are.") {
				t.Errorf("%s, %v: %d\n%s%s", when, args, status, out, errs)
			}
		}
	}
	known("before")
	server.Freeze()
	unknown("while it stands still")
	server.Thaw()
	f.allWork(t, cookies)
	known("after the standstill")
	server.Kill()
	unknown("while it is gone")
	server.Restart()
	f.allWork(t, cookies)
	known("after the restart")
}
