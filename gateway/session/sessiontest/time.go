//nolint:thelper // these functions are tests, not helpers
package sessiontest

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

func wantSeen(t *testing.T, s Store, key session.Key, want time.Time) {
	t.Helper()
	got, err := s.LastSeen(t.Context(), key)
	if err != nil || !got.Equal(want) {
		t.Errorf("last seen: got %v, %v, want %v", got, err, want)
	}
}

func activity() []behaviour {
	return []behaviour{
		{"the last use only moves forward", func(t *testing.T, s Store) {
			create(t, s, Session(1), Session(2))
			begin, err := s.LastSeen(t.Context(), Key(1))
			if err != nil {
				t.Fatal(err)
			}
			// Gateways' clocks and the order of their writes differ.
			for _, at := range []struct{ touch, want time.Duration }{
				{-time.Hour, 0},
				{2 * time.Second, 2 * time.Second},
				{time.Second, 2 * time.Second},
				{3 * time.Second, 3 * time.Second},
				{3 * time.Second, 3 * time.Second},
			} {
				if err := s.Touch(t.Context(), Key(1), begin.Add(at.touch)); err != nil {
					t.Fatal(err)
				}
				wantSeen(t, s, Key(1), begin.Add(at.want))
			}
			if err := s.Touch(t.Context(), Key(1), time.Time{}); err != nil {
				t.Fatal(err)
			}
			wantSeen(t, s, Key(1), begin.Add(3*time.Second))
			if other, err := s.LastSeen(t.Context(), Key(2)); err != nil || time.Since(other).Abs() > time.Minute {
				t.Errorf("another session: %v, %v", other, err)
			}
		}},
		{"a touch changes neither the session nor its absolute end", func(t *testing.T, s Store) {
			in := Session(1)
			create(t, s, in)
			if err := s.Touch(t.Context(), Key(1), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if got := get(t, s, Key(1)); got.Version != 1 || !got.ExpiresAt().Equal(in.ExpiresAt()) {
				t.Errorf("version %d, ends %v, want 1 and %v", got.Version, got.ExpiresAt(), in.ExpiresAt())
			}
		}},
		{"an update leaves the last use as it was", func(t *testing.T, s Store) {
			create(t, s, Session(1))
			at := now().Add(time.Minute)
			if err := s.Touch(t.Context(), Key(1), at); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Update(t.Context(), Key(1), rename("Alice")); err != nil {
				t.Fatal(err)
			}
			wantSeen(t, s, Key(1), at)
		}},
		{"a touch never makes a session", func(t *testing.T, s Store) {
			create(t, s, Session(1))
			if err := s.Delete(t.Context(), Key(1)); err != nil {
				t.Fatal(err)
			}
			for _, key := range []session.Key{Key(1), Key(2)} {
				if err := s.Touch(t.Context(), key, time.Now()); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("got %v, want ErrNotFound", err)
				}
				wantGone(t, s, key)
			}
		}},
	}
}

func endings() []behaviour {
	return []behaviour{
		{"at its absolute end a session is gone, however active", func(t *testing.T, s Store) {
			in := Session(1)
			in.Identity.ExpiresAt = time.Now().Add(time.Second)
			in.SealedTokens = new([]byte("sealed"))
			create(t, s, in, Session(2))
			get(t, s, Key(1))
			eventually(t, "a session of 1 s ends", func() bool {
				_, err := s.Get(t.Context(), Key(1))
				if err == nil && time.Now().After(in.ExpiresAt().Add(time.Second)) {
					t.Fatal("it outlived its end by a second")
				}
				if err := s.Touch(t.Context(), Key(1), time.Now()); err != nil && !errors.Is(err, session.ErrNotFound) {
					t.Fatal(err)
				}
				return errors.Is(err, session.ErrNotFound)
			})
			if time.Now().Before(in.ExpiresAt()) {
				t.Error("it ended too early")
			}
			eventually(t, "all that hangs on the session is gone", func() bool {
				return errors.Is(s.Touch(t.Context(), Key(1), time.Now()), session.ErrNotFound)
			})
			wantGone(t, s, Key(1))
			if keys := list(t, s, session.Filter{}); len(keys) != 1 {
				t.Errorf("listed %v", keys)
			}
			wantDeleted(t, 0)(s.DeleteSubject(t.Context(), in.Identity.Issuer, in.Identity.Subject))
		}},
		{"a session is used up to its end with an idle timeout that is longer", func(t *testing.T, s Store) {
			in := Session(1)
			in.IdleTimeout = 24 * time.Hour
			create(t, s, in)
			get(t, s, Key(1))
		}},
		{"an update can bring the end nearer", func(t *testing.T, s Store) {
			create(t, s, Session(1))
			end := time.Now().Add(time.Second)
			_, err := s.Update(t.Context(), Key(1), func(c *session.Session) error {
				c.Identity.ExpiresAt = end
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the session ends at its new end", func() bool {
				return errors.Is(s.Touch(t.Context(), Key(1), time.Now()), session.ErrNotFound)
			})
			wantGone(t, s, Key(1))
		}},
	}
}
