package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// exchange gives the bench's ring the keys of these seeds.
func (b *bench) exchange(seeds ...byte) { b.manager.Keyring().Exchange(newRing(b.t, seeds...)) }

func TestNobodyNoticesThatAnotherKeySeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		old := b.signIn(alice(), nil)
		b.exchange(50, 1)
		fresh := b.signIn(alice(), nil)
		for name, ck := range map[string]string{"from before": line(old), "from after": line(fresh)} {
			s, err := b.ask(true, ck)
			if err != nil {
				t.Fatalf("the cookie %s: %v", name, err)
			}
			if tokens, err := b.manager.Tokens(t.Context(), s.Key()); err != nil || string(tokens) != "tokens of alice" {
				t.Errorf("the tokens %s: %q, %v", name, tokens, err)
			}
		}
		b.exchange(50)
		if _, err := b.ask(true, line(old)); !errors.Is(err, errNoCookie) {
			t.Errorf("the cookie of a key that was dropped: %v", err)
		}
		if _, err := b.ask(true, line(fresh)); err != nil {
			t.Error(err)
		}
	})
}

func TestAKeyIsInUseWhileASessionHangsOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		old := b.manager.Keyring().Sealing()
		ck := b.signIn(alice(), nil)
		began := time.Now()
		pass(time.Minute)
		b.exchange(50, 1)
		stopped := time.Now()
		pass(time.Minute)
		b.signIn(alice(), nil) // of the new key, it counts for nothing
		use, err := b.manager.KeyUse(t.Context(), old, stopped)
		if err != nil || use.Sessions != 1 || len(use.Users) != 1 || use.Users[0].Subject != "alice" || !use.Until.Equal(began.Add(12*time.Hour)) {
			t.Fatalf("%+v, %v", use, err)
		}
		// A new id by the new key, with the beginning of the old one.
		s, err := b.ask(true, line(ck))
		if err != nil {
			t.Fatal(err)
		}
		if _, ck, err = b.manager.Rotate(t.Context(), s.Key(), nil); err != nil {
			t.Fatal(err)
		}
		if use, err := b.manager.KeyUse(t.Context(), old, stopped); err != nil || use.Sessions != 0 {
			t.Errorf("after the session got a new id: %+v, %v", use, err)
		}
		if _, err := b.ask(true, line(ck)); err != nil {
			t.Error(err)
		}
	})
}

func TestAnIdleSessionKeepsNoKeyInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		old := b.manager.Keyring().Sealing()
		b.signIn(alice(), nil)
		b.exchange(50, 1)
		stopped := time.Now()
		pass(30*time.Minute + time.Second)
		if use, err := b.manager.KeyUse(t.Context(), old, stopped); err != nil || use.Sessions != 0 {
			t.Errorf("%+v, %v", use, err)
		}
	})
}

// A session whose cookie another key has made can have tokens that the retiring
// one sealed: two gateways change over within seconds of one another.
func TestReleasingAKeySealsAnewWhatItSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		old := b.manager.Keyring().Sealing()
		ck := b.signIn(alice(), nil)
		s, err := b.ask(true, line(ck))
		if err != nil {
			t.Fatal(err)
		}
		byOld, err := b.store.Tokens(t.Context(), s.Key())
		if err != nil {
			t.Fatal(err)
		}
		b.exchange(50, 1)
		rotated, ck, err := b.manager.Rotate(t.Context(), s.Key(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if session.SealedBy(byOld, "0000000000") || !session.SealedBy(byOld, old) {
			t.Error("it is not told who sealed the tokens")
		}
		// As the other gateway would leave it behind.
		ring := newRing(t, 1)
		if _, err := b.store.Update(t.Context(), rotated.Key(), func(s *session.Session) error {
			key := s.Key()
			s.SealedTokens = new(ring.Seal(session.PurposeTokens, []byte("renewed"), key[:]))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		stopped := time.Now()
		use, err := b.manager.ReleaseKey(t.Context(), old, stopped)
		if err != nil || use.Sessions != 0 || use.Resealed != 1 {
			t.Fatalf("%+v, %v", use, err)
		}
		b.exchange(50)
		if tokens, err := b.manager.Tokens(t.Context(), rotated.Key()); err != nil || string(tokens) != "renewed" {
			t.Errorf("%q, %v", tokens, err)
		}
		if _, err := b.ask(true, line(ck)); err != nil {
			t.Error(err)
		}
	})
}

func TestReleasingAKeyEndsTheSessionsThatHangOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		old := b.manager.Keyring().Sealing()
		before := b.signIn(alice(), nil)
		b.exchange(50, 1)
		after := b.signIn(alice(), nil)
		use, err := b.manager.ReleaseKey(t.Context(), old, time.Now())
		if err != nil || use.Sessions != 1 {
			t.Fatalf("%+v, %v", use, err)
		}
		if _, err := b.ask(true, line(before)); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("the session of the old key: %v", err)
		}
		if _, err := b.ask(true, line(after)); err != nil {
			t.Error(err)
		}
	})
}
