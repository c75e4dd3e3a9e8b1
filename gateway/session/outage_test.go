package session_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// remoteStore is like a store on a network: every Get is a new decoding, which
// knows no use but those that were written, and writes can be refused.
type remoteStore struct {
	session.Store
	refusing atomic.Bool
	refused  atomic.Int64
}

var errRefused = errors.New("OOM command not allowed")

// Create keeps the session until its absolute timeout: the store in memory would
// drop an idle one.
func (r *remoteStore) Create(ctx context.Context, s *session.Session) error {
	kept := s.Clone()
	kept.IdleTimeout = 0
	return r.Store.Create(ctx, kept)
}

func (r *remoteStore) Get(ctx context.Context, key session.Key) (*session.Session, error) {
	s, err := r.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	record, err := session.Marshal(s)
	if err != nil {
		return nil, err
	}
	return session.Unmarshal(key, record)
}

func (r *remoteStore) Touch(ctx context.Context, key session.Key, at time.Time) error {
	if r.refusing.Load() {
		r.refused.Add(1)
		return errRefused
	}
	return r.Store.Touch(ctx, key, at)
}

// overRemote makes a Manager over a store that another one shares.
func overRemote(t *testing.T, store session.Store) *bench {
	t.Helper()
	b := &bench{t: t, store: &watchedStore{Store: store}}
	srv, cfg := settings()
	b.manager = session.NewManager(session.Options{Store: b.store, Keyring: newRing(t, 1), Server: srv, Session: cfg})
	t.Cleanup(b.manager.Close)
	return b
}

// TestUseThatCouldNotBeWrittenCounts: at the gateway that saw it, though the
// session is decoded anew for every request; and no other gateway calls the
// session idle while uses can't be recorded.
func TestUseThatCouldNotBeWrittenCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := &remoteStore{Store: newBench(t).store.Store}
		a, b := overRemote(t, remote), overRemote(t, remote)
		_, cfg := settings()
		ck := a.signIn(alice(), nil)
		remote.refusing.Store(true)
		for range 10 {
			pass(cfg.IdleTimeout / 4)
			if _, err := a.ask(true, line(ck)); err != nil {
				t.Fatalf("where it is used: %v", err)
			}
		}
		if _, err := b.ask(true, line(ck)); err == nil || errors.Is(err, session.ErrIdle) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("where it is not: %v, want an outage", err)
		}
		remote.refusing.Store(false)
		pass(2 * time.Second) // a writes what it knows
		synctest.Wait()
		if _, err := b.ask(false, line(ck)); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		pass(cfg.IdleTimeout + time.Minute)
		for name, m := range map[string]*bench{"a": a, "b": b} {
			if _, err := m.ask(false, line(ck)); !errors.Is(err, session.ErrIdle) {
				t.Errorf("when it is idle, at %s: %v", name, err)
			}
		}
	})
}

// TestStoreThatTakesNoWritesIsAskedOnceASecond, however many sessions wait, and
// no use is forgotten.
func TestStoreThatTakesNoWritesIsAskedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 20_000
		mem := newBench(t).store.Store
		remote := &remoteStore{Store: mem}
		b := overRemote(t, remote)
		cookies := make([]string, users)
		for i := range cookies {
			cookies[i] = line(b.signIn(alice(), nil))
		}
		pass(5 * time.Minute)
		remote.refusing.Store(true)
		for _, ck := range cookies {
			if _, err := b.ask(true, ck); err != nil {
				t.Fatal(err)
			}
		}
		used := time.Now()
		pass(time.Minute)
		synctest.Wait()
		if n := remote.refused.Load(); n < 50 || n > 300 {
			t.Errorf("%d writes were tried in a minute", n)
		}
		remote.refusing.Store(false)
		pass(2 * time.Minute)
		synctest.Wait()
		late := 0
		listed, err := mem.List(t.Context(), session.Filter{})
		if err != nil || len(listed) != users {
			t.Fatalf("%d sessions, %v", len(listed), err)
		}
		for _, l := range listed {
			if l.LastSeen.Before(used.Add(-time.Second)) {
				late++
			}
		}
		if late > 0 {
			t.Errorf("the last use of %d sessions was lost", late)
		}
	})
}

// TestOutageStopsTheIdleClock: who could not be served was not idle; who had
// been idle before stays so.
func TestOutageStopsTheIdleClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := overRemote(t, &remoteStore{Store: newBench(t).store.Store})
		_, cfg := settings()
		gone, there := b.signIn(alice(), nil), b.signIn(alice(), nil)
		pass(cfg.IdleTimeout / 2)
		if _, err := b.ask(true, line(there)); err != nil {
			t.Fatal(err)
		}
		pass(cfg.IdleTimeout/2 + time.Second)
		b.store.fail = errors.New("connection refused")
		for range 4 {
			if _, err := b.ask(true, line(there)); !errors.Is(err, b.store.fail) {
				t.Fatal(err)
			}
			pass(cfg.IdleTimeout / 4)
		}
		b.store.fail = nil
		if _, err := b.ask(false, line(there)); err != nil {
			t.Errorf("after the outage: %v", err)
		}
		if _, err := b.ask(false, line(gone)); !errors.Is(err, session.ErrIdle) {
			t.Errorf("idle before the outage: %v", err)
		}
	})
}

// TestABlipMakesNoSessionLive that nobody used for longer than its idle timeout,
// though nobody noticed for hours that the store was well again.
func TestABlipMakesNoSessionLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := overRemote(t, &remoteStore{Store: newBench(t).store.Store})
		ck := b.signIn(alice(), nil)
		pass(time.Minute)
		b.store.fail = errors.New("connection refused")
		if _, err := b.ask(true, line(ck)); err == nil {
			t.Fatal("there was no blip")
		}
		b.store.fail = nil
		pass(8 * time.Hour)
		if _, err := b.ask(true, line(ck)); !errors.Is(err, session.ErrIdle) {
			t.Errorf("the next morning: %v", err)
		}
	})
}
