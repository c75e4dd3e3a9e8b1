package session_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// TestAProviderInTroubleSignsNobodyOut: within the grace the session goes on,
// then requests get an outage, and when the provider is back all is well.
func TestAProviderInTroubleSignsNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 3)
		down := errors.New("status 503")
		b.provider.fail = func(int) error { return down }
		ck := b.signIn()
		pass(b.provider.life)
		grace := renewSettings().Grace
		for range int(grace / time.Second) {
			for _, m := range b.gateways {
				b.mustAsk(m, ck)
			}
			pass(time.Second)
		}
		for _, m := range b.gateways {
			if s, err := b.ask(m, ck); err == nil || errors.Is(err, session.ErrNotFound) || !strings.Contains(err.Error(), "can't be renewed") {
				t.Errorf("after the grace: %v, %v, want an outage", s, err)
			}
		}
		// 1 s, 2 s, 4 s ... 60 s, and up to a fifth more each, for all gateways together.
		calls := b.provider.called()
		for n, at := range calls[1:] {
			least := min(time.Second<<min(n, 6), time.Minute)
			if gap := at.Sub(calls[n]); gap < least {
				t.Errorf("attempt %d came %v after the one before, want %v at least", n+2, gap, least)
			}
		}
		if len(calls) < 7 || len(calls) > 11 {
			t.Errorf("asked %d times in %v", len(calls), grace)
		}
		b.provider.set(func(p *provider) { p.fail = nil })
		pass(2 * time.Minute)
		for _, m := range b.gateways {
			if s := b.mustAsk(m, ck); s.Grant.Generation != 1 {
				t.Errorf("generation %d", s.Grant.Generation)
			}
		}
		if len(b.ended) > 0 {
			t.Errorf("ended: %v", b.ended)
		}
	})
}

func TestAProviderIsLeftAloneForAsLongAsItWishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 3)
		b.provider.fail = func(call int) error {
			if call == 1 {
				return &session.RetryError{After: 30 * time.Second, Err: errors.New("status 429")}
			}
			return nil
		}
		ck := b.signIn()
		pass(b.provider.life)
		for range 29 {
			for _, m := range b.gateways {
				b.mustAsk(m, ck)
			}
			pass(time.Second)
		}
		if got := len(b.provider.called()); got != 1 {
			t.Errorf("asked %d times within 30 s", got)
		}
		pass(2 * time.Second)
		if s := b.mustAsk(b.gateways[2], ck); s.Grant.Generation != 1 {
			t.Errorf("generation %d", s.Grant.Generation)
		}
	})
}

func TestAProviderThatHangsHoldsUpNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		b.provider.latency = time.Hour
		ck := b.signIn()
		pass(b.provider.life)
		begin := time.Now()
		b.mustAsk(b.gateways[0], ck)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("the first request waited for %v", took)
		}
		begin = time.Now()
		b.mustAsk(b.gateways[0], ck)
		if took := time.Since(begin); took > 0 {
			t.Errorf("the next one waited for %v more", took)
		}
	})
}

func TestADefiniteNoEndsTheSession(t *testing.T) {
	for result, refusal := range map[string]error{
		session.RefreshGrantEnded:     session.ErrGrantEnded,
		session.RefreshAnotherSubject: session.ErrAnotherSubject,
	} {
		t.Run(result, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newRenewing(t, 2)
				b.provider.fail = func(int) error { return refusal }
				ck := b.signIn()
				id := key(b.gateways[0], t, ck)
				pass(b.provider.life)
				if s, err := b.ask(b.gateways[0], ck); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("%v, %v", s, err)
				}
				for _, m := range b.gateways {
					if _, err := m.Live(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
						t.Errorf("streams of the session: %v", err)
					}
				}
				if len(b.ended) != 1 || b.ended[0] != result || b.count(result) != 1 {
					t.Errorf("ended %v, results %v", b.ended, b.results)
				}
			})
		})
	}
}

// TestARefusalOfWhatSomebodyElseRedeemedEndsNothing: invalid_grant may only mean
// that the token was rotated by another, whose result is in the session.
func TestARefusalOfWhatSomebodyElseRedeemedEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		ck := b.signIn()
		id := key(b.gateways[0], t, ck)
		b.provider.fail = func(int) error {
			_, err := b.store.Update(t.Context(), id, func(s *session.Session) error {
				s.Grant.Generation++
				s.Grant.Issued, s.Grant.Expires = time.Now().UnixNano(), time.Now().Add(time.Hour).UnixNano()
				return nil
			})
			return errors.Join(err, session.ErrGrantEnded)
		}
		pass(b.provider.life)
		if s := b.mustAsk(b.gateways[0], ck); s.Grant.Generation != 1 {
			t.Errorf("generation %d", s.Grant.Generation)
		}
		if len(b.ended) > 0 {
			t.Errorf("ended: %v", b.ended)
		}
	})
}

// TestAnOutageOfTheLeaseAlone: who can't know whether another redeems does not;
// nobody hangs, and the session goes on for the grace.
func TestAnOutageOfTheLeaseAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 2)
		ck := b.signIn()
		for _, way := range b.ways {
			way.records.Store(true)
		}
		pass(b.provider.life)
		for _, m := range b.gateways {
			begin := time.Now()
			b.mustAsk(m, ck)
			if took := time.Since(begin); took > time.Second {
				t.Errorf("waited for %v", took)
			}
		}
		if got := len(b.provider.called()); got != 0 {
			t.Errorf("redeemed %d times without a lease", got)
		}
		for _, way := range b.ways {
			way.records.Store(false)
		}
		pass(2 * time.Second)
		for _, m := range b.gateways {
			if s := b.mustAsk(m, ck); s.Grant.Generation != 1 {
				t.Errorf("generation %d", s.Grant.Generation)
			}
		}
		if got := len(b.provider.called()); got != 1 {
			t.Errorf("asked %d times", got)
		}
	})
}

// TestAnOutageOfTheStoreInMidRedemption: what the provider gave out is written
// when the store is back.
func TestAnOutageOfTheStoreInMidRedemption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		b.provider.latency = 2 * time.Second
		ck := b.signIn()
		pass(b.provider.life - 30*time.Second)
		b.mustAsk(b.gateways[0], ck)
		pass(time.Second)
		b.ways[0].updates.Store(true)
		b.ways[0].records.Store(true)
		pass(20 * time.Second)
		b.mustAsk(b.gateways[0], ck)
		b.ways[0].updates.Store(false)
		b.ways[0].records.Store(false)
		pass(5 * time.Second)
		if s := b.mustAsk(b.gateways[0], ck); s.Grant.Generation != 1 {
			t.Errorf("generation %d", s.Grant.Generation)
		}
		if got := len(b.provider.called()); got != 1 {
			t.Errorf("asked %d times", got)
		}
	})
}
