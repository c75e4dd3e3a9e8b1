package session

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// touchInterval is the least time between two writes of one session's last
// use: a minute, or a quarter of a short idle timeout.
func touchInterval(idle time.Duration) time.Duration {
	return max(min(time.Minute, idle/4), leastInterval)
}

// leastInterval keeps a mistaken idle timeout from turning into a busy loop.
const leastInterval = 50 * time.Millisecond

// queueSize bounds the sessions that wait for the writer. A session that finds
// the queue full is written at its next use.
const queueSize = 1 << 14

// touchTimeout bounds one write, so that a hung store holds up nothing else.
const touchTimeout = 2 * time.Second

// toucher writes the last use of sessions, off the request path: the first use
// at once, later ones together when the interval is over. The trailing write is
// what keeps a user signed in whose last use fell inside an interval.
type toucher struct {
	store    Store
	interval time.Duration
	failed   func(error)

	queue chan *Session
	stop  chan struct{}
	done  sync.WaitGroup

	waiting dueHeap
	written map[Key]int64 // when each session that may still wait was last written
}

func newToucher(store Store, interval time.Duration, failed func(error)) *toucher {
	if failed == nil {
		failed = func(error) {}
	}
	t := &toucher{
		store: store, interval: interval, failed: failed,
		queue: make(chan *Session, queueSize), stop: make(chan struct{}),
		written: make(map[Key]int64),
	}
	t.done.Go(t.run)
	return t
}

// note records a use of s at now. It never blocks.
func (t *toucher) note(s *Session, now time.Time) {
	raise(&s.activity.seen, now.UnixNano())
	if s.activity.queued.Load() || !s.activity.queued.CompareAndSwap(false, true) {
		return
	}
	select {
	case t.queue <- s:
	default:
		s.activity.queued.Store(false)
	}
}

func (t *toucher) close() {
	close(t.stop)
	t.done.Wait()
}

func (t *toucher) run() {
	timer := time.NewTimer(t.interval)
	defer timer.Stop()
	for {
		select {
		case s := <-t.queue:
			heap.Push(&t.waiting, due{at: t.dueAt(s), session: s})
		case <-timer.C:
			t.forget(time.Now())
		case <-t.stop:
			t.flush()
			return
		}
		now := time.Now()
		for len(t.waiting) > 0 && t.waiting[0].at <= now.UnixNano() {
			t.writeDue(now)
		}
		next := t.interval
		if len(t.waiting) > 0 {
			next = min(next, time.Duration(t.waiting[0].at-now.UnixNano()))
		}
		timer.Reset(next)
	}
}

// writers is how many writes are under way at once: one after the other, a store
// that is a few milliseconds away would take some hundreds a second only.
const writers = 64

// writeDue writes some of the sessions that are due.
func (t *toucher) writeDue(now time.Time) {
	var some []*Session
	for len(t.waiting) > 0 && len(some) < writers && t.waiting[0].at <= now.UnixNano() {
		some = append(some, heap.Pop(&t.waiting).(due).session) //nolint:forcetypeassert // dueHeap holds nothing else
	}
	t.writeAll(some, now)
}

func (t *toucher) writeAll(some []*Session, now time.Time) {
	errs := make([]error, len(some))
	var wait sync.WaitGroup
	for i, s := range some {
		// A use that comes from here on queues the session again.
		s.activity.queued.Store(false)
		at := time.Unix(0, s.activity.seen.Load())
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
			defer cancel()
			errs[i] = t.store.Touch(ctx, s.Key, at)
		})
	}
	wait.Wait()
	for i, s := range some {
		t.written[s.Key] = now.UnixNano()
		if errs[i] == nil || errors.Is(errs[i], ErrNotFound) {
			continue
		}
		t.failed(errs[i])
		// The store could not take it now: once more when the interval is over.
		if s.activity.queued.CompareAndSwap(false, true) && len(t.waiting) < queueSize {
			heap.Push(&t.waiting, due{at: t.dueAt(s), session: s})
		}
	}
}

func (t *toucher) dueAt(s *Session) int64 {
	if last, ok := t.written[s.Key]; ok {
		return last + int64(t.interval)
	}
	return 0
}

// forget drops what no longer delays a write.
func (t *toucher) forget(now time.Time) {
	for key, at := range t.written {
		if at+int64(t.interval) <= now.UnixNano() {
			delete(t.written, key)
		}
	}
}

func (t *toucher) flush() {
	for {
		select {
		case s := <-t.queue:
			t.waiting = append(t.waiting, due{session: s})
		default:
			rest := t.waiting
			t.waiting = nil
			for part := range slices.Chunk(rest, writers) {
				some := make([]*Session, len(part))
				for i, d := range part {
					some[i] = d.session
				}
				t.writeAll(some, time.Now())
			}
			return
		}
	}
}

// raise sets a to v unless it is already later.
func raise(a *atomic.Int64, v int64) {
	for {
		old := a.Load()
		if v <= old || a.CompareAndSwap(old, v) {
			return
		}
	}
}

type due struct {
	at      int64
	session *Session
}

type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) } //nolint:forcetypeassert // only due is pushed
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
