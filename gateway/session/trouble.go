package session

import (
	"sync"
	"sync/atomic"
	"time"
)

// trouble is the last time in which the store could not be read, or not be
// written. Uses of a session in that time are known to nobody, so it must not
// count against its idle timeout: an outage stops that clock. The zero value is
// a store that always worked. It is safe for concurrent use.
type trouble struct {
	on atomic.Bool

	mu         sync.Mutex
	start, end time.Time
}

// begin says that the store failed just now.
func (t *trouble) begin() {
	if t.on.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on.Swap(true) {
		t.start = time.Now()
	}
}

// over says that the store worked just now.
func (t *trouble) over() {
	if !t.on.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.on.Swap(false) {
		t.end = time.Now()
	}
}

// now reports whether the store has failed since it last worked.
func (t *trouble) now() bool { return t.on.Load() }

// endedWithin reports whether the store has worked again for less than d.
func (t *trouble) endedWithin(d time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.on.Load() || !t.end.IsZero() && time.Since(t.end) < d
}

// excuse returns when a session may be taken to have been used at the latest,
// that would have become idle at a given time: at the end of the trouble, when
// it was alive at its start; the zero time otherwise.
func (t *trouble) excuse(idleAt time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.on.Load() || t.start.IsZero() || idleAt.Before(t.start) {
		return time.Time{}
	}
	return t.end
}
