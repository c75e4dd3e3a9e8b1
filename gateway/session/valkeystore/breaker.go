package valkeystore

import (
	"sync"
	"time"
)

// breaker keeps a store that does not answer from costing every request the
// whole deadline. After tripAfter calls in a row without an answer it is open:
// calls fail at once, until a probe, which no request waits for, finds the store
// back.
type breaker struct {
	mu       sync.Mutex
	failures int // in a row
	tripped  bool
}

const (
	tripAfter = 3
	// Waits between probes.
	firstWait = 50 * time.Millisecond
	maxWait   = 250 * time.Millisecond
)

// open reports whether calls fail at once.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tripped
}

// succeeded closes the breaker.
func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.tripped = 0, false
}

// failed counts a call without an answer, and reports whether it opened the
// breaker: then somebody has to probe.
func (b *breaker) failed() (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	opened = !b.tripped && b.failures >= tripAfter
	b.tripped = b.tripped || opened
	return opened
}
