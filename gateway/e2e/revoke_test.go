//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestOperatorsRevokeUnderLoad: sessions of one user are ended one by one, all at
// once and by their age, through the admin API and the command line of one gateway,
// while others ask both gateways hundreds of times a second. What is revoked is
// refused everywhere within milliseconds and its sockets are closed; nobody else
// sees an error.
func TestOperatorsRevokeUnderLoad(t *testing.T) {
	server := env.StartValkey(t)
	f := newFleet(t, []string{valkeyAt(server.URL()), valkeyAt(server.URL())})
	f.top = "admin: {token_file: admin-token}"
	f.start(t, "", fmt.Sprintf("- {name: chat, paths: [/chat], upstream: %q, policy: authenticated}", chatter(t)))
	a, b := f.gateways[0], f.gateways[1]

	var others []string
	for range 20 {
		others = append(others, f.signIn(t, a, "bob"))
	}
	stays := openSocket(t, b, others[0])
	stop := f.load(others, 8, 10*time.Millisecond, a, b)
	var took, closed []time.Duration

	// 1. One by one.
	for range 150 {
		cookie := f.signIn(t, a, "alice")
		took = append(took, f.afterwards(t, []string{cookie}, func() {
			f.operate(t, a, http.MethodDelete, "/sessions/"+f.named(t, a, "alice")[0], nil)
		})...)
	}
	// 2. All of the user, of whom there are many, and with open sockets.
	for range 3 {
		cookies, sockets := f.many(t, 20)
		began := time.Now()
		took = append(took, f.afterwards(t, cookies, func() {
			if n := f.operate(t, a, http.MethodPost, "/sessions/revoke", map[string]any{"issuer": "urn:sallyport:dev", "subject": "alice"}); n != len(cookies) {
				t.Errorf("%d revoked, want %d", n, len(cookies))
			}
		})...)
		closed = append(closed, ends(t, sockets, began)...)
	}
	// 3. By the command line.
	cookies, sockets := f.many(t, 5)
	began := time.Now()
	took = append(took, f.afterwards(t, cookies, func() {
		cmd := exec.CommandContext(t.Context(), sallyport, "sessions", "revoke", "--subject", "alice", "--yes", "--admin", a.AdminURL,
			"--token-file", env.WriteFile(t, t.TempDir(), "token", "let me in"))
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "5 sessions ended.\n" {
			t.Errorf("%v: %s", err, out)
		}
	})...)
	closed = append(closed, ends(t, sockets, began)...)

	results := stop()
	ok, unavailable := count(t, results)
	if unavailable > 0 || ok < 300 {
		t.Errorf("of others' requests %d were answered and %d were not", ok, unavailable)
	}
	if err := stays.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
		t.Errorf("another user's socket: %v", err)
	}

	// 4. By their age, which ends everybody's, while people sign in: theirs go on.
	cookies, _ = f.many(t, 5)
	before := time.Now()
	later := f.signIn(t, b, "bob")
	took = append(took, f.afterwards(t, append(cookies, others...), func() {
		if n := f.operate(t, a, http.MethodPost, "/sessions/revoke", map[string]any{"before": before}); n != len(cookies)+len(others) {
			t.Errorf("%d revoked, want %d", n, len(cookies)+len(others))
		}
	})...)
	for _, g := range f.gateways {
		if r := f.get(g, "/", later); r.status != http.StatusOK {
			t.Errorf("who signed in later: %v", r)
		}
	}
	t.Logf("%d requests of others, none failed; from the acknowledgement to the refusal at both gateways: %s; sockets closed: %s", ok, spread(took), spread(closed))
	for _, d := range slices.Concat(took, closed) {
		if d > time.Second+2*raceSlack {
			t.Errorf("a revocation took %v", d)
		}
	}
}

// many signs alice in several times, each with an open socket at the second gateway.
func (f *fleet) many(t *testing.T, n int) (cookies []string, sockets []*websocket.Conn) {
	t.Helper()
	for range n {
		cookie := f.signIn(t, f.gateways[0], "alice")
		cookies = append(cookies, cookie)
		if len(sockets) < 3 {
			sockets = append(sockets, openSocket(t, f.gateways[1], cookie))
		}
	}
	return cookies, sockets
}

// afterwards has sessions served from memory at every gateway, revokes them, and
// says how long after that each was still let in anywhere.
func (f *fleet) afterwards(t *testing.T, cookies []string, revoke func()) (took []time.Duration) {
	t.Helper()
	for _, g := range f.gateways {
		for _, cookie := range cookies {
			if r := f.get(g, "/", cookie); r.status != http.StatusOK {
				t.Fatalf("before the revocation: %v", r)
			}
		}
	}
	revoke()
	begin := time.Now()
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, g := range f.gateways {
		for _, cookie := range cookies {
			wait.Go(func() {
				var late time.Duration
				for {
					asked := time.Since(begin)
					r := f.get(g, "/", cookie)
					if r.status == http.StatusFound {
						break
					}
					if r.status != http.StatusOK || asked > 10*time.Second {
						t.Errorf("after the revocation: %v", r)
						break
					}
					late = time.Since(begin)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, late)
			})
		}
	}
	wait.Wait()
	return took
}

// ends waits until sockets were closed as those of sessions that are over.
func ends(t *testing.T, sockets []*websocket.Conn, since time.Time) (took []time.Duration) {
	t.Helper()
	for _, c := range sockets {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, _, err := c.Read(ctx)
		cancel()
		if status := websocket.CloseStatus(err); status != websocket.StatusPolicyViolation {
			t.Errorf("a socket ended with %d, %v", status, err)
		}
		took = append(took, time.Since(since))
	}
	return took
}

// named are the ids of a user's sessions.
func (f *fleet) named(t *testing.T, g *env.Gateway, subject string) (ids []string) {
	t.Helper()
	var page struct{ Sessions []struct{ ID string } }
	f.api(t, g, http.MethodGet, "/sessions?"+url.Values{"issuer": {"urn:sallyport:dev"}, "subject": {subject}}.Encode(), nil, &page)
	for _, one := range page.Sessions {
		ids = append(ids, one.ID)
	}
	if len(ids) == 0 {
		t.Fatalf("%s has no session", subject)
	}
	return ids
}

// operate revokes and returns how many sessions that ended.
func (f *fleet) operate(t *testing.T, g *env.Gateway, method, path string, what any) int {
	t.Helper()
	var done struct{ Revoked int }
	f.api(t, g, method, path, what, &done)
	return done.Revoked
}

func (f *fleet) api(t *testing.T, g *env.Gateway, method, path string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, g.AdminURL+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer let me in")
	res, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, path, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		t.Fatal(err)
	}
}
