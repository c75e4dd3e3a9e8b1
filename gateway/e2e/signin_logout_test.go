//go:build e2e

package e2e_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestSignOutAtTheProviderToo: the sign-out ends the session here, gives back
// the tokens (RFC 7009), ends the session at the provider (RP-Initiated Logout
// 1.0), and comes back to this site. The next visit asks who it is.
func TestSignOutAtTheProviderToo(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{gateways: 2})
	s.waitReady(t)
	p := s.person(t)
	p.wantAt(p.signIn("/", "alice"), "/")
	old := p.cookie("sp")

	got := p.answer(p.open("/.auth/logout"), "", "")
	if strings.HasPrefix(got.url, s.provider.Issuer+"/session/end") { // the provider asks, too
		got = p.answer(got, "logout", "yes")
	}
	if !strings.HasPrefix(got.url, s.url+"/") || got.status != http.StatusOK {
		t.Errorf("the sign-out ends at %s (%d), and not at this site:\n%.400s%s", got.url, got.status, got.body, p.trail())
	}
	p.wantNoError()
	for n := range s.gateways {
		if got := send(t, client(t), http.MethodGet, s.at[n].URL()+"/", "Cookie", "sp="+old); got.status != http.StatusUnauthorized {
			t.Errorf("the old cookie at gateway %d: %d", n, got.status)
		}
	}
	if counts := s.provider.Counts(); counts.EndSession == 0 || counts.Revocation == 0 || counts.Backchannel.Failed != 0 {
		t.Errorf("the provider has seen %+v", counts)
	}
	for _, h := range p.hops {
		if strings.HasPrefix(h.url, s.provider.Issuer+"/session/end?") && !strings.Contains(h.url, "id_token_hint=") {
			t.Errorf("no id_token_hint in %s", h.url)
		}
	}
	p.wantProvider(p.open("/"))
}

// TestSignOutWhileTheProviderIsDown ends the session here at least.
func TestSignOutWhileTheProviderIsDown(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	p := s.person(t)
	p.wantAt(p.signIn("/", "alice"), "/")
	old := "sp=" + p.cookie("sp")
	s.provider.Kill()
	if status := s.signOut(t, old); status != http.StatusSeeOther {
		t.Errorf("sign-out: %d", status)
	}
	if got := send(t, client(t), http.MethodGet, s.url+"/", "Cookie", old); got.status != http.StatusUnauthorized {
		t.Errorf("the old cookie: %d", got.status)
	}
}

// TestBackChannelLogoutEndsOpenSockets: the provider ends one session of alice.
// It tells one gateway; her WebSocket at another is closed within a second, and
// neither her other device nor bob's socket suffers from it.
func TestBackChannelLogoutEndsOpenSockets(t *testing.T) {
	s := startSite(t, siteOptions{gateways: 2, routes: []string{
		`- {name: chat, paths: [/chat], upstream: "` + chatter(t) + `", policy: authenticated}`,
	}})
	s.waitReady(t)
	cookies := map[string]string{}
	for _, who := range []string{"alice", "alice elsewhere", "bob"} {
		p := s.person(t)
		account, _, _ := strings.Cut(who, " ")
		p.wantAt(p.signIn("/", account), "/")
		cookies[who] = "sp=" + p.cookie("sp")
	}
	s.only.Store(1)
	here := &env.Gateway{URL: s.url}
	alice, bob := openSocket(t, here, cookies["alice"]), openSocket(t, here, cookies["bob"])

	s.only.Store(0) // which the provider tells
	begin := time.Now()
	s.provider.LogoutOldest("alice")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, _, err := alice.Read(ctx)
	took := time.Since(begin)
	t.Logf("the socket ended %v after the provider began to tell", took)
	if status := websocket.CloseStatus(err); status != websocket.StatusPolicyViolation {
		t.Errorf("the socket ended with %d, %v", status, err)
	}
	if limit := time.Second + raceSlack; took > limit {
		t.Errorf("it took %v, more than %v", took, limit)
	}
	if counts := s.provider.Counts(); counts.Backchannel.OK != 1 || counts.Backchannel.Failed != 0 {
		t.Errorf("the provider was answered %+v:\n%s", counts.Backchannel, s.provider.Output())
	}
	s.wantStatuses(t, cookies, map[string]int{"alice": 401, "alice elsewhere": 200, "bob": 200})
	if err := bob.Write(ctx, websocket.MessageText, []byte("still here")); err != nil {
		t.Error(err)
	}
	if _, text, err := bob.Read(ctx); err != nil || string(text) != "still here" {
		t.Errorf("bob's socket: %q, %v", text, err)
	}

	s.provider.Logout("alice")
	s.wantStatuses(t, cookies, map[string]int{"alice": 401, "alice elsewhere": 401, "bob": 200})
}

// wantStatuses asks every gateway with every cookie.
func (s *site) wantStatuses(t *testing.T, cookies map[string]string, want map[string]int) {
	t.Helper()
	for n := range s.gateways {
		for who, status := range want {
			env.WaitUntil(t, who+" gets "+strconv.Itoa(status), func() bool {
				return send(t, client(t), http.MethodGet, s.at[n].URL()+"/", "Cookie", cookies[who]).status == status
			})
		}
	}
}

// TestBackChannelLogoutWhileTheStoreIsDown is answered in a way that makes the
// provider try again (OpenID Connect Back-Channel Logout 1.0, section 2.8).
func TestBackChannelLogoutWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{withValkey: true})
	s.waitReady(t)
	p := s.person(t)
	p.wantAt(p.signIn("/", "alice"), "/")
	s.valkey.Kill()
	s.provider.Logout("alice")
	if counts := s.provider.Counts(); counts.Backchannel.OK != 0 || counts.Backchannel.Failed != 1 || !strings.Contains(s.provider.Output(), "got: 503") {
		t.Errorf("the provider was answered %+v:\n%s", counts.Backchannel, s.provider.Output())
	}
}
