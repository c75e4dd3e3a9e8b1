//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// startCorpFleet starts gateways whose users can also come from a provider.
func startCorpFleet(t *testing.T, n int, more string, routes ...string) (*fleet, *oidctest.Provider, *env.Valkey) {
	t.Helper()
	server, provider := env.StartValkey(t), oidctest.New(t)
	provider.Set(func(s *oidctest.Script) { s.WithSignOut = true })
	ways := make([]string, n)
	for i := range ways {
		ways[i] = valkeyAt(server.URL())
	}
	f := newFleet(t, ways)
	f.login = corp(provider)
	f.start(t, more, routes...)
	for _, g := range f.gateways {
		env.WaitUntil(t, "the provider to be known", func() bool { return f.get(g, "/.auth/login?provider=corp", "").status == http.StatusOK })
	}
	return f, provider, server
}

// corpSignIn signs a subject in at the provider, in its session sid, and returns
// the cookie and the status of the callback.
func (f *fleet) corpSignIn(t *testing.T, g *env.Gateway, provider *oidctest.Provider, subject, sid string) (cookie string, status int) {
	t.Helper()
	provider.Set(func(s *oidctest.Script) { s.Subject, s.Claims = subject, map[string]any{"sid": sid} })
	return f.atCorp(t, g)
}

func (f *fleet) post(t *testing.T, g *env.Gateway, path, cookie string, form url.Values) (status int, body string) {
	t.Helper()
	headers := []string{"Content-Type", "application/x-www-form-urlencoded"}
	if cookie != "" {
		headers = append(headers, "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	}
	got := sendBody(t, f.client, http.MethodPost, g.URL+path, form.Encode(), headers...)
	return got.status, got.body
}

// TestProviderSignsOutOnEveryGateway: two applications behind one fleet, one
// session at the provider and another on a phone. The provider tells gateway A;
// at B, which serves the sessions from memory, exactly those that it names are
// over within a second, their WebSockets included.
func TestProviderSignsOutOnEveryGateway(t *testing.T) {
	app := chatter(t)
	f, corp, server := startCorpFleet(t, 2, "", fmt.Sprintf("- {name: chat, paths: [/chat], upstream: %q, policy: authenticated}", app))
	a, b := f.gateways[0], f.gateways[1]
	signIn := func(subject, sid string) string {
		cookie, status := f.corpSignIn(t, a, corp, subject, sid)
		if cookie == "" {
			t.Fatalf("the sign-in of %s: %d", subject, status)
		}
		return cookie
	}
	laptop, second, phone, bob := signIn("alice", "sid-1"), signIn("alice", "sid-1"), signIn("alice", "sid-2"), signIn("bob", "sid-3")
	for _, cookie := range []string{laptop, second, phone, bob} {
		if r := f.get(b, "/", cookie); r.status != http.StatusOK {
			t.Fatalf("before: %v", r)
		}
	}
	onLaptop, onPhone, onBob := openSocket(t, b, laptop), openSocket(t, b, phone), openSocket(t, b, bob)
	ends := func(c *websocket.Conn, since time.Time) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err := c.Read(ctx)
		took := time.Since(since)
		t.Logf("a WebSocket at B ended %v after the provider had told A", took)
		if websocket.CloseStatus(err) != websocket.StatusPolicyViolation || took > time.Second+2*raceSlack {
			t.Errorf("it ended after %v with %v", took, err)
		}
	}

	token := corp.LogoutToken(map[string]any{"sid": "sid-1"})
	begin := time.Now()
	if status, body := f.post(t, a, "/.auth/backchannel-logout/corp", "", url.Values{"logout_token": {token}}); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	ends(onLaptop, begin)
	f.waitStatus(t, b, laptop, http.StatusFound)
	f.waitStatus(t, b, second, http.StatusFound)
	for _, cookie := range []string{phone, bob} {
		if r := f.get(b, "/", cookie); r.status != http.StatusOK {
			t.Errorf("another session: %v", r)
		}
	}
	// A token that A has used is used at B as well.
	again := signIn("alice", "sid-1")
	if status, _ := f.post(t, b, "/.auth/backchannel-logout/corp", "", url.Values{"logout_token": {token}}); status != http.StatusBadRequest {
		t.Errorf("a replay at the other gateway: %d", status)
	}
	if r := f.get(b, "/", again); r.status != http.StatusOK {
		t.Errorf("the new session: %v", r)
	}

	// With the store away the provider is told to try again, and then it counts.
	token = corp.LogoutToken(map[string]any{"sub": "alice"})
	server.Freeze()
	if status, body := f.post(t, a, "/.auth/backchannel-logout/corp", "", url.Values{"logout_token": {token}}); status != http.StatusServiceUnavailable {
		t.Errorf("with a frozen store: %d %s", status, body)
	}
	server.Thaw()
	env.WaitUntil(t, "the store to answer", func() bool {
		begin = time.Now()
		status, _ := f.post(t, a, "/.auth/backchannel-logout/corp", "", url.Values{"logout_token": {token}})
		return status == http.StatusOK
	})
	ends(onPhone, begin)
	f.waitStatus(t, b, again, http.StatusFound)
	if err := onBob.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
		t.Errorf("another user's socket: %v", err)
	}
	if r := f.get(b, "/", bob); r.status != http.StatusOK {
		t.Errorf("another user: %v", r)
	}
}

// TestUserEndsHisSessionsOnEveryGateway, and has no more of them than he may,
// wherever he signs in.
func TestUserEndsHisSessionsOnEveryGateway(t *testing.T) {
	t.Parallel()
	f, _, _ := startCorpFleet(t, 2, "max_per_user: 3")
	a, b := f.gateways[0], f.gateways[1]
	first, second, third := f.signIn(t, a, "alice"), f.signIn(t, b, "alice"), f.signIn(t, a, "alice")
	bob := f.signIn(t, b, "bob")
	list := func(g *env.Gateway, cookie string) (ids []string) {
		t.Helper()
		var doc struct {
			Sessions []struct{ ID, Address string }
		}
		if err := json.Unmarshal([]byte(send(t, f.client, http.MethodGet, g.URL+"/.auth/sessions", "Cookie", cookie).body), &doc); err != nil {
			t.Fatal(err)
		}
		for _, s := range doc.Sessions {
			ids = append(ids, s.ID)
			if s.Address == "" {
				t.Error("a session without an address")
			}
		}
		return ids
	}
	if n := len(list(b, third)); n != 3 {
		t.Errorf("%d sessions are listed, want 3", n)
	}
	fourth := f.signIn(t, b, "alice")
	f.waitStatus(t, a, first, http.StatusFound)
	if n := len(list(a, fourth)); n != 3 {
		t.Errorf("%d sessions are listed, want 3", n)
	}
	if status, body := f.post(t, a, "/.auth/sessions/end", fourth, url.Values{"which": {"others"}}); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, body)
	}
	f.waitStatus(t, b, second, http.StatusFound)
	f.waitStatus(t, b, third, http.StatusFound)
	for _, cookie := range []string{fourth, bob} {
		if r := f.get(b, "/", cookie); r.status != http.StatusOK {
			t.Errorf("a session that was to stay: %v", r)
		}
	}
}
