package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

const staleness = 10 * time.Second

// believed waits as a request does and tells how long that took and whether the
// feed may be believed by then.
func believed(ctx context.Context, f *session.Freshness) (yes bool, waited time.Duration) {
	begin := time.Now()
	now := f.Await(ctx, begin)
	return f.Judge(now) == nil, time.Since(begin)
}

// TestAfterAStandstillARequestWaitsForTheNextReading: a process that stood still
// (a laptop that slept, a machine that was moved) knows nothing that counts when it
// goes on, and its first requests come before the first reading.
func TestAfterAStandstillARequestWaitsForTheNextReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := session.NewFreshness(staleness)
		f.Confirm(time.Now())
		if yes, waited := believed(t.Context(), f); !yes || waited != 0 {
			t.Fatalf("confirmed just now: %v after %v", yes, waited)
		}
		pass(time.Hour)
		go func() {
			pass(100 * time.Millisecond)
			f.Confirm(time.Now().Add(-time.Minute)) // a reading that was under way for long says nothing
			pass(100 * time.Millisecond)
			f.Confirm(time.Now())
		}()
		if yes, waited := believed(t.Context(), f); !yes || waited != 200*time.Millisecond {
			t.Errorf("after an hour of standing still: %v after %v", yes, waited)
		}
	})
}

// TestInAnOutageRequestsWaitOnce: two seconds for all of them, and not again until
// the store was heard.
func TestInAnOutageRequestsWaitOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := session.NewFreshness(staleness)
		for range 2 {
			if yes, waited := believed(t.Context(), f); yes || waited != 2*time.Second {
				t.Errorf("the first of an outage: %v after %v", yes, waited)
			}
			for range 100 {
				pass(100 * time.Millisecond)
				if yes, waited := believed(t.Context(), f); yes || waited != 0 {
					t.Fatalf("a later one: %v after %v", yes, waited)
				}
			}
			f.Confirm(time.Now())
			if yes, waited := believed(t.Context(), f); !yes || waited != 0 {
				t.Errorf("afterwards: %v after %v", yes, waited)
			}
			pass(staleness + time.Second)
		}
	})
}

// TestARequestThatWaitsCanGiveUp: its end ends the waiting.
func TestARequestThatWaitsCanGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := session.NewFreshness(staleness)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if yes, waited := believed(ctx, f); yes || waited != time.Second {
			t.Errorf("%v after %v", yes, waited)
		}
	})
}
