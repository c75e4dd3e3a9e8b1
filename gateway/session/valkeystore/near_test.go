package valkeystore

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

func keyNumber(n int) session.Key {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func someone(n int) *session.Session {
	now := time.Now()
	return &session.Session{
		Created:  now.UnixNano(),
		Identity: &identity.Identity{Ref: keyNumber(n), Subject: "alice", Groups: []string{"staff"}, ExpiresAt: now.Add(12 * time.Hour)},
	}
}

// cached is a near cache with one connection that was just heard of.
func cached(maxBytes int64) (*near, *link) {
	n := newNear(layout{"sp"}, maxBytes, 5*time.Second)
	return n, &link{near: n, onLost: func() {}}
}

// hear lets the link have an answer to a read that was sent now.
func (l *link) hear() { l.proven.Store(l.near.clock()) }

// keep makes the cache hold a session, as a read does.
func keep(n *near, l *link, s *session.Session) {
	l.hear()
	n.load(l, handleOf(s.Key()), "value", false)
	n.vouch(handleOf(s.Key()), "value", s, 300)
}

func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the bubble's clock is virtual

func want(t *testing.T, n *near, key session.Key, wanted outcome) {
	t.Helper()
	if s, _, got := n.get(key); got != wanted || (s != nil) != (wanted == found) {
		t.Errorf("got %v (outcome %d), want %d", s, got, wanted)
	}
}

func TestCacheAnswersOnlyWhatIsVouchedFor(t *testing.T) {
	n, l := cached(1 << 20)
	s := someone(1)
	want(t, n, s.Key(), missed)
	l.hear()
	n.load(l, handleOf(s.Key()), "value", false)
	want(t, n, s.Key(), missed) // told, not yet decoded and checked
	n.vouch(handleOf(s.Key()), "another value", s, 300)
	want(t, n, s.Key(), missed)
	n.vouch(handleOf(s.Key()), "value", s, 300)
	want(t, n, s.Key(), found)

	// The handle is the same.
	other := s.Key()
	other[31]++
	want(t, n, other, missed)

	n.load(l, handleOf(keyNumber(2)), "", true)
	want(t, n, keyNumber(2), foundAbsent)
}

// TestInvalidationBetweenAnswerAndDecoding: a read was answered, the session was
// revoked, and only then does whoever asked come to decode it.
func TestInvalidationBetweenAnswerAndDecoding(t *testing.T) {
	n, l := cached(1 << 20)
	s := someone(1)
	l.hear()
	n.load(l, handleOf(s.Key()), "value", false)
	n.drop(l, handleOf(s.Key()))
	n.vouch(handleOf(s.Key()), "value", s, 300)
	want(t, n, s.Key(), missed)
}

func TestCacheBelievesAConnectionForMaxStaleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := cached(1 << 20)
		s := someone(1)
		keep(n, l, s)
		pass(4999 * time.Millisecond)
		want(t, n, s.Key(), found)
		if _, stale, _ := n.get(s.Key()); stale != l {
			t.Error("nobody is told that the connection should be asked for a sign of life")
		}
		pass(2 * time.Millisecond)
		want(t, n, s.Key(), missed)
		l.hear() // it was whole all the time
		want(t, n, s.Key(), found)
		if _, stale, _ := n.get(s.Key()); stale != nil {
			t.Error("a sign of life is asked for too soon")
		}
	})
}

func TestCacheReadsAgainAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := cached(1 << 20)
		s := someone(1)
		keep(n, l, s)
		pass(time.Minute - time.Millisecond)
		l.hear()
		want(t, n, s.Key(), found)
		pass(time.Millisecond)
		l.hear()
		want(t, n, s.Key(), missed)
	})
}

func TestCacheEndsASessionAtItsAbsoluteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := cached(1 << 20)
		s := someone(1)
		s.Identity.ExpiresAt = time.Now().Add(10 * time.Second)
		keep(n, l, s)
		pass(10 * time.Second)
		l.hear()
		want(t, n, s.Key(), missed)
	})
}

func TestClosedConnectionTakesItsSessionsAlong(t *testing.T) {
	n, l := cached(1 << 20)
	other := &link{near: n, onLost: func() {}}
	keep(n, l, someone(1))
	keep(n, other, someone(2))
	lost := 0
	l.onLost = func() { lost++ }
	l.Close(nil)
	want(t, n, keyNumber(1), missed)
	want(t, n, keyNumber(2), found)
	if lost != 1 {
		t.Errorf("the loss was told %d times", lost)
	}
	other.Delete(nil) // all keys were flushed
	want(t, n, keyNumber(2), missed)
	if entries, bytes, _, _ := n.count(); entries != 0 || bytes != 0 {
		t.Errorf("%d entries with %d bytes are left", entries, bytes)
	}
}

// TestInvalidationOverAnotherConnection: a slot has moved, and the node that had
// it before speaks of it still.
func TestInvalidationOverAnotherConnection(t *testing.T) {
	n, l := cached(1 << 20)
	other := &link{near: n, onLost: func() {}}
	keep(n, l, someone(1))
	keep(n, other, someone(1))
	n.drop(l, handleOf(keyNumber(1)))
	want(t, n, keyNumber(1), found)
	n.drop(other, handleOf(keyNumber(1)))
	want(t, n, keyNumber(1), missed)
}

func TestCacheKeepsToItsBytes(t *testing.T) {
	const limit = 4 << 20
	n, l := cached(limit)
	favourite := someone(0)
	keep(n, l, favourite)
	for i := 1; i < 20_000; i++ {
		keep(n, l, someone(i))
		if i%100 == 0 {
			want(t, n, favourite.Key(), found)
		}
	}
	entries, bytes, _, _ := n.count()
	if bytes > limit || bytes < limit/2 {
		t.Errorf("%d entries take %d bytes of %d", entries, bytes, limit)
	}
	if n.evictions.Load() == 0 {
		t.Error("nothing was evicted")
	}
}

func TestLocalChangeIsSeenByWhoeverAsksAfterIt(t *testing.T) {
	n, l := cached(1 << 20)
	s := someone(1)
	keep(n, l, s)
	sh := n.shard(handleOf(s.Key()))
	sh.flights[s.Key()] = &flight{}
	n.forget(s.Key())
	want(t, n, s.Key(), missed)
	if sh.flights[s.Key()] != nil {
		t.Error("a read that began before the change is joined after it")
	}
}

// TestCacheIsConsistentUnderConcurrency runs everything at once, for the race
// detector, and looks at the books at the end.
func TestCacheIsConsistentUnderConcurrency(t *testing.T) {
	n, l := cached(1 << 20)
	other := &link{near: n, onLost: func() {}}
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range 5000 {
				s := someone(r.IntN(2000))
				at := l
				if r.IntN(4) == 0 {
					at = other
				}
				switch r.IntN(10) {
				case 0, 1, 2, 3:
					keep(n, at, s)
				case 4:
					n.drop(at, handleOf(s.Key()))
				case 5:
					n.forget(s.Key())
				case 6:
					n.load(at, handleOf(s.Key()), "", true)
				default:
					if got, _, _ := n.get(s.Key()); got != nil && got.Key() != s.Key() {
						t.Error("the session of another key")
					}
				}
			}
			if w == 0 {
				n.dropLink(other)
			}
		})
	}
	wait.Wait()
	for i := range n.shards {
		sh := &n.shards[i]
		var sum int64
		for place, e := range sh.ring {
			if int(e.place) != place {
				t.Fatal("an entry does not know its place")
			}
			sum += int64(e.size)
		}
		if len(sh.entries) != len(sh.ring) || sum != sh.bytes {
			t.Fatalf("%d entries, %d in the ring, %d bytes, counted %d", len(sh.entries), len(sh.ring), sum, sh.bytes)
		}
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	n, l := cached(1 << 20)
	s := someone(1)
	keep(n, l, s)
	if got := testing.AllocsPerRun(1000, func() { n.get(s.Key()) }); got > 0 {
		t.Errorf("a hit allocates %.1f times", got)
	}
}

func BenchmarkHit(b *testing.B) {
	n, l := cached(1 << 20)
	s := someone(1)
	keep(n, l, s)
	b.ReportAllocs()
	for b.Loop() {
		l.hear()
		n.get(s.Key())
	}
}
