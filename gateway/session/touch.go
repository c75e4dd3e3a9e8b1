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

const (
	// maxUnwritten bounds the sessions whose last use waits to be written. One
	// that finds no room is written at a later use.
	maxUnwritten = 1 << 17
	// touchTimeout bounds one write, so that a hung store holds up nothing else.
	touchTimeout = 2 * time.Second
	// writers is how many writes are under way at once: one after the other, a
	// store that is a few milliseconds away would take some hundreds a second only.
	writers = 64
	// retryAfter is how long a store that took no write is left alone. Then one
	// write finds out whether it does again, and the others follow.
	retryAfter = time.Second
)

// toucher writes the last use of sessions, off the request path: the first use
// at once, later ones together when the interval is over. The trailing write is
// what keeps a user signed in whose last use fell inside an interval. What the
// store could not take is kept, and is known here meanwhile.
type toucher struct {
	store    Store
	interval atomic.Int64 // time.Duration
	failed   func(error)
	trouble  trouble      // the store takes no writes
	recent   atomic.Int64 // sessions used within the interval

	wake chan struct{}
	stop chan struct{}
	done sync.WaitGroup

	mu        sync.Mutex
	unwritten map[Key]*Session // used since the last write that succeeded
	fresh     []*Session       // of these, those that the writer has not seen

	// The writer's own.
	waiting dueHeap
	written map[Key]int64 // when each session that may still wait was last written
	pause   time.Time     // no write before then
	last    time.Duration // the interval at the last look
}

func newToucher(store Store, interval time.Duration, failed func(error)) *toucher {
	if failed == nil {
		failed = func(error) {}
	}
	t := &toucher{
		store: store, failed: failed,
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
		unwritten: make(map[Key]*Session), written: make(map[Key]int64),
	}
	t.interval.Store(int64(interval))
	t.done.Go(t.run)
	return t
}

// note records a use of s at now. It never waits for the store.
func (t *toucher) note(s *Session, now time.Time) {
	raise(&s.activity.seen, now.UnixNano())
	if s.activity.marks.queued() || !s.activity.marks.queue() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unwritten[s.Key()] == nil && len(t.unwritten) >= maxUnwritten {
		s.activity.marks.dequeue()
		return
	}
	t.unwritten[s.Key()] = s
	t.fresh = append(t.fresh, s)
	t.hurry()
}

// hurry has the writer look at what there is.
func (t *toucher) hurry() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *toucher) every() time.Duration { return time.Duration(t.interval.Load()) }

// lastUse returns the last use that was noted here and that the store may not
// know, in unix nanoseconds; 0 when there is none. The session itself may have
// been read anew since.
func (t *toucher) lastUse(key Key) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.unwritten[key]; s != nil {
		return s.activity.seen.Load()
	}
	return 0
}

func (t *toucher) close() {
	close(t.stop)
	t.done.Wait()
}

func (t *toucher) run() {
	timer := time.NewTimer(t.every())
	defer timer.Stop()
	for {
		select {
		case <-t.wake:
		case <-timer.C:
			t.forget(time.Now())
		case <-t.stop:
			t.flush()
			return
		}
		t.takeFresh()
		now := time.Now()
		t.notLater(now)
		for len(t.waiting) > 0 && t.waiting[0].at <= now.UnixNano() && !now.Before(t.pause) {
			t.writeDue(now)
		}
		t.recent.Store(int64(len(t.written)))
		next := t.every()
		if len(t.waiting) > 0 {
			next = min(next, max(time.Duration(t.waiting[0].at-now.UnixNano()), t.pause.Sub(now)))
		}
		timer.Reset(max(0, next))
	}
}

func (t *toucher) takeFresh() {
	t.mu.Lock()
	fresh := t.fresh
	t.fresh = nil
	t.mu.Unlock()
	for _, s := range fresh {
		heap.Push(&t.waiting, due{at: t.dueAt(s), session: s})
	}
}

// notLater brings forward what a longer interval has put off.
func (t *toucher) notLater(now time.Time) {
	every := t.every()
	if every < t.last {
		latest := now.Add(every).UnixNano()
		for i := range t.waiting {
			t.waiting[i].at = min(t.waiting[i].at, latest)
		}
		heap.Init(&t.waiting)
	}
	t.last = every
}

// writeDue writes some of the sessions that are due: one where the last write
// failed, many otherwise.
func (t *toucher) writeDue(now time.Time) {
	limit := writers
	if t.trouble.now() {
		limit = 1
	}
	var some []*Session
	for len(t.waiting) > 0 && len(some) < limit && t.waiting[0].at <= now.UnixNano() {
		some = append(some, heap.Pop(&t.waiting).(due).session) //nolint:forcetypeassert // dueHeap holds nothing else
	}
	t.writeAll(some, now)
}

func (t *toucher) writeAll(some []*Session, now time.Time) {
	errs := make([]error, len(some))
	var wait sync.WaitGroup
	for i, s := range some {
		// A use that comes from here on queues the session again.
		s.activity.marks.dequeue()
		at := time.Unix(0, s.activity.seen.Load())
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
			defer cancel()
			errs[i] = t.store.Touch(ctx, s.Key(), at)
		})
	}
	wait.Wait()
	for i, s := range some {
		if errs[i] == nil || errors.Is(errs[i], ErrNotFound) {
			t.trouble.over()
			t.written[s.Key()] = now.UnixNano()
			t.settle(s)
			continue
		}
		t.failed(errs[i])
		t.trouble.failed()
		t.pause = now.Add(min(retryAfter, t.every()))
		// Once more when the pause is over, unless a use has queued it already.
		if s.activity.marks.queue() {
			heap.Push(&t.waiting, due{session: s})
		}
	}
}

// settle forgets a use that was written, unless there was another since.
func (t *toucher) settle(s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unwritten[s.Key()] == s && !s.activity.marks.queued() {
		delete(t.unwritten, s.Key())
	}
}

func (t *toucher) dueAt(s *Session) int64 {
	if last, ok := t.written[s.Key()]; ok {
		return last + t.interval.Load()
	}
	return 0
}

// forget drops what no longer delays a write.
func (t *toucher) forget(now time.Time) {
	for key, at := range t.written {
		if at+t.interval.Load() <= now.UnixNano() {
			delete(t.written, key)
		}
	}
}

// flush writes what is left, once.
func (t *toucher) flush() {
	t.takeFresh()
	rest := t.waiting
	t.waiting = nil
	for part := range slices.Chunk(rest, writers) {
		some := make([]*Session, len(part))
		for i, d := range part {
			some[i] = d.session
		}
		t.writeAll(some, time.Now())
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
