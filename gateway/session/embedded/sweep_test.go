package embedded_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

// inTime runs test on a store in memory with a clock that only waiting moves.
func inTime(t *testing.T, test func(t *testing.T, s *embedded.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := embedded.Open(embedded.Options{})
		must(t, err)
		test(t, s)
		must(t, s.Close())
	})
}

// later waits on the clock of the bubble.
func later(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestExpiredSessionsLeaveMemory(t *testing.T) {
	inTime(t, func(t *testing.T, s *embedded.Store) {
		for n := range 100 {
			in := sessiontest.Session(n)
			in.Identity.ExpiresAt = time.Now().Add(time.Duration(n+1) * time.Minute)
			in.IdleTimeout = 0
			must(t, s.Create(t.Context(), in))
		}
		later(50*time.Minute + 30*time.Second)
		if s.Len() != 50 {
			t.Errorf("%d sessions, want 50", s.Len())
		}
		later(50 * time.Minute)
		if s.Len() != 0 {
			t.Errorf("%d sessions, want none", s.Len())
		}
	})
}

func TestASessionEndsToTheNanosecond(t *testing.T) {
	inTime(t, func(t *testing.T, s *embedded.Store) {
		in := sessiontest.Session(1)
		in.Identity.ExpiresAt = time.Now().Add(time.Hour)
		in.IdleTimeout = 0
		must(t, s.Create(t.Context(), in))
		later(time.Hour - 1)
		if _, err := s.Get(t.Context(), in.Key()); err != nil {
			t.Errorf("just before the end: %v", err)
		}
		later(1)
		if _, err := s.Get(t.Context(), in.Key()); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("at the end: %v", err)
		}
	})
}

func TestIdleSessionsLeaveAndUsedOnesStay(t *testing.T) {
	inTime(t, func(t *testing.T, s *embedded.Store) {
		must(t, s.Create(t.Context(), sessiontest.Session(1)))
		must(t, s.Create(t.Context(), sessiontest.Session(2)))
		for range 20 { // 500 minutes with an idle timeout of 30
			later(25 * time.Minute)
			must(t, s.Touch(t.Context(), sessiontest.Key(1), time.Now()))
			if _, err := s.Get(t.Context(), sessiontest.Key(1)); err != nil {
				t.Fatal(err)
			}
		}
		if s.Len() != 1 {
			t.Errorf("%d sessions, want the used one", s.Len())
		}
		later(40 * time.Minute)
		if s.Len() != 0 {
			t.Errorf("%d sessions, want none", s.Len())
		}
	})
}

// The session manager writes a use up to a minute after it, so that at the
// timeout itself the store may not know of it yet.
func TestASessionIsNotDroppedBeforeItsLastUseIsWritten(t *testing.T) {
	inTime(t, func(t *testing.T, s *embedded.Store) {
		must(t, s.Create(t.Context(), sessiontest.Session(1)))
		used := time.Now().Add(29 * time.Minute)
		later(30*time.Minute + 50*time.Second)
		must(t, s.Touch(t.Context(), sessiontest.Key(1), used))
		later(20 * time.Minute)
		if _, err := s.Get(t.Context(), sessiontest.Key(1)); err != nil {
			t.Error(err)
		}
	})
}

func TestASessionOutOfUseStaysReadable(t *testing.T) {
	inTime(t, func(t *testing.T, s *embedded.Store) {
		in := sessiontest.Session(1)
		in.IdleTimeout = 10 * time.Hour
		must(t, s.Create(t.Context(), in))
		before, err := s.Get(t.Context(), in.Key())
		must(t, err)
		later(time.Hour)
		after, err := s.Get(t.Context(), in.Key())
		must(t, err)
		if before == after {
			t.Error("the decoded session was kept for an hour without use")
		}
		if after.Identity.Name != before.Identity.Name || after.Version != before.Version {
			t.Errorf("it changed: %+v", after)
		}
	})
}

func TestExpiredRecordsLeave(t *testing.T) {
	inTime(t, func(t *testing.T, s *embedded.Store) {
		_, err := s.SaveRecord(t.Context(), "jti", "x", 0, nil, time.Now().Add(time.Minute))
		must(t, err)
		_, err = s.SaveRecord(t.Context(), "jti", "y", 0, nil, time.Now().Add(time.Minute))
		must(t, err)
		_, err = s.SaveRecord(t.Context(), "jti", "y", 1, []byte("prolonged"), time.Now().Add(time.Hour))
		must(t, err)
		later(30 * time.Minute)
		if n := embedded.RecordCount(s); n != 1 {
			t.Errorf("%d records in memory, want 1", n)
		}
		if r, err := s.LoadRecord(t.Context(), "jti", "y"); err != nil || r.Version != 2 {
			t.Errorf("%+v, %v", r, err)
		}
		later(time.Hour)
		if n := embedded.RecordCount(s); n != 0 {
			t.Errorf("%d records in memory, want none", n)
		}
	})
}
