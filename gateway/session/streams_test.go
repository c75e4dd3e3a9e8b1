package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// liveness is what a store knows, in a synctest bubble.
type liveness struct {
	mu     sync.Mutex
	errs   map[session.Key]error // nil: alive
	takes  map[session.Key]time.Duration
	asked  map[session.Key]int
	asking map[session.Key]int // at this moment
	most   int                 // of asking, for one key
	groups []string
}

func (l *liveness) ask(ctx context.Context, key session.Key) (*identity.Identity, error) {
	l.mu.Lock()
	l.asked[key]++
	l.asking[key]++
	l.most = max(l.most, l.asking[key])
	delay := l.takes[key]
	l.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking[key]--
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := l.errs[key]; err != nil {
		return nil, err
	}
	return &identity.Identity{Ref: key, Groups: l.groups}, nil
}

// member says of which groups everybody is.
func (l *liveness) member(groups ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups = groups
}

func (l *liveness) say(key session.Key, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs[key] = err
}

// slow makes every answer about a key take a while.
func (l *liveness) slow(key session.Key, takes time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takes[key] = takes
}

func (l *liveness) times(key session.Key) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[key]
}

// watching runs a registry of streams for as long as a synctest bubble.
type watching struct {
	*session.Streams
	store    *liveness
	shutDown func() // returns when Run has
}

func newWatching(t *testing.T) *watching {
	t.Helper()
	l := &liveness{errs: map[session.Key]error{}, takes: map[session.Key]time.Duration{}, asked: map[session.Key]int{}, asking: map[session.Key]int{}}
	w := &watching{Streams: session.NewStreams(l.ask, nil), store: l}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { w.Run(ctx); close(over) }()
	w.shutDown = func() { stop(); <-over }
	t.Cleanup(w.shutDown)
	return w
}

func who(n int) *identity.Identity {
	return &identity.Identity{Subject: fmt.Sprint(n), Ref: identity.Ref{byte(n), byte(n >> 8)}, ExpiresAt: time.Now().Add(time.Hour)}
}

// opened is one stream, and how it was ended.
type opened struct {
	began  time.Time
	ends   atomic.Int32
	why    atomic.Int32
	took   atomic.Int64
	remove func()
}

func (w *watching) open(id *identity.Identity, ofSession bool) *opened {
	return w.add(session.Stream{Identity: id, OfSession: ofSession})
}

func (w *watching) add(st session.Stream) *opened {
	o := &opened{began: time.Now()}
	st.End = func(why session.End) {
		o.why.Store(int32(why))
		o.took.Store(int64(time.Since(o.began)))
		o.ends.Add(1)
	}
	o.remove = w.Add(st)
	return o
}

// wants asserts how often a stream was ended so far, and why.
func (o *opened) wants(t *testing.T, ends int32, why session.End) {
	t.Helper()
	synctest.Wait()
	if o.ends.Load() != ends || session.End(o.why.Load()) != why {
		t.Errorf("the stream was ended %d times, because %d; want %d, %d", o.ends.Load(), o.why.Load(), ends, why)
	}
}

func TestStreamsEndWithTheirSession(t *testing.T) {
	for name, err := range map[string]error{
		"revoked": session.ErrNotFound,
		"idle":    fmt.Errorf("looking up: %w", session.ErrIdle),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWatching(t)
				one, two, other := w.open(who(1), true), w.open(who(1), true), w.open(who(2), true)
				token := w.open(who(1), false)
				pass(time.Minute)
				one.wants(t, 0, 0)
				w.store.say(who(1).Ref, err)
				pass(300 * time.Millisecond)
				one.wants(t, 1, session.EndSession)
				two.wants(t, 1, session.EndSession)
				late := w.open(who(1), true)
				pass(time.Minute)
				late.wants(t, 1, session.EndSession)
				one.wants(t, 1, session.EndSession)
				other.wants(t, 0, 0)
				token.wants(t, 0, 0)
				for _, o := range []*opened{one, two, other, token, late} {
					o.remove()
				}
			})
		})
	}
}

// TestOutageEndsNoStream: unknown is not "over", until the identity itself ends.
func TestOutageEndsNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		broken, frozen := w.open(who(1), true), w.open(who(2), true)
		w.store.say(who(1).Ref, errors.New("connection refused"))
		w.store.slow(who(2).Ref, 24*time.Hour)
		pass(59 * time.Minute)
		broken.wants(t, 0, 0)
		frozen.wants(t, 0, 0)
		pass(time.Minute + 300*time.Millisecond)
		broken.wants(t, 1, session.EndSession)
		frozen.wants(t, 1, session.EndSession)
		broken.remove()
		frozen.remove()
	})
}

func TestStreamsOfTokensEndWithTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		short, endless := who(1), who(2)
		short.ExpiresAt, endless.ExpiresAt = time.Now().Add(10*time.Second), time.Time{}
		a, b, public := w.open(short, false), w.open(endless, false), w.open(nil, false)
		pass(10*time.Second - time.Millisecond)
		a.wants(t, 0, 0)
		pass(300 * time.Millisecond)
		a.wants(t, 1, session.EndSession)
		pass(10 * time.Minute)
		b.wants(t, 0, 0)
		public.wants(t, 0, 0)
		if n := w.store.times(short.Ref) + w.store.times(endless.Ref); n != 0 {
			t.Errorf("the sessions were asked %d times about tokens", n)
		}
		a.remove()
		b.remove()
		public.remove()
	})
}

// TestThousandSessionsAreCheckedWithinTheSecond though each answer takes as
// long as a remote store may.
func TestThousandSessionsAreCheckedWithinTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		var streams []*opened
		for n := range 1000 {
			w.store.slow(who(n).Ref, 250*time.Millisecond)
			w.store.say(who(n).Ref, session.ErrNotFound)
			streams = append(streams, w.open(who(n), true))
		}
		slowest := time.Duration(0)
		pass(time.Second)
		for _, o := range streams {
			o.wants(t, 1, session.EndSession)
			slowest = max(slowest, time.Duration(o.took.Load()))
			o.remove()
		}
		t.Logf("the last of %d ended after %v", len(streams), slowest)
		if slowest > 800*time.Millisecond { // the farewell to a client comes on top
			t.Errorf("the last one took %v", slowest)
		}
	})
}

// TestSlowCheckHoldsUpNoOther, nor does another check of the same key join it.
func TestSlowCheckHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		var slow []*opened
		for n := range 300 {
			w.store.slow(who(n).Ref, 24*time.Hour)
			slow = append(slow, w.open(who(n), true))
		}
		pass(time.Minute)
		quick := w.open(who(500), true)
		pass(time.Second)
		w.store.say(who(500).Ref, session.ErrNotFound)
		pass(300 * time.Millisecond)
		quick.wants(t, 1, session.EndSession)
		w.store.mu.Lock()
		if w.store.most != 1 {
			t.Errorf("up to %d checks of one session ran at once", w.store.most)
		}
		w.store.mu.Unlock()
		if n := w.store.times(who(0).Ref); n < 30 {
			t.Errorf("the slow session was asked about %d times in a minute: its check was never given up", n)
		}
		for _, o := range append(slow, quick) {
			o.remove()
		}
	})
}

func TestNoStreamsAreNoWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		for round := range 3 { // the first stream after a pause must be noticed again
			pass(time.Hour)
			o := w.open(who(1), true)
			before := w.store.times(who(1).Ref)
			pass(10 * time.Second)
			synctest.Wait() // the check of this very moment is over, too
			if n := w.store.times(who(1).Ref) - before; n < 38 || n > 42 {
				t.Errorf("round %d: asked %d times in ten seconds", round, n)
			}
			o.remove()
			o.remove()
			before = w.store.times(who(1).Ref)
			pass(time.Hour)
			if n := w.store.times(who(1).Ref) - before; n != 0 {
				t.Errorf("round %d: asked %d times about a stream that is over", round, n)
			}
		}
		// Streams that come and go faster than anything is checked.
		for range 1000 {
			w.open(who(2), true).remove()
		}
		o := w.open(who(2), true)
		w.store.say(who(2).Ref, session.ErrNotFound)
		pass(300 * time.Millisecond)
		o.wants(t, 1, session.EndSession)
		o.remove()
	})
}

func TestShutdownEndsEveryStreamAndWaitsForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		of := []*identity.Identity{who(1), who(1), who(2), nil}
		var streams []*opened
		for _, id := range of {
			o := &opened{}
			o.remove = w.Add(session.Stream{Identity: id, OfSession: id != nil, End: func(why session.End) {
				o.why.Store(int32(why))
				pass(300 * time.Millisecond) // a farewell takes its time
				o.ends.Add(1)
				o.remove()
			}})
			streams = append(streams, o)
		}
		gone := w.open(who(3), true)
		gone.remove()
		pass(time.Second)
		w.shutDown()
		for _, o := range streams {
			if o.ends.Load() != 1 {
				t.Error("Run returned before the stream was over")
			}
			o.wants(t, 1, session.EndShutdown)
		}
		gone.wants(t, 0, 0)
		late := w.open(who(4), true) // of a request that was under way
		late.wants(t, 1, session.EndShutdown)
		late.remove()
	})
}

// TestShutdownDoesNotWaitForEver, neither for streams nor for the store.
func TestShutdownDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t)
		w.store.slow(who(1).Ref, 24*time.Hour)
		o := w.open(who(1), true)
		pass(time.Second)
		began := time.Now()
		w.shutDown()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		o.wants(t, 1, session.EndShutdown)
	})
}

func TestAskingWhetherASessionGoesOnIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ck := b.signIn(alice(), nil)
		s, err := b.ask(true, line(ck))
		if err != nil {
			t.Fatal(err)
		}
		_, cfg := settings()
		for begin := time.Now(); time.Since(begin) < cfg.IdleTimeout-time.Minute; pass(time.Minute) {
			if _, err := b.manager.Live(t.Context(), s.Key()); err != nil {
				t.Fatalf("after %v: %v", time.Since(begin), err)
			}
		}
		b.store.fail = errors.New("connection refused")
		if _, err := b.manager.Live(t.Context(), s.Key()); !errors.Is(err, b.store.fail) {
			t.Errorf("an outage is reported as %v", err)
		}
		b.store.fail = nil
		if _, err := b.manager.Live(t.Context(), s.Key()); err != nil {
			t.Errorf("after the outage: %v", err)
		}
		pass(cfg.IdleTimeout + time.Minute) // the outage stopped the clock
		if _, err := b.manager.Live(t.Context(), s.Key()); !errors.Is(err, session.ErrIdle) && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("after the idle timeout: %v", err)
		}
		if _, err := b.manager.Live(t.Context(), session.Key{1}); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("a session that never was: %v", err)
		}
	})
}
