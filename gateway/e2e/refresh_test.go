//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// refreshing is a fleet whose users sign in at a provider that rotates refresh
// tokens, and takes the second use of one for theft. Every page gets the access
// token below /tokens.
type refreshing struct {
	*fleet
	provider *oidctest.Provider
}

// startRefreshing starts three gateways. The access tokens of sign-ins end after
// three seconds.
func startRefreshing(t *testing.T, valkey string) *refreshing {
	t.Helper()
	f := &refreshing{newFleet(t, slices.Repeat([]string{valkey}, 3)), oidctest.New(t)}
	f.provider.Set(func(s *oidctest.Script) {
		s.Claims = map[string]any{"email": "alice@example.com", "groups": []string{"staff"}}
		s.Refresh.AccessLife = 3 * time.Second
	})
	f.login = corp(f.provider)
	f.start(t, "refresh: {ahead: 1s, grace: 1m, min_remaining: 1s}",
		`- {name: tokens, paths: [/tokens/], upstream: "builtin:echo", policy: authenticated, forward_access_token: true}`)
	return f
}

// atProvider signs alice in at a gateway and returns her cookie.
func (f *refreshing) atProvider(t *testing.T, g *env.Gateway) string {
	t.Helper()
	cookie, status := f.atCorp(t, g)
	if cookie == "" {
		t.Fatalf("signing in at the provider: %d", status)
	}
	return cookie
}

// expired signs alice in, shows her to every gateway, and returns her cookie when
// the access token has ended.
func (f *refreshing) expired(t *testing.T) string {
	t.Helper()
	cookie := f.atProvider(t, f.gateways[0])
	ends := time.Now().Add(3100 * time.Millisecond)
	for _, g := range f.gateways {
		if r := f.get(g, "/", cookie); r.status != http.StatusOK {
			t.Fatalf("before: %v", r)
		}
	}
	env.WaitUntil(t, "the access token has ended", func() bool { return time.Now().After(ends) })
	f.provider.Set(func(s *oidctest.Script) { s.Refresh.AccessLife = 10 * time.Minute })
	return cookie
}

// forwarded is the access token that the application got.
func (f *refreshing) forwarded(t *testing.T, g *env.Gateway, cookie string) string {
	t.Helper()
	got := send(t, f.client, http.MethodGet, g.URL+"/tokens/", "Cookie", cookie)
	for _, token := range f.provider.AccessTokens() {
		if strings.Contains(got.body, `"Bearer `+token+`"`) {
			return token
		}
	}
	t.Fatalf("no access token: %d\n%s", got.status, got.body)
	return ""
}

func (f *refreshing) result(t *testing.T, g *env.Gateway, result string) float64 {
	t.Helper()
	return f.metric(t, g, fmt.Sprintf(`sallyport_refreshes_total{result=%q}`, result))
}

// storm sends n requests at once, round and round.
func (f *refreshing) storm(n int, cookie string, gateways ...*env.Gateway) []result {
	results := make([]result, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { results[i] = f.get(gateways[i%len(gateways)], "/tokens/", cookie) })
	}
	all.Wait()
	return results
}

// TestAStampedeAtExpiryRedeemsOnce: 200 requests at three gateways, at a provider
// that would end the session for a second redemption.
func TestAStampedeAtExpiryRedeemsOnce(t *testing.T) {
	t.Parallel()
	f := startRefreshing(t, valkeyAt(env.StartValkey(t).URL()))
	for _, tt := range []struct {
		name    string
		latency time.Duration
	}{
		{"a provider that takes its time", 800 * time.Millisecond},
		{"a redemption that takes longer than a lease", 7 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.provider.Set(func(s *oidctest.Script) {
				s.Refresh.Latency, s.Refresh.AccessLife = tt.latency, 3*time.Second
			})
			before := f.provider.Calls(oidctest.Refresh)
			cookie := f.expired(t)
			var took []time.Duration
			for _, r := range f.storm(200, cookie, f.gateways...) {
				if r.status != http.StatusOK || r.setCookie || r.err != nil {
					t.Errorf("a request got %v", r)
				}
				took = append(took, r.took)
			}
			if got := f.provider.Calls(oidctest.Refresh) - before; got != 1 {
				t.Errorf("%d redemptions", got)
			}
			tokens := map[string]bool{}
			for _, g := range f.gateways {
				tokens[f.forwarded(t, g, cookie)] = true
			}
			if len(tokens) != 1 {
				t.Errorf("the gateways forward %d tokens", len(tokens))
			}
			t.Logf("200 requests at three gateways, redemption of %v: %s", tt.latency, spread(took))
		})
	}
}

// TestTheHolderIsKilledInMidRedemption: the others take over when its lease has
// run out. Where the provider had redeemed already, the answer is lost, and with
// it the grant: that costs one sign-in and nothing else.
func TestTheHolderIsKilledInMidRedemption(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		script func(*oidctest.RefreshScript)
		want   int
	}{
		{"before the provider redeemed", func(s *oidctest.RefreshScript) { s.Latency = 3 * time.Second }, http.StatusOK},
		{"when the provider had redeemed", func(s *oidctest.RefreshScript) { s.Redeemed = 3 * time.Second }, http.StatusFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := startRefreshing(t, valkeyAt(env.StartValkey(t).URL()))
			cookie := f.expired(t)
			f.provider.Set(func(s *oidctest.Script) { tt.script(&s.Refresh) })
			holder, others := f.gateways[0], f.gateways[1:]
			go f.get(holder, "/", cookie)
			env.WaitUntil(t, "the holder asks the provider", func() bool { return f.provider.Calls(oidctest.Refresh) == 1 })
			holder.Kill()
			f.provider.Set(func(s *oidctest.Script) { s.Refresh.Latency, s.Refresh.Redeemed = 0, 0 })
			begin := time.Now()
			for _, r := range f.storm(50, cookie, others...) {
				if r.status != tt.want || r.err != nil {
					t.Errorf("a request got %v", r)
				}
			}
			t.Logf("taken over after %v", time.Since(begin))
			if got := f.provider.Calls(oidctest.Refresh); got != 2 {
				t.Errorf("%d redemptions, want that of the holder and one more", got)
			}
			if tt.want != http.StatusOK {
				cookie = f.atProvider(t, others[0])
			}
			for _, g := range others {
				f.waitStatus(t, g, cookie, http.StatusOK)
			}
		})
	}
}

// TestAFrozenHolderWakesTooLate: its tokens are not written over those of who
// took over.
func TestAFrozenHolderWakesTooLate(t *testing.T) {
	t.Parallel()
	f := startRefreshing(t, valkeyAt(env.StartValkey(t).URL()))
	cookie := f.expired(t)
	f.provider.Set(func(s *oidctest.Script) { s.Refresh.SameToken, s.Refresh.Redeemed = true, time.Second })
	holder, other := f.gateways[0], f.gateways[1]
	late := make(chan result, 1)
	go func() { late <- f.get(holder, "/", cookie) }()
	env.WaitUntil(t, "the holder asks the provider", func() bool { return f.provider.Calls(oidctest.Refresh) == 1 })
	holder.Freeze()
	t.Cleanup(holder.Thaw)
	if r := f.get(other, "/", cookie); r.status != http.StatusOK {
		t.Fatalf("who took over: %v", r)
	}
	kept := f.forwarded(t, other, cookie)
	holder.Thaw()
	if r := <-late; r.status != http.StatusOK {
		t.Errorf("the late one: %v", r)
	}
	env.WaitUntil(t, "the late one is done", func() bool { return f.result(t, holder, "overtaken") == 1 })
	if f.result(t, other, "ok") != 1 || f.result(t, holder, "ok") != 0 {
		t.Error("the metrics tell otherwise")
	}
	for _, g := range f.gateways {
		if got := f.forwarded(t, g, cookie); got != kept {
			t.Error("the tokens of the late one are in the session")
		}
	}
}

// TestAnOutageOfTheLeaseAlone: sessions can be read and records can't. Nobody
// redeems, nobody waits, nobody is signed out; afterwards one gateway redeems.
func TestAnOutageOfTheLeaseAlone(t *testing.T) {
	t.Parallel()
	env.Secret("Valkey password", "the-password-of-gate")
	server := env.StartValkey(t, env.ValkeyACL("operator", "o", "user default off", "user operator on >o ~* &* +@all", "user gate on >the-password-of-gate ~* &* +@all"))
	f := startRefreshing(t, fmt.Sprintf("urls: [valkey://127.0.0.1:%d], username: gate, password: the-password-of-gate", server.Port))
	cookie := f.expired(t)
	server.Do("ACL", "SETUSER", "gate", "resetkeys", "~sp:{???}[^r]*")
	for range 5 {
		for _, g := range f.gateways {
			if r := f.get(g, "/", cookie); r.status != http.StatusOK || r.setCookie || r.took > 3*time.Second {
				t.Errorf("without leases: %v", r)
			}
		}
	}
	if got := f.provider.Calls(oidctest.Refresh); got != 0 {
		t.Errorf("%d redemptions without a lease", got)
	}
	for _, g := range f.gateways {
		if f.result(t, g, "store_unavailable") == 0 {
			t.Error("the metrics do not tell")
		}
	}
	server.Do("ACL", "SETUSER", "gate", "~*")
	env.WaitUntil(t, "the tokens are renewed", func() bool {
		for _, g := range f.gateways {
			if r := f.get(g, "/", cookie); r.status != http.StatusOK {
				t.Fatalf("afterwards: %v", r)
			}
		}
		return f.provider.Calls(oidctest.Refresh) > 0
	})
	f.forwarded(t, f.gateways[2], cookie)
	if got := f.provider.Calls(oidctest.Refresh); got != 1 {
		t.Errorf("%d redemptions", got)
	}
}

// TestAProviderInTroubleIsAskedByTheFleetAsByOne: one attempt a step of the
// back-off, whatever the number of gateways and requests.
func TestAProviderInTroubleIsAskedByTheFleetAsByOne(t *testing.T) {
	t.Parallel()
	f := startRefreshing(t, valkeyAt(env.StartValkey(t).URL()))
	cookie := f.expired(t)
	f.provider.Set(func(s *oidctest.Script) { s.Refresh.Status = http.StatusServiceUnavailable })
	stop := f.load([]string{cookie}, 6, 10*time.Millisecond, f.gateways...)
	begin := time.Now()
	env.WaitUntil(t, "ten seconds have passed", func() bool { return time.Since(begin) > 10*time.Second })
	ok, unavailable := count(t, stop())
	calls := f.provider.Calls(oidctest.Refresh)
	t.Logf("%d requests at three gateways in %v: the provider was asked %d times", ok, time.Since(begin).Round(time.Second), calls)
	if unavailable > 0 {
		t.Errorf("%d answers were 503 within the grace", unavailable)
	}
	if calls < 2 || calls > 4 { // after 0, 1, 3, 7 s and up to a fifth more
		t.Errorf("the provider was asked %d times", calls)
	}
	f.provider.Set(func(s *oidctest.Script) { s.Refresh.Status = 0 })
	env.WaitUntil(t, "the tokens are renewed", func() bool {
		return f.get(f.gateways[1], "/tokens/", cookie).status == http.StatusOK
	})
}
