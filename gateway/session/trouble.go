package session

import (
	"sync"
	"sync/atomic"
	"time"
)

// trouble is the last time in which the store failed, as far as it was seen to:
// from the first failure to the last before it worked again. The zero value is a
// store that always worked. It is safe for concurrent use.
type trouble struct {
	on atomic.Bool

	mu          sync.Mutex
	first, last time.Time
}

// failed says that the store failed just now.
func (t *trouble) failed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = time.Now()
	if !t.on.Swap(true) {
		t.first = t.last
	}
}

// over says that the store worked just now.
func (t *trouble) over() {
	if t.on.Load() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.on.Store(false)
	}
}

// now reports whether the store has failed since it last worked.
func (t *trouble) now() bool { return t.on.Load() }

// within reports whether the store failed less than d ago.
func (t *trouble) within(d time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.last.IsZero() && time.Since(t.last) < d
}

// excuse returns until when nobody could have been seen, for a session that
// would have become idle at a given time: an outage stops that clock. It is the
// zero time for one that was idle before.
func (t *trouble) excuse(idleAt time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if idleAt.Before(t.first) {
		return time.Time{}
	}
	return t.last
}
