//go:build e2e

package env_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// runs reports whether a process does, as opposed to one that nobody has asked for its
// exit code yet.
func runs(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(state, []byte("Z"))
}

// TestWhatAProcessHasStartedEndsWithIt, however it ends, as npm and dev servers start
// what goes on without them, and holds their output open.
func TestWhatAProcessHasStartedEndsWithIt(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		end    func(*env.Process)
	}{
		"stopped":       {"sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait", func(p *env.Process) { p.Stop() }},
		"killed":        {"sh -c 'echo $$; while :; do sleep 1; done' & wait", (*env.Process).Kill},
		"ended alone":   {"sh -c 'while :; do sleep 1; done' & echo $!", nil},
		"a generation":  {"sh -c 'sh -c \"echo \\$\\$; while :; do sleep 1; done\" & wait' & wait", (*env.Process).Kill},
		"with the test": {"sh -c 'echo $$; while :; do sleep 1; done' & wait", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var child string
			var process *env.Process
			t.Run("while the test runs", func(t *testing.T) {
				process = env.Start(t, t.TempDir(), nil, "sh", "-c", c.script)
				env.WaitUntil(t, "the child to run", func() bool {
					child = strings.TrimSpace(process.Output())
					return child != ""
				})
				if c.end == nil {
					return
				}
				if !runs(child) {
					t.Fatalf("%s does not run", child)
				}
				c.end(process)
				env.WaitUntil(t, "the child to end", func() bool { return !runs(child) })
			})
			select {
			case <-process.Ended():
			case <-time.After(10 * time.Second):
				t.Fatal("the process is still waited for")
			}
			env.WaitUntil(t, "the child to end", func() bool { return !runs(child) })
			if process.PID() <= 1 || fmt.Sprint(process.PID()) == child {
				t.Errorf("the child %s is the process itself", child)
			}
		})
	}
}
