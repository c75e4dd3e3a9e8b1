package session_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// TestManyRequestsAtExpiryRedeemOnce: with refresh tokens that rotate, a second
// redemption would sign the user out.
func TestManyRequestsAtExpiryRedeemOnce(t *testing.T) {
	for name, latency := range map[string]time.Duration{
		"a provider that takes its time":              800 * time.Millisecond,
		"a redemption that takes longer than a lease": 7 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newRenewing(t, 3)
				b.provider.latency = latency
				ck := b.signIn()
				pass(b.provider.life)
				var all sync.WaitGroup
				for n := range 200 {
					all.Go(func() {
						if s, err := b.ask(b.gateways[n%3], ck); err != nil || s.Grant.Generation != 1 {
							t.Errorf("request %d: %v, %v", n, s, err)
						}
					})
				}
				all.Wait()
				if got := len(b.provider.called()); got != 1 {
					t.Errorf("the provider was asked %d times", got)
				}
				// And so once more with what came.
				pass(b.provider.life + time.Second)
				for _, m := range b.gateways {
					if s := b.mustAsk(m, ck); s.Grant.Generation != 2 {
						t.Errorf("the second time: generation %d", s.Grant.Generation)
					}
				}
				if got := len(b.provider.called()); got != 2 {
					t.Errorf("the provider was asked %d times in all", got)
				}
			})
		})
	}
}

func TestTokensAreRenewedBeforeTheyEndAndNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		b.provider.latency = 3 * time.Second
		ck := b.signIn()
		pass(b.provider.life - 2*time.Minute)
		b.mustAsk(b.gateways[0], ck)
		synctest.Wait()
		if got := len(b.provider.called()); got != 0 {
			t.Fatalf("asked %d times though nothing was due", got)
		}
		pass(time.Minute + time.Second)
		for range 5 {
			begin := time.Now()
			if s := b.mustAsk(b.gateways[0], ck); s.Grant.Generation != 0 || time.Since(begin) != 0 {
				t.Errorf("a request waited for %v", time.Since(begin))
			}
		}
		pass(4 * time.Second)
		if s := b.mustAsk(b.gateways[0], ck); s.Grant.Generation != 1 {
			t.Errorf("generation %d after the refresh", s.Grant.Generation)
		}
		if got := len(b.provider.called()); got != 1 {
			t.Errorf("asked %d times", got)
		}
	})
}

func TestShortTokensAreNotRenewedWithEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		b.provider.life = 20 * time.Second // less than the time ahead
		ck := b.signIn()
		for range 200 {
			b.mustAsk(b.gateways[0], ck)
			pass(100 * time.Millisecond)
		}
		if got := len(b.provider.called()); got < 1 || got > 2 {
			t.Errorf("asked %d times in 20 s", got)
		}
	})
}

func TestWhatCanNotBeRenewedLivesByItsOwnTimeouts(t *testing.T) {
	tests := map[string]session.SignIn{
		"no refresh token":                    {Identity: alice(), Tokens: []byte("0"), AccessExpires: time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)},
		"an access token that does not end":   {Identity: alice(), Tokens: []byte("0"), Renewable: true},
		"an end that no clock will ever show": {Identity: alice(), Tokens: []byte("0"), Renewable: true, AccessExpires: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
		"no tokens":                           {Identity: alice()},
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newRenewing(t, 1)
				ck := b.signInWith(in)
				for range 30 {
					pass(20 * time.Minute)
					b.mustAsk(b.gateways[0], ck)
				}
				if got := len(b.provider.called()); got != 0 {
					t.Errorf("the provider was asked %d times", got)
				}
			})
		})
	}
}

// TestARefreshChangesWhoTheUserIs: groups that were taken from him at the
// provider are gone, and the session is the same one.
func TestARefreshChangesWhoTheUserIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 2)
		b.provider.who = &identity.Identity{Issuer: "https://op.test", Subject: "alice", Groups: []string{"guests"}}
		ck := b.signIn()
		before := b.mustAsk(b.gateways[0], ck)
		pass(b.provider.life)
		b.mustAsk(b.gateways[0], ck)
		for _, m := range b.gateways {
			s := b.mustAsk(m, ck)
			if !slices.Equal(s.Identity.Groups, []string{"guests"}) {
				t.Errorf("groups: %v", s.Identity.Groups)
			}
			if s.Key() != before.Key() || !s.ExpiresAt().Equal(before.ExpiresAt()) {
				t.Error("the session is another one, or lives for longer")
			}
		}
	})
}

func TestAHolderWhoDiedIsSucceededWhenItsLeaseRunsOut(t *testing.T) {
	for name, redeemed := range map[string]bool{
		"before the provider answered":        false,
		"after, with the answer in its hands": true,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newRenewing(t, 2)
				ck := b.signIn()
				pass(b.provider.life)
				// What a gateway leaves behind that is killed in mid-redemption.
				_, err := b.store.SaveRecord(t.Context(), session.KindLease, session.LeaseName(key(b.gateways[0], t, ck)), 0,
					[]byte(`{"owner":"dead","generation":0}`), time.Now().Add(session.LeaseLife))
				if err != nil {
					t.Fatal(err)
				}
				if redeemed {
					b.provider.current++
				}
				begin := time.Now()
				var all sync.WaitGroup
				for n := range 20 {
					all.Go(func() {
						s, err := b.ask(b.gateways[n%2], ck)
						if redeemed && !errors.Is(err, session.ErrNotFound) {
							t.Errorf("%v, %v: want a clean sign-in", s, err)
						}
						if !redeemed && (err != nil || s.Grant.Generation != 1) {
							t.Errorf("%v, %v", s, err)
						}
					})
				}
				all.Wait()
				if took := time.Since(begin); took < session.LeaseLife || took > 2*session.LeaseLife {
					t.Errorf("taken over after %v", took)
				}
				if got := len(b.provider.called()); got != 1 {
					t.Errorf("asked %d times", got)
				}
			})
		})
	}
}

// TestALateHolderIsRejected: a gateway that was frozen in mid-redemption wakes
// when another has long taken over. Its tokens are older, whatever it believes.
func TestALateHolderIsRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 2)
		b.provider.lenient, b.provider.latency = true, 12*time.Second
		ck := b.signIn()
		pass(b.provider.life)
		var late sync.WaitGroup
		late.Go(func() { _, _ = b.ask(b.gateways[0], ck) })
		pass(time.Second)
		b.ways[0].records.Store(true) // it can't keep its lease
		b.provider.set(func(p *provider) { p.latency = time.Second })
		if s := b.mustAsk(b.gateways[1], ck); s.Grant.Generation != 1 {
			t.Fatalf("generation %d", s.Grant.Generation)
		}
		tokens, err := b.gateways[1].Tokens(t.Context(), key(b.gateways[1], t, ck))
		if err != nil {
			t.Fatal(err)
		}
		late.Wait()
		pass(10 * time.Second)
		after, err := b.gateways[1].Tokens(t.Context(), key(b.gateways[1], t, ck))
		if err != nil || string(after) != string(tokens) {
			t.Errorf("the late holder wrote %q over %q: %v", after, tokens, err)
		}
		for _, m := range b.gateways {
			if s := b.mustAsk(m, ck); s.Grant.Generation != 1 {
				t.Errorf("generation %d", s.Grant.Generation)
			}
		}
		if b.count(session.RefreshOK) != 1 || b.count(session.RefreshOvertaken) == 0 {
			t.Errorf("%v", b.results)
		}
	})
}

func TestASessionThatWasEndedMeanwhileDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		b.provider.latency = 2 * time.Second
		ck := b.signIn()
		id := key(b.gateways[0], t, ck)
		pass(b.provider.life)
		var asked sync.WaitGroup
		asked.Go(func() {
			if s, err := b.ask(b.gateways[0], ck); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%v, %v", s, err)
			}
		})
		pass(time.Second)
		if err := b.store.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		asked.Wait()
		if s, err := b.store.Get(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%v, %v", s, err)
		}
	})
}

// TestAGatewayThatStopsKeepsWhatTheProviderGave: the refresh token from before is
// worth nothing any more.
func TestAGatewayThatStopsKeepsWhatTheProviderGave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 2)
		b.provider.latency = 3 * time.Second
		ck := b.signIn()
		pass(b.provider.life - 30*time.Second)
		b.mustAsk(b.gateways[1], ck)
		pass(time.Second)
		b.stop[1]()
		if s := b.mustAsk(b.gateways[0], ck); s.Grant.Generation != 1 {
			t.Errorf("generation %d", s.Grant.Generation)
		}
	})
}
