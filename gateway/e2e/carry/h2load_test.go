//go:build e2e

package carry_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestH2loadGetsAnAnswerToEveryRequest: many streams at once on a few connections,
// none of which fails, is refused, or reaches the application twice.
func TestH2loadGetsAnAnswerToEveryRequest(t *testing.T) {
	var asked atomic.Int64
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		mirror(w, r)
	})
	routes := bothWays(app)
	plain, secure := start(t, plan{routes: routes}), start(t, plan{tls: true, routes: routes})
	file := env.WriteFile(t, t.TempDir(), "upload", strings.Repeat("x", 20_000))
	const requests = 3000
	for name, run := range map[string]struct {
		g    *gate
		path string
		args []string
	}{
		"h2, 100 streams on each of 4 connections":    {secure, "/one", []string{"-c", "4", "-m", "100"}},
		"h2 to h2c, 100 streams on one connection":    {secure, "/two", []string{"-c", "1", "-m", "100"}},
		"h2c, 100 streams on each of 4 connections":   {plain, "/two", []string{"-p", "h2c", "-c", "4", "-m", "100"}},
		"uploads over h2":                             {secure, "/one", []string{"-c", "4", "-m", "20", "-d", file}},
		"http/1.1 on 50 connections":                  {plain, "/one", []string{"--h1", "-c", "50"}},
		"h2 with little windows for what is received": {secure, "/one/stream", []string{"-c", "2", "-m", "50", "-w", "12", "-W", "12"}},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			args := append(run.args, "-n", fmt.Sprint(requests), "-H", "cookie: "+run.g.signIn(t, "alice"), run.g.URL+run.path)
			out, err := exec.CommandContext(ctx, "h2load", args...).CombinedOutput()
			if err != nil {
				t.Fatalf("h2load %q: %v\n%s", args, err, out)
			}
			for _, want := range []string{
				fmt.Sprintf("requests: %d total, %d started, %d done, %d succeeded, 0 failed, 0 errored, 0 timeout", requests, requests, requests, requests),
				fmt.Sprintf("status codes: %d 2xx, 0 3xx, 0 4xx, 0 5xx", requests),
			} {
				if !strings.Contains(string(out), want) {
					t.Errorf("h2load does not say %q:\n%s", want, out)
				}
			}
			if n := asked.Load(); n != requests {
				t.Errorf("the application was asked %d times", n)
			}
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "finished in") || strings.HasPrefix(line, "time for request") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}
