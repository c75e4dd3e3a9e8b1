package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Freshness is how lately a feed was confirmed: whether what is known of it may
// still be believed. It is safe for concurrent use.
type Freshness struct {
	began     time.Time
	limit     atomic.Int64 // time.Duration: the oldest confirmation that counts; 0 = any
	confirmed atomic.Int64 // since began, which no change of the wall clock moves; 0 = not yet

	mu      sync.Mutex
	next    chan struct{} // closed with the next confirmation; nil while nobody waits for it
	waiting time.Time     // until when requests wait for it; zero = nobody did since the last one
}

// NewFreshness begins without a confirmation. The oldest one that counts is limit
// ago; 0 stands for a store that this process has to itself.
func NewFreshness(limit time.Duration) *Freshness {
	f := &Freshness{began: time.Now()}
	f.limit.Store(int64(limit))
	return f
}

// SetLimit changes how old the oldest confirmation is that counts.
func (f *Freshness) SetLimit(limit time.Duration) { f.limit.Store(int64(limit)) }

// Confirm notes that nothing was missing at a time. It is what Follow calls.
func (f *Freshness) Confirm(at time.Time) {
	f.confirmed.Store(max(1, int64(at.Sub(f.began))))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting.IsZero() || !f.believable(time.Now()) {
		return
	}
	close(f.next)
	f.next, f.waiting = nil, time.Time{}
}

var (
	errFeedUnread = errors.New("it was not read from the store yet")
	errFeedStale  = errors.New("the store has not confirmed it for too long")
)

// Judge returns why nothing may be concluded from the feed at a time, or nil.
func (f *Freshness) Judge(now time.Time) error {
	switch {
	case f.believable(now):
		return nil
	case f.confirmed.Load() == 0:
		return errFeedUnread
	}
	return fmt.Errorf("%w: %s", errFeedStale, time.Duration(f.limit.Load()))
}

func (f *Freshness) believable(now time.Time) bool {
	confirmed, limit := f.confirmed.Load(), f.limit.Load()
	return confirmed != 0 && (limit <= 0 || int64(now.Sub(f.began))-confirmed <= limit)
}

// patience is how long requests wait at most, all together, for a feed that can't
// be believed yet: for its first reading after the start, or for the next after
// this process stood still for a while. A confirmation takes a moment then. Where
// none comes, the store is out, and nobody waits again until one did.
const patience = 2 * time.Second

// Await gives a feed that can't be believed the moment that a reading takes. It
// returns the time by then, which is now where there was nothing to wait for.
func (f *Freshness) Await(ctx context.Context, now time.Time) time.Time {
	if f.believable(now) {
		return now
	}
	next, left := f.wait()
	if left <= 0 {
		return now
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-next:
	case <-timer.C:
	case <-ctx.Done():
	}
	return time.Now()
}

// wait returns what is closed with the next confirmation, and how much of the
// patience is left.
func (f *Freshness) wait() (next <-chan struct{}, left time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting.IsZero() {
		f.next, f.waiting = make(chan struct{}), time.Now().Add(patience)
	}
	return f.next, time.Until(f.waiting)
}
