//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/jose"
)

// TestReloadsUnderLoadGoUnnoticed exchanges the configuration a hundred times, by all
// ways that need no request, among them editors that empty the file and write it anew, while clients send as much as they can and hold
// WebSockets open: nobody gets an error, and nothing is left of the former ones.
func TestReloadsUnderLoadGoUnnoticed(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-User"))
			return
		}
		echoMessages(w, r)
	}))
	t.Cleanup(app.Close)

	signer, err := jose.NewSigner("ES256", "k1")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := signer.PublicJWKS()
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign("at+jwt", map[string]any{
		"iss": "https://op.test", "aud": "api", "sub": "caller", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	dir, at := t.TempDir(), env.Reserve(t)
	env.WriteFile(t, dir, "jwks.json", string(keys))
	env.WriteFile(t, dir, "admin-token", adminSecret)
	text := func(n int) string {
		return fmt.Sprintf(`
session: {embedded: {path: sessions.db}}
admin: {token_file: admin-token}
log: {level: error}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
tokens: {issuers: [{issuer: "https://op.test", audiences: [api], algorithms: [ES256], jwks_file: jwks.json}]}
server: {limits: {max_header_bytes: %dKiB}, drain: {timeout: 1s}}
routes:
  - {name: app, paths: [/], upstream: %q, auth: [bearer], policy: authenticated}
  - {name: turn, paths: [/turn-%d], upstream: "builtin:echo", public: true}
`, 16+n%4, app.URL, n)
	}
	// As a ConfigMap is mounted: the file is a link into a folder that is exchanged.
	mount := func(n int) {
		t.Helper()
		folder := fmt.Sprintf("..turn_%d", n)
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		env.WriteFile(t, filepath.Join(dir, folder), "config.yaml", text(n))
		if err := errors.Join(os.Symlink(folder, filepath.Join(dir, "..next")), os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	mount(0)
	if err := os.Symlink("..data/config.yaml", filepath.Join(dir, "config.yaml")); err != nil {
		t.Fatal(err)
	}
	edit := func(n int) {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(dir, "config.yaml"), os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			t.Fatal(err)
		}
		whole := text(n)
		_, first := f.WriteString(whole[:len(whole)/2])
		_, second := f.WriteString(whole[len(whole)/2:])
		if err := errors.Join(first, second, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	g := env.StartGateway(t, sallyport, dir, at, "SALLYPORT_LOG__LEVEL=info")

	clients := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var asked, failed, said atomic.Int64
	begun := time.Now()
	for range 8 {
		running.Go(func() {
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.URL()+"/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+token)
				res, err := clients.Do(r)
				if err != nil {
					failed.Add(1)
					t.Errorf("a request: %v", err)
					return
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if asked.Add(1); err != nil || res.StatusCode != http.StatusOK || string(body) != "caller" {
					failed.Add(1)
					t.Errorf("a request: %d, %q, %v", res.StatusCode, body, err)
					return
				}
			}
		})
	}
	for range 20 {
		c, _, err := websocket.Dial(t.Context(), strings.Replace(at.URL(), "http", "ws", 1)+"/ws",
			&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		running.Go(func() {
			for ctx.Err() == nil {
				err := c.Write(t.Context(), websocket.MessageText, []byte("x"))
				if err == nil {
					_, _, err = c.Read(t.Context())
				}
				if err != nil {
					failed.Add(1)
					t.Errorf("a WebSocket: %v", err)
					return
				}
				said.Add(1)
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	taken := func(n int) bool {
		return send(t, clients, "GET", fmt.Sprintf("%s/turn-%d", at.URL(), n)).status == http.StatusOK
	}
	poll := func(what string, done func() bool) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(time.Minute); !done(); <-tick.C {
			if time.Now().After(end) {
				t.Fatalf("there is no end to the waiting for %s\n%s", what, g.Output())
			}
		}
	}
	hangup := func() {
		t.Helper()
		if err := syscall.Kill(g.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	goroutines := func() (n, files float64) {
		t.Helper()
		metrics := send(t, clients, "GET", g.AdminURL+"/metrics").body
		for line := range strings.SplitSeq(metrics, "\n") {
			_, _ = fmt.Sscanf(line, "go_goroutines %g", &n)
			_, _ = fmt.Sscanf(line, "process_open_fds %g", &files)
		}
		return n, files
	}
	// The first turn shows what there is under load.
	turn := 1
	mount(turn)
	hangup()
	poll("the first turn", func() bool { return taken(turn) })
	before, filesBefore := goroutines()
	for turn++; turn <= 100; turn++ {
		switch {
		case turn%40 == 30:
			edit(turn) // which has to be noticed
		case turn%20 == 0:
			mount(turn) // this as well
		default:
			mount(turn)
			hangup()
		}
		poll(fmt.Sprintf("turn %d", turn), func() bool { return taken(turn) })
	}
	// What was in use is gone once the drain's time is over, WebSockets or not.
	var after, filesAfter float64
	poll("the former configurations to be released", func() bool {
		after, filesAfter = goroutines()
		return after <= before+40 && filesAfter <= filesBefore+20
	})
	stop()
	running.Wait()
	took := time.Since(begun)
	t.Logf("%d reloads in %v: %d requests (%.0f a second) and %d messages, %d failed; goroutines %.0f, then %.0f; files %.0f, then %.0f",
		turn-1, took.Round(time.Second), asked.Load(), float64(asked.Load())/took.Seconds(), said.Load(), failed.Load(), before, after, filesBefore, filesAfter)
}
