package valkeystore

import (
	"sync"
	"time"
)

// breaker keeps a store that does not answer from costing every request the
// whole deadline. After tripAfter calls in a row without an answer it is open:
// calls fail at once, and now and then one probe, which no request waits for,
// finds out whether the store is back.
type breaker struct {
	mu       sync.Mutex
	failures int           // in a row
	wait     time.Duration // until the next probe
	next     time.Time     // zero: closed
	probing  bool
}

const (
	tripAfter = 3
	firstWait = 50 * time.Millisecond
	maxWait   = 250 * time.Millisecond
)

// allow reports whether a call may be made, and whether the caller should start
// a probe instead.
func (b *breaker) allow(now time.Time) (ok, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next.IsZero() {
		return true, false
	}
	if b.probing || now.Before(b.next) {
		return false, false
	}
	b.probing = true
	return false, true
}

// succeeded closes the breaker, and reports whether it was open.
func (b *breaker) succeeded() (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed = !b.next.IsZero()
	b.failures, b.wait, b.next, b.probing = 0, 0, time.Time{}, false
	return changed
}

// failed counts a call without an answer, and reports whether it opened the
// breaker.
func (b *breaker) failed(now time.Time, probe bool) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	switch {
	case b.next.IsZero():
		if b.failures < tripAfter {
			return false
		}
		b.wait, changed = firstWait, true
	case !probe:
		return false // of a call that was under way when it opened
	default:
		b.probing = false
		b.wait = min(2*b.wait, maxWait)
	}
	b.next = now.Add(b.wait)
	return changed
}

// open reports whether calls fail at once.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.next.IsZero()
}
