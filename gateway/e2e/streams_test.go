//go:build e2e

package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// chatter is an application with a WebSocket that echoes and an event stream
// that never ends.
func chatter(t *testing.T) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			w.Header().Set("Content-Type", "text/event-stream")
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				fmt.Fprintf(w, "data: %d\n\n", n)
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-tick.C:
				}
			}
		}
		echoMessages(w, r)
	}))
	t.Cleanup(app.Close)
	return app.URL
}

// echoMessages serves a WebSocket that answers every message with itself.
func echoMessages(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, text, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, text) != nil {
			return
		}
	}
}

// openSocket opens a WebSocket through a gateway and shows that it works.
func openSocket(t *testing.T, g *env.Gateway, cookie string) *websocket.Conn {
	t.Helper()
	c, res, err := websocket.Dial(t.Context(), strings.Replace(g.URL, "http", "ws", 1)+"/chat", &websocket.DialOptions{
		HTTPHeader: http.Header{"Cookie": {cookie}, "Origin": {g.URL}},
	})
	if err != nil {
		t.Fatalf("%v, %v", err, res)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := c.Read(t.Context()); err != nil || string(text) != "hello" {
		t.Fatalf("got %q, %v", text, err)
	}
	return c
}

// TestSignOutEndsOpenStreamsOnEveryGateway: sockets and event streams of a
// session end within a second of its sign-out at another gateway, also while the
// gateway that has them has just lost its connection to the store, and those of
// other sessions go on.
func TestSignOutEndsOpenStreamsOnEveryGateway(t *testing.T) {
	const rounds = 10
	server := env.StartValkey(t)
	app := chatter(t)
	f := startFleetAt(t, []string{valkeyAt(server.URL()), valkeyAt(server.URL())}, "",
		fmt.Sprintf("- {name: chat, paths: [/chat], upstream: %q, policy: authenticated}", app))
	a, b := f.gateways[0], f.gateways[1]
	other := openSocket(t, b, f.signIn(t, a, "bob"))

	var mu sync.Mutex
	var sockets, events []time.Duration
	for range rounds {
		cookie := f.signIn(t, a, "alice")
		socket := openSocket(t, b, cookie)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+"/chat/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", cookie)
		stream, err := f.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stream.Body)
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "data: ") {
			t.Fatalf("the first event is %q", lines.Text())
		}

		begin := time.Now()
		if status := f.signOut(a, cookie); status != http.StatusSeeOther {
			t.Fatalf("sign-out: %d", status)
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, _, err := socket.Read(ctx)
			mu.Lock()
			defer mu.Unlock()
			sockets = append(sockets, time.Since(begin))
			if status := websocket.CloseStatus(err); status != websocket.StatusPolicyViolation {
				t.Errorf("the socket ended with %d, %v", status, err)
			}
		})
		wait.Go(func() {
			for lines.Scan() {
			}
			stream.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			events = append(events, time.Since(begin))
		})
		wait.Wait()
	}
	t.Logf("after a sign-out at the other gateway: WebSockets ended %s; event streams %s", spread(sockets), spread(events))
	for _, d := range append(sockets, events...) {
		if d > time.Second+2*raceSlack {
			t.Errorf("a stream went on for %v", d)
		}
	}
	if err := other.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
		t.Errorf("another user's socket: %v", err)
	}
	if _, text, err := other.Read(t.Context()); err != nil || string(text) != "still here" {
		t.Errorf("another user's socket: %q, %v", text, err)
	}
}

// TestOutageEndsNoStream: nobody can tell whether the session is alive, so the
// socket stays; when the store is back and says that it is not, it ends.
func TestOutageEndsNoStream(t *testing.T) {
	server := env.StartValkey(t, env.ValkeyArgs("--appendonly", "yes"))
	way := env.StartTCPProxy(t, server.Addr)
	f := startFleetAt(t, []string{valkeyAt(server.URL()), valkeyAt("valkey://" + way.Addr)}, "cache: {max_staleness: 1s}",
		fmt.Sprintf("- {name: chat, paths: [/chat], upstream: %q, policy: authenticated}", chatter(t)))
	a, b := f.gateways[0], f.gateways[1]
	cookie := f.signIn(t, a, "alice")
	socket := openSocket(t, b, cookie)
	way.Refuse()
	way.Cut()
	f.waitStatus(t, b, cookie, http.StatusServiceUnavailable)
	if status := f.signOut(a, cookie); status != http.StatusSeeOther {
		t.Fatalf("sign-out: %d", status)
	}
	failed := f.metric(t, b, `sallyport_requests_total{outcome="unknown",reason="unavailable",route="app"}`)
	env.WaitUntil(t, "the outage goes on for a while", func() bool {
		f.get(b, "/", cookie)
		return f.metric(t, b, `sallyport_requests_total{outcome="unknown",reason="unavailable",route="app"}`) > failed+50
	})
	if err := socket.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Errorf("during the outage: %v", err)
	}
	if _, text, err := socket.Read(t.Context()); err != nil || string(text) != "hello" {
		t.Errorf("during the outage: %q, %v", text, err)
	}
	way.Accept()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, _, err := socket.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("after the outage: %v", err)
	}
	t.Logf("the store is back, and the socket of the session that was ended meanwhile is closed after %v", time.Since(begin))
}
