package embedded

import (
	"sync"
	"time"
)

// tick is how often the store looks for what has ended, and the width of the
// wheel's slots. Reads judge expiry exactly; this is about giving memory back.
const tick = 10 * time.Second

// wheel hands things out when their time has come, without looking at others.
type wheel[T any] struct {
	mu    sync.Mutex
	slots map[int64][]T
}

func newWheel[T any]() *wheel[T] { return &wheel[T]{slots: make(map[int64][]T)} }

// add keeps v until at, unix nanoseconds, and up to a tick longer.
func (w *wheel[T]) add(v T, at int64) {
	slot := at/int64(tick) + 1
	w.mu.Lock()
	w.slots[slot] = append(w.slots[slot], v)
	w.mu.Unlock()
}

// due takes out what is due by now.
func (w *wheel[T]) due(now time.Time) []T {
	w.mu.Lock()
	defer w.mu.Unlock()
	var due []T
	// A map, because after a suspended machine's sleep many slots are due, and
	// stepping through time would visit far more empty ones.
	for slot, items := range w.slots {
		if slot*int64(tick) <= now.UnixNano() {
			due = append(due, items...)
			delete(w.slots, slot)
		}
	}
	return due
}
