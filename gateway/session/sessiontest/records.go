//nolint:thelper // these functions are tests, not helpers
package sessiontest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/session"
)

func save(t *testing.T, s Store, kind, name string, version uint64, value string, expires time.Time) uint64 {
	t.Helper()
	v, err := s.SaveRecord(t.Context(), kind, name, version, []byte(value), expires)
	if err != nil {
		t.Fatalf("save %s/%s: %v", kind, name, err)
	}
	return v
}

func wantRecord(t *testing.T, s Store, kind, name, value string, version uint64) {
	t.Helper()
	r, err := s.LoadRecord(t.Context(), kind, name)
	if err != nil || string(r.Value) != value || r.Version != version {
		t.Errorf("%s/%s: got %q version %d, %v, want %q version %d", kind, name, r.Value, r.Version, err, value, version)
	}
}

func wantNoRecord(t *testing.T, s Store, kind, name string) {
	t.Helper()
	if r, err := s.LoadRecord(t.Context(), kind, name); !errors.Is(err, session.ErrNotFound) || r.Value != nil {
		t.Errorf("%s/%s: got %q, %v, want ErrNotFound", kind, name, r.Value, err)
	}
}

func records() []behaviour {
	return []behaviour{
		{"a record is saved, changed and removed", func(t *testing.T, s Store) {
			end := time.Now().Add(time.Hour)
			wantNoRecord(t, s, "jti", "a")
			if v := save(t, s, "jti", "a", 0, "one", end); v != 1 {
				t.Errorf("version %d, want 1", v)
			}
			r, err := s.LoadRecord(t.Context(), "jti", "a")
			if err != nil {
				t.Fatal(err)
			}
			// A store may keep milliseconds only.
			if diff := r.ExpiresAt.Sub(end).Abs(); diff > time.Millisecond {
				t.Errorf("ends %v off", diff)
			}
			if v := save(t, s, "jti", "a", 1, "two", time.Time{}); v != 2 {
				t.Errorf("version %d, want 2", v)
			}
			wantRecord(t, s, "jti", "a", "two", 2)
			if r, err := s.LoadRecord(t.Context(), "jti", "a"); err != nil || !r.ExpiresAt.IsZero() {
				t.Errorf("a record without end: ends %v, %v", r.ExpiresAt, err)
			}
			for range 2 { // absent is no error
				if err := s.RemoveRecord(t.Context(), "jti", "a"); err != nil {
					t.Error(err)
				}
			}
			wantNoRecord(t, s, "jti", "a")
			save(t, s, "jti", "a", 0, "three", end)
			wantRecord(t, s, "jti", "a", "three", 1)
		}},
		{"a record changes only from the version that was read", func(t *testing.T, s Store) {
			save(t, s, "lease", "x", 0, "mine", time.Time{})
			for _, version := range []uint64{0, 2, 1 << 63} {
				if v, err := s.SaveRecord(t.Context(), "lease", "x", version, []byte("yours"), time.Time{}); !errors.Is(err, session.ErrConflict) || v != 0 {
					t.Errorf("version %d: got %d, %v, want ErrConflict", version, v, err)
				}
			}
			if _, err := s.SaveRecord(t.Context(), "lease", "absent", 1, nil, time.Time{}); !errors.Is(err, session.ErrConflict) {
				t.Errorf("got %v, want ErrConflict", err)
			}
			wantRecord(t, s, "lease", "x", "mine", 1)
			wantNoRecord(t, s, "lease", "absent")
		}},
		{"kinds and names are not run together", func(t *testing.T, s Store) {
			save(t, s, "a", "bc", 0, "1", time.Time{})
			save(t, s, "ab", "c", 0, "2", time.Time{})
			save(t, s, "a", "", 0, "3", time.Time{})
			wantRecord(t, s, "a", "bc", "1", 1)
			wantRecord(t, s, "ab", "c", "2", 1)
			wantRecord(t, s, "a", "", "3", 1)
			wantNoRecord(t, s, "abc", "")
		}},
		{"names and values are free", func(t *testing.T, s Store) {
			for _, name := range []string{"a\x00b", "*", "{tag}x", "a\r\nDEL x", "../x", "日本", longText()[:1000]} {
				save(t, s, "kind", name, 0, name, time.Time{})
				wantRecord(t, s, "kind", name, name, 1)
			}
			save(t, s, "kind", "long", 0, longText(), time.Time{})
			wantRecord(t, s, "kind", "long", longText(), 1)
			save(t, s, "kind", "empty", 0, "", time.Time{})
			wantRecord(t, s, "kind", "empty", "", 1)
		}},
		{"a record is the store's own copy", func(t *testing.T, s Store) {
			value := []byte("value")
			if _, err := s.SaveRecord(t.Context(), "kind", "x", 0, value, time.Time{}); err != nil {
				t.Fatal(err)
			}
			copy(value, "XXXXX")
			r, err := s.LoadRecord(t.Context(), "kind", "x")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("value", string(r.Value)); diff != "" {
				t.Error(diff)
			}
			copy(r.Value, "XXXXX")
			wantRecord(t, s, "kind", "x", "value", 1)
		}},
		{"a record ends, and its name is free again", func(t *testing.T, s Store) {
			save(t, s, "jti", "gone", 0, "one", time.Now().Add(time.Second))
			save(t, s, "jti", "x", 0, "one", time.Now().Add(time.Second))
			save(t, s, "jti", "prolonged", 0, "one", time.Now().Add(time.Second))
			save(t, s, "jti", "prolonged", 1, "two", time.Now().Add(time.Hour))
			wantRecord(t, s, "jti", "x", "one", 1)
			eventually(t, "a record of 1 s ends", func() bool {
				_, err := s.LoadRecord(t.Context(), "jti", "x")
				return errors.Is(err, session.ErrNotFound)
			})
			// The name may be free a little later, by the clock of the store.
			eventually(t, "the name is free", func() bool {
				_, err := s.SaveRecord(t.Context(), "jti", "x", 0, []byte("two"), time.Time{})
				return err == nil
			})
			if _, err := s.SaveRecord(t.Context(), "jti", "gone", 1, nil, time.Time{}); !errors.Is(err, session.ErrConflict) {
				t.Errorf("got %v, want ErrConflict", err)
			}
			wantRecord(t, s, "jti", "x", "two", 1)
			wantRecord(t, s, "jti", "prolonged", "two", 2)
		}},
		{"sessions and records do not mix", func(t *testing.T, s Store) {
			create(t, s, Session(1))
			key := Key(1)
			save(t, s, "sessions", string(key[:]), 0, "x", time.Time{})
			if err := s.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			wantRecord(t, s, "sessions", string(key[:]), "x", 1)
		}},
	}
}
