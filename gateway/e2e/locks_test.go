//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

const devIssuer = "urn:sallyport:dev"

// startLockFleet starts two gateways that operators can ask.
func startLockFleet(t *testing.T, valkey string, routes ...string) *fleet {
	t.Helper()
	f := newFleet(t, []string{valkey, valkey})
	f.top = "admin: {token_file: admin-token}"
	f.start(t, "", routes...)
	return f
}

// command runs a command of the binary against the admin listener of a gateway.
func (f *fleet) command(t *testing.T, g *env.Gateway, args ...string) string {
	t.Helper()
	token := env.WriteFile(t, t.TempDir(), "token", "let me in")
	cmd := exec.CommandContext(t.Context(), f.binary, append(args, "--admin", g.AdminURL, "--token-file", token)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// lock makes a lock by the API, which takes less time than a process, and returns
// its id.
func (f *fleet) lock(t *testing.T, g *env.Gateway, wish map[string]any) string {
	t.Helper()
	body, err := json.Marshal(wish)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ ID string }
	f.ask(t, http.MethodPost, g.AdminURL+"/api/v1/locks", body, http.StatusCreated, &made)
	return made.ID
}

func (f *fleet) unlock(t *testing.T, g *env.Gateway, id string) {
	t.Helper()
	f.ask(t, http.MethodDelete, g.AdminURL+"/api/v1/locks/"+id, nil, http.StatusOK, nil)
}

func (f *fleet) ask(t *testing.T, method, url string, body []byte, status int, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer let me in")
	res, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != status {
		t.Fatalf("%s %s: %d", method, url, res.StatusCode)
	}
	if out != nil {
		if err := json.NewDecoder(res.Body).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
}

// TestALockIsInForceAtEveryGateway locks at A, by the command line and by the API,
// and measures until B refuses; streams at B end, and others' requests go on.
func TestALockIsInForceAtEveryGateway(t *testing.T) {
	server := env.StartValkey(t)
	app := chatter(t)
	f := startLockFleet(t, valkeyAt(server.URL()), fmt.Sprintf("- {name: chat, paths: [/chat], upstream: %q, policy: authenticated}", app))
	a, b := f.gateways[0], f.gateways[1]
	cookie, other := f.signIn(t, a, "alice"), f.signIn(t, a, "bob")
	for _, g := range f.gateways {
		f.waitStatus(t, g, cookie, http.StatusOK)
		f.waitStatus(t, g, other, http.StatusOK)
	}
	stop := f.load([]string{other}, 4, 12*time.Millisecond, f.gateways...) // some 300 a second

	// By the command line, with streams open at the other gateway.
	socket, others := openSocket(t, b, cookie), openSocket(t, b, other)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+"/chat/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	events, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	lines := bufio.NewScanner(events.Body)
	if !lines.Scan() {
		t.Fatal("no event came")
	}
	said := f.command(t, a, "lock", "--subject", "alice", "--issuer", devIssuer, "--reason", "laptop stolen")
	begin := time.Now()
	var wait sync.WaitGroup
	wait.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err := socket.Read(ctx)
		t.Logf("the WebSocket at the other gateway ended after %v", time.Since(begin))
		if status := websocket.CloseStatus(err); status != websocket.StatusPolicyViolation || time.Since(begin) > time.Second+2*raceSlack {
			t.Errorf("the WebSocket ended with %d, %v", status, err)
		}
	})
	wait.Go(func() {
		for lines.Scan() {
		}
		t.Logf("the event stream at the other gateway ended after %v", time.Since(begin))
		if time.Since(begin) > time.Second+2*raceSlack {
			t.Error("the event stream went on")
		}
	})
	wait.Wait()
	for _, g := range f.gateways {
		f.waitStatus(t, g, cookie, http.StatusForbidden)
		if made, status := f.trySignIn(g, "alice"); made != "" || status != http.StatusForbidden {
			t.Errorf("a sign-in of who is locked: %d, cookie %q", status, made)
		}
	}
	id := said[strings.LastIndex(strings.TrimSpace(said), " ")+1:]
	if list := f.command(t, b, "locks"); !strings.Contains(list, "laptop stolen") {
		t.Errorf("the other gateway lists:\n%s", list)
	}
	f.command(t, b, "unlock", strings.TrimSpace(id))
	for _, g := range f.gateways {
		f.waitStatus(t, g, cookie, http.StatusOK) // the same session
	}

	// How long it takes.
	var took, lifted []time.Duration
	for range 200 {
		id := f.lock(t, a, map[string]any{"subject": "alice", "issuer": devIssuer, "reason": "x"})
		begin := time.Now()
		if r := f.get(a, "/", cookie); r.status != http.StatusForbidden {
			t.Fatalf("at the gateway that has locked: %v", r)
		}
		for f.get(b, "/", cookie).status != http.StatusForbidden {
			if time.Since(begin) > time.Second {
				t.Fatal("a lock took more than a second to reach the other gateway")
			}
		}
		took = append(took, time.Since(begin))
		f.unlock(t, a, id)
		begin = time.Now()
		for f.get(b, "/", cookie).status != http.StatusOK {
			if time.Since(begin) > time.Second {
				t.Fatal("a lifting took more than a second to reach the other gateway")
			}
		}
		lifted = append(lifted, time.Since(begin))
	}
	ok, unavailable := count(t, stop())
	t.Logf("from a lock at A, with A's refusal, to B's: %s; lifted: %s; others had %d answers 200 meanwhile, and %d 503", spread(took), spread(lifted), ok, unavailable)
	if unavailable > 0 {
		t.Errorf("%d requests of others were not answered", unavailable)
	}
	if err := others.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
		t.Errorf("another user's socket: %v", err)
	}
	if _, text, err := others.Read(t.Context()); err != nil || string(text) != "still here" {
		t.Errorf("another user's socket: %q, %v", text, err)
	}
}

// TestLocksOutliveRestartsAndFailovers: a gateway that starts later knows them, and a
// primary that never heard of one is told.
func TestLocksOutliveRestartsAndFailovers(t *testing.T) {
	group := env.StartSentinel(t)
	f := startLockFleet(t, sentinels(group))
	a, b := f.gateways[0], f.gateways[1]
	cookie := f.signIn(t, a, "alice")
	f.allWork(t, []string{cookie})
	group.WaitReplica(group.Replica)
	replica, old := group.Replica, group.Primary
	replica.Freeze()
	id := f.lock(t, a, map[string]any{"subject": "alice", "issuer": devIssuer, "reason": "x"})
	f.waitStatus(t, b, cookie, http.StatusForbidden)
	old.Kill()
	replica.Thaw()
	group.WaitNewPrimary(old)
	later := &fleet{client: f.client, binary: f.binary, key: f.key, valkey: f.valkey[:1], top: f.top}
	later.start(t, "")
	for _, g := range append(f.gateways, later.gateways...) {
		env.WaitUntil(t, "the lock is in force", func() bool {
			r := f.get(g, "/", cookie)
			if g != later.gateways[0] && r.status == http.StatusOK {
				t.Fatalf("after the failover: %v", r)
			}
			return r.status == http.StatusForbidden
		})
	}
	f.unlock(t, b, id)
	for _, g := range append(f.gateways, later.gateways...) {
		f.waitStatus(t, g, cookie, http.StatusOK)
	}
}

// TestWhoIsLockedReadsSo signs in with a browser: the sign-in ends on a page that
// says so, and the page of a locked session lets sign out.
func TestWhoIsLockedReadsSo(t *testing.T) {
	t.Parallel()
	gateway := startForPages(t, "{}\nadmin: {token_file: admin-token}")
	l := newLooker(t)
	b := l.browser
	token := env.WriteFile(t, t.TempDir(), "token", "let me in")
	locking := exec.CommandContext(t.Context(), sallyport, "lock", "--issuer", "urn:sallyport:local", "--subject", "carol", "--yes",
		"--reason", "laptop stolen", "--message", "Call the desk on 1234.", "--admin", gateway.AdminURL, "--token-file", token)
	if out, err := locking.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for v, want := range map[env.View]string{views("en")[0]: "Access is locked for now.", views("ko")[3]: "지금은 접근이 잠겨 있습니다."} {
		b.Look(v)
		b.Open(gateway.URL + "/.auth/login?provider=local&return_to=/reports")
		b.Type(`input[name="username"]`, "carol")
		b.Type(`input[name="password"]`, "correct horse")
		b.Click(`button[type="submit"]`)
		b.WaitText(want)
		b.WaitText("Call the desk on 1234.")
		if text := b.Script("document.body.innerText"); strings.Contains(text, "stolen") {
			t.Errorf("the page tells the reason:\n%s", text)
		}
		l.check("locked", v)
	}
}
