//go:build e2e

package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// command runs the command line against the nth gateway.
func (s *site) command(t *testing.T, n int, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.binary, append(args, "--admin", s.gateways[n].AdminURL, "--token-file", filepath.Join(s.dirs[n], "admin-token"))...)
	out, err := cmd.Output()
	if err != nil {
		said := ""
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			said = string(exit.Stderr)
		}
		t.Fatalf("%v: %v\n%s", args, err, said)
	}
	return string(out)
}

type listedKeys struct {
	Keys    []struct{ Kid, State string }
	Sealing struct {
		Keys     []struct{ Key, State string }
		Gateways []struct {
			Name  string
			Seals string `json:"seals_with"`
		}
	}
}

func (s *site) listKeys(t *testing.T, n int) (k listedKeys) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.command(t, n, "keys", "list", "--json")), &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// sealsEverywhere reports whether all gateways seal with one key, which is not that one.
func (s *site) sealsEverywhere(t *testing.T, not string) bool {
	k := s.listKeys(t, 0)
	for _, g := range k.Sealing.Gateways {
		if g.Seals == not || g.Seals != k.Sealing.Gateways[0].Seals {
			return false
		}
	}
	return len(k.Sealing.Gateways) == len(s.gateways)
}

// rotateSealing exchanges the sealing key as an operator does, and returns the old one.
func (s *site) rotateSealing(t *testing.T, files bool) string {
	t.Helper()
	old := s.listKeys(t, 0).Sealing.Keys[0].Key
	if !files {
		s.command(t, 0, "keys", "rotate", "sealing")
	} else {
		first := filepath.Join(s.dirs[0], "key")
		s.command(t, 0, "keys", "rotate", "sealing", "--file", first)
		text, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range s.dirs[1:] {
			if again := s.command(t, 0, "keys", "rotate", "sealing", "--file", first); !strings.Contains(again, "Nothing was done") {
				t.Errorf("while a gateway does not know the key: %s", again)
			}
			env.WriteFile(t, dir, "key", string(text))
		}
	}
	eventually(t, "the new key seals everywhere", func() bool { return s.sealsEverywhere(t, old) })
	return old
}

// rotateSigning exchanges the signing key, and waits until every gateway knows it.
func (s *site) rotateSigning(t *testing.T) {
	t.Helper()
	s.command(t, 0, "keys", "rotate", "signing", "--now")
	published := func(n int) string { return fmt.Sprint(s.listKeys(t, n).Keys) }
	eventually(t, "every gateway publishes the same keys", func() bool { return published(0) == published(len(s.gateways)-1) })
}

// TestRotatingEveryKeyTwiceUnderLoadSignsNobodyOut: people work, are half signed in,
// and have WebSockets open; an application verifies assertions. Each ring is rotated
// twice. No request fails, nobody is asked to sign in.
func TestRotatingEveryKeyTwiceUnderLoadSignsNobodyOut(t *testing.T) {
	for name, gateways := range map[string]int{"one gateway whose store keeps the keys": 1, "two gateways with files": 2} {
		t.Run(name, func(t *testing.T) { rotateUnderLoad(t, gateways) })
	}
}

func rotateUnderLoad(t *testing.T, gateways int) {
	verifier, files := goVerifier(t), gateways > 1
	s := startSite(t, siteOptions{
		gateways: gateways,
		app:      func(*site) string { return chatter(t) },
		routes: []string{
			`- {name: chat, paths: [/chat], upstream: "APP", policy: authenticated}`,
			fmt.Sprintf(`- {name: go, paths: [/go], upstream: %q, policy: authenticated, assertion: true, audience: app}`, verifier.url),
		},
	})
	for n := range s.gateways {
		env.WriteFile(t, s.dirs[n], "admin-token", "a token that nobody guesses")
		environ := []string{"SALLYPORT_ADMIN__TOKEN_FILE=admin-token"}
		if !files {
			environ = append(environ, "SALLYPORT_SESSION__KEYS_FILES=[]", "SALLYPORT_SESSION__EMBEDDED__PATH=of-its-own.db")
		}
		s.restart(t, n, environ...)
	}
	s.waitReady(t)
	verifier.run([]string{fmt.Sprintf("PORT=%d", verifier.port), "SALLYPORT_ISSUER=" + s.url + "/.auth"}).WaitHTTP(verifier.url)

	var people []*person
	var sockets []*websocket.Conn
	for range 4 {
		p := s.person(t)
		p.wantAt(p.signIn("/", "alice"), "/")
		people = append(people, p)
		socket, _, err := websocket.Dial(t.Context(), strings.Replace(s.url, "http", "ws", 1)+"/chat", &websocket.DialOptions{
			HTTPHeader: http.Header{"Cookie": {"sp=" + p.cookie("sp")}, "Origin": {s.url}},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = socket.CloseNow() })
		sockets = append(sockets, socket)
	}

	var total atomic.Int64
	var mu sync.Mutex
	var failed []string
	done := make(chan struct{})
	var running sync.WaitGroup
	stop := sync.OnceFunc(func() { close(done); running.Wait() })
	defer stop()
	load := client(t)
	for i := range 8 {
		p, path := people[i%len(people)], []string{"/page", "/go"}[i%2]
		cookie := "sp=" + p.cookie("sp")
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got := send(t, load, "GET", s.url+path, "Cookie", cookie)
				total.Add(1)
				if got.status != http.StatusOK {
					mu.Lock()
					failed = append(failed, fmt.Sprintf("%s: %d %.200s", path, got.status, got.body))
					mu.Unlock()
				}
			}
		})
	}
	more := func() {
		t.Helper()
		enough := total.Load() + 300
		eventually(t, "requests go on", func() bool { return total.Load() >= enough })
	}

	began := time.Now()
	var old string
	for range 2 {
		late := s.person(t)
		at := late.open("/late?n=1") // he reads the provider's page meanwhile
		late.wantProvider(at)
		more()
		old = s.rotateSealing(t, files)
		s.rotateSigning(t)
		more()
		late.wantAt(late.answer(at, "account", "bob"), "/late?n=1")
	}
	stop()
	took := time.Since(began)
	t.Logf("%d requests in %v (%.0f/s) across two rotations of each ring, %d failed", total.Load(), took.Round(time.Millisecond), float64(total.Load())/took.Seconds(), len(failed))
	if len(failed) > 0 {
		t.Errorf("%d of %d failed, the first with %s", len(failed), total.Load(), failed[0])
	}
	for i, socket := range sockets {
		if err := socket.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
			t.Errorf("WebSocket %d: %v", i, err)
		}
		if _, text, err := socket.Read(t.Context()); err != nil || len(text) == 0 {
			t.Errorf("WebSocket %d: %q, %v", i, text, err)
		}
	}
	for _, p := range people {
		if status, body := p.me(); status != http.StatusOK || !strings.Contains(body, "alice") {
			t.Errorf("after the rotations: %d %s", status, body)
		}
	}

	// A key that is taken away: its cookies count as none, and people come back.
	k := s.listKeys(t, 0)
	first := k.Sealing.Keys[len(k.Sealing.Keys)-1].Key
	if first == old {
		t.Fatalf("the keys are %v", k.Sealing.Keys)
	}
	args := []string{"keys", "retire", "sealing", first, "--force"}
	if files {
		args = append(args, "--file", filepath.Join(s.dirs[0], "key"))
	}
	if out := s.command(t, 0, args...); !strings.Contains(out, "Sessions that were ended: 4") || !strings.Contains(out, "alice") {
		t.Errorf("it is not told who is signed out:\n%s", out)
	}
	p := people[0]
	p.wantAt(p.open("/back"), "/back") // by the provider, who knows him
	p.wantNoError()
}
