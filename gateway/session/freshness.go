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
	limit     atomic.Int64  // time.Duration: the oldest confirmation that counts; 0 = any
	known     chan struct{} // closed with the first confirmation
	once      sync.Once
	confirmed atomic.Int64 // since began, which no change of the wall clock moves; 0 = not yet
}

// NewFreshness begins without a confirmation. The oldest one that counts is limit
// ago; 0 stands for a store that this process has to itself.
func NewFreshness(limit time.Duration) *Freshness {
	f := &Freshness{began: time.Now(), known: make(chan struct{})}
	f.limit.Store(int64(limit))
	return f
}

// SetLimit changes how old the oldest confirmation is that counts.
func (f *Freshness) SetLimit(limit time.Duration) { f.limit.Store(int64(limit)) }

// Confirm notes that nothing was missing at a time. It is what Follow calls.
func (f *Freshness) Confirm(at time.Time) {
	f.confirmed.Store(max(1, int64(at.Sub(f.began))))
	f.once.Do(func() { close(f.known) })
}

var (
	errFeedUnread = errors.New("it was not read from the store yet")
	errFeedStale  = errors.New("the store has not confirmed it for too long")
)

// Judge returns why nothing may be concluded from the feed at a time, or nil.
func (f *Freshness) Judge(now time.Time) error {
	confirmed := f.confirmed.Load()
	switch {
	case confirmed == 0:
		return errFeedUnread
	case f.limit.Load() > 0 && int64(now.Sub(f.began))-confirmed > f.limit.Load():
		return fmt.Errorf("%w: %s", errFeedStale, time.Duration(f.limit.Load()))
	}
	return nil
}

// firstReading is how long a request waits at most for the first reading of a
// feed, which takes a moment after the start.
const firstReading = 2 * time.Second

// Await gives the first reading its moment. It returns the time by then, which
// is now where there was nothing to wait for.
func (f *Freshness) Await(ctx context.Context, now time.Time) time.Time {
	if f.confirmed.Load() != 0 {
		return now
	}
	timer := time.NewTimer(firstReading)
	defer timer.Stop()
	select {
	case <-f.known:
	case <-timer.C:
	case <-ctx.Done():
	}
	return time.Now()
}
