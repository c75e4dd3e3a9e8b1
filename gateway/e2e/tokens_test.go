//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/jose"
)

const tokenSecret = "0123456789abcdef0123456789abcdef"

// startTokenFleet starts gateways that accept the tokens of bearer below /api.
func startTokenFleet(t *testing.T, valkey []string, settings string, routes ...string) *fleet {
	t.Helper()
	f := newFleet(t, valkey)
	f.top = fmt.Sprintf(`
admin: {token_file: admin-token}
tokens:
  issuers: [{issuer: shared, audiences: [api], secret: %s}]
  %s`, tokenSecret, settings)
	f.start(t, "", append(routes, `- {name: api, paths: [/api], upstream: "builtin:echo", auth: [bearer], policy: authenticated}`)...)
	return f
}

// bearer makes a token with an id of its own.
func bearer(t *testing.T, subject string) (token, id string) {
	t.Helper()
	signer, err := jose.NewSecretSigner("HS256", "", []byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	id = rand.Text()
	token, err = signer.Sign("at+jwt", map[string]any{
		"iss": "shared", "aud": "api", "sub": subject, "jti": id, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token, id
}

// call asks for /api with a token; 0 means no answer.
func (f *fleet) call(g *env.Gateway, token string) (status int, body string) {
	req, err := http.NewRequest(http.MethodGet, g.URL+"/api/x", nil)
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := f.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

func (f *fleet) wantCall(t *testing.T, g *env.Gateway, token string, status int, reason string) {
	t.Helper()
	if got, body := f.call(g, token); got != status || !strings.Contains(body, reason) {
		t.Errorf("%d %s, want %d %s", got, body, status, reason)
	}
}

// takeBack revokes through the admin API and returns the status.
func (f *fleet) takeBack(t *testing.T, g *env.Gateway, what map[string]any) int {
	t.Helper()
	body, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, g.AdminURL+"/api/v1/tokens/revocations", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer let me in")
	res, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// TestRevokedTokensAreRefusedAtEveryGateway revokes at A what B accepts from its
// cache, and measures from the acknowledgement to B's refusal.
func TestRevokedTokensAreRefusedAtEveryGateway(t *testing.T) {
	server := env.StartValkey(t)
	f := startTokenFleet(t, []string{valkeyAt(server.URL()), valkeyAt(server.URL())}, "")
	a, b := f.gateways[0], f.gateways[1]
	other, _ := bearer(t, "bob")
	var took []time.Duration
	for n := range 200 {
		subject := fmt.Sprint("alice", n)
		token, id := bearer(t, subject)
		for range 2 {
			f.wantCall(t, b, token, http.StatusOK, "")
		}
		what := map[string]any{"jti": id}
		if n%2 == 1 {
			what = map[string]any{"subject": subject, "issuer": "shared"}
		}
		if status := f.takeBack(t, a, what); status != http.StatusCreated {
			t.Fatalf("revoking: %d", status)
		}
		begin := time.Now()
		f.wantCall(t, a, token, http.StatusUnauthorized, "token_revoked")
		env.WaitUntil(t, "B refuses the token", func() bool {
			status, body := f.call(b, token)
			if status != http.StatusOK && (status != http.StatusUnauthorized || !strings.Contains(body, "token_revoked")) {
				t.Fatalf("while revoking: %d %s", status, body)
			}
			return status == http.StatusUnauthorized
		})
		late := time.Since(begin)
		if took = append(took, late); late > time.Second {
			t.Errorf("a revocation took %v to reach the other gateway", late)
		}
	}
	t.Logf("from a revocation at A, with A's refusal, to the first refusal at B: %s", spread(took))
	f.wantCall(t, b, other, http.StatusOK, "")

	// Everything that was issued until now, at once, and for a gateway that
	// starts later as well.
	if status := f.takeBack(t, b, map[string]any{"issued_before": time.Now()}); status != http.StatusCreated {
		t.Fatalf("revoking: %d", status)
	}
	later := &fleet{client: f.client, binary: f.binary, key: f.key, valkey: f.valkey[:1], top: f.top}
	later.start(t, "", `- {name: api, paths: [/api], upstream: "builtin:echo", auth: [bearer], policy: authenticated}`)
	f.wantCall(t, later.gateways[0], other, http.StatusUnauthorized, "token_revoked")
	env.WaitUntil(t, "A refuses all tokens", func() bool { status, _ := f.call(a, other); return status == http.StatusUnauthorized })
}

// TestRevocationEndsStreamsOfTheToken: a WebSocket that was opened with a token
// at one gateway ends when the token is revoked at the other.
func TestRevocationEndsStreamsOfTheToken(t *testing.T) {
	server := env.StartValkey(t)
	app := chatter(t)
	f := startTokenFleet(t, []string{valkeyAt(server.URL()), valkeyAt(server.URL())}, "",
		fmt.Sprintf("- {name: chat, paths: [/chat], upstream: %q, auth: [bearer], policy: authenticated}", app))
	a, b := f.gateways[0], f.gateways[1]
	open := func(token string) *websocket.Conn {
		c, res, err := websocket.Dial(t.Context(), strings.Replace(b.URL, "http", "ws", 1)+"/chat", &websocket.DialOptions{
			HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
		})
		if err != nil {
			t.Fatalf("%v, %v", err, res)
		}
		t.Cleanup(func() { _ = c.CloseNow() })
		return c
	}
	other, _ := bearer(t, "bob")
	stays := open(other)
	var took []time.Duration
	for range 5 {
		token, id := bearer(t, "alice")
		socket := open(token)
		begin := time.Now()
		if status := f.takeBack(t, a, map[string]any{"jti": id}); status != http.StatusCreated {
			t.Fatalf("revoking: %d", status)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, _, err := socket.Read(ctx)
		cancel()
		if status := websocket.CloseStatus(err); status != websocket.StatusPolicyViolation {
			t.Errorf("the socket ended with %d, %v", status, err)
		}
		took = append(took, time.Since(begin))
	}
	t.Logf("after a revocation at the other gateway, WebSockets ended %s", spread(took))
	for _, d := range took {
		if d > time.Second+2*raceSlack {
			t.Errorf("a socket went on for %v", d)
		}
	}
	if err := stays.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
		t.Errorf("another user's socket: %v", err)
	}
}

// TestTokensWhileTheStoreIsOutOfSight: nobody can say whether a token was taken
// back, so it is accepted for max_staleness by what is known, and then neither
// accepted nor refused. What was revoked meanwhile is refused afterwards.
func TestTokensWhileTheStoreIsOutOfSight(t *testing.T) {
	t.Parallel()
	const staleness, patience = 2 * time.Second, 2 * time.Second // one request waits for the store's next word
	server := env.StartValkey(t)
	way := env.StartTCPProxy(t, server.Addr)
	f := startTokenFleet(t, []string{valkeyAt(server.URL()), valkeyAt("valkey://" + way.Addr)}, "revocation: {max_staleness: 2s}")
	a, b := f.gateways[0], f.gateways[1]
	for name, cut := range map[string]func(){"cut off silently": way.BlackHole, "connections are refused": func() { way.Refuse(); way.Cut() }} {
		t.Run(name, func(t *testing.T) {
			revoked, id := bearer(t, "alice")
			kept, _ := bearer(t, "bob")
			for _, token := range []string{revoked, kept} {
				f.wantCall(t, b, token, http.StatusOK, "")
			}
			cut()
			begin := time.Now()
			if status := f.takeBack(t, a, map[string]any{"jti": id}); status != http.StatusCreated {
				t.Fatalf("revoking: %d", status)
			}
			f.wantCall(t, b, kept, http.StatusOK, "")
			var accepted time.Duration
			env.WaitUntil(t, "B can't judge tokens", func() bool {
				status, _ := f.call(b, revoked)
				if status == http.StatusOK {
					accepted = time.Since(begin)
				}
				return status == http.StatusServiceUnavailable
			})
			if accepted > staleness+time.Second {
				t.Errorf("the token was accepted for %v", accepted)
			}
			if took := time.Since(begin); took > staleness+patience+time.Second {
				t.Errorf("B could not judge tokens, and said so after %v", took)
			}
			f.wantCall(t, b, kept, http.StatusServiceUnavailable, "unavailable")
			way.Heal()
			way.Accept()
			env.WaitUntil(t, "B accepts tokens again", func() bool { status, _ := f.call(b, kept); return status == http.StatusOK })
			f.wantCall(t, b, revoked, http.StatusUnauthorized, "token_revoked")
		})
	}
}
