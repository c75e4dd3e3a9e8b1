//nolint:thelper // these functions are tests, not helpers
package sessiontest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/session"
)

// of makes a session of a user.
func of(n int, issuer, subject, sid string) *session.Session {
	s := Session(n)
	s.Identity.Issuer, s.Identity.Subject, s.Identity.ProviderSession = issuer, subject, sid
	return s
}

func wantDeleted(t *testing.T, want int) func(int, error) {
	t.Helper()
	return func(n int, err error) {
		t.Helper()
		if n != want || err != nil {
			t.Errorf("deleted %d, %v, want %d", n, err, want)
		}
	}
}

func revocation() []behaviour {
	return []behaviour{
		{"a deleted session is gone with all that hangs on it", func(t *testing.T, s Store) {
			in := Session(1)
			in.SealedTokens = new([]byte("sealed"))
			create(t, s, in, Session(2))
			if err := s.Delete(t.Context(), Key(1)); err != nil {
				t.Fatal(err)
			}
			wantGone(t, s, Key(1))
			get(t, s, Key(2))
			if keys := list(t, s, session.Filter{}); !slices.Equal(keys, []session.Key{Key(2)}) {
				t.Errorf("listed %v", keys)
			}
		}},
		{"deleting what is absent is no error", func(t *testing.T, s Store) {
			if err := s.Delete(t.Context(), Key(1)); err != nil {
				t.Error(err)
			}
			create(t, s, Session(1))
			for range 2 {
				if err := s.Delete(t.Context(), Key(1)); err != nil {
					t.Error(err)
				}
			}
			wantDeleted(t, 0)(s.DeleteSubject(t.Context(), "nobody", "there"))
			wantDeleted(t, 0)(s.DeleteSubject(t.Context(), "", ""))
			wantDeleted(t, 0)(s.DeleteProviderSession(t.Context(), "nobody", "there"))
		}},
		{"of many deleted at once those are counted that there were", func(t *testing.T, s Store) {
			create(t, s, Session(1), Session(2), Session(3), Session(4))
			wantDeleted(t, 3)(s.DeleteKeys(t.Context(), Key(1), Key(3), Key(99), Key(4)))
			wantGone(t, s, Key(1), Key(3), Key(4))
			get(t, s, Key(2))
			wantDeleted(t, 0)(s.DeleteKeys(t.Context(), Key(1)))
			wantDeleted(t, 0)(s.DeleteKeys(t.Context()))
		}},
		{"all sessions of a user end, and no other's", func(t *testing.T, s Store) {
			create(t, s,
				of(1, "https://a", "alice", "s1"), of(2, "https://a", "alice", "s2"), of(3, "https://a", "alice", ""),
				of(4, "https://a", "bob", "s4"))
			wantDeleted(t, 3)(s.DeleteSubject(t.Context(), "https://a", "alice"))
			wantGone(t, s, Key(1), Key(2), Key(3))
			get(t, s, Key(4))
			wantDeleted(t, 0)(s.DeleteSubject(t.Context(), "https://a", "alice"))
		}},
		{"the same subject of another issuer is another user", func(t *testing.T, s Store) {
			create(t, s, of(1, "https://a", "alice", "sid"), of(2, "https://b", "alice", "sid"), of(3, "", "alice", "sid"))
			wantDeleted(t, 1)(s.DeleteSubject(t.Context(), "https://b", "alice"))
			wantGone(t, s, Key(2))
			wantDeleted(t, 1)(s.DeleteProviderSession(t.Context(), "https://a", "sid"))
			wantGone(t, s, Key(1))
			get(t, s, Key(3))
		}},
		{"issuer and subject are not run together", func(t *testing.T, s Store) {
			create(t, s, of(1, "a", "bc", "de"), of(2, "ab", "c", "e"), of(3, "abc", "x", "cde"))
			wantDeleted(t, 1)(s.DeleteSubject(t.Context(), "a", "bc"))
			wantDeleted(t, 0)(s.DeleteSubject(t.Context(), "", "abc"))
			wantDeleted(t, 0)(s.DeleteProviderSession(t.Context(), "a", "bcde"))
			get(t, s, Key(2))
			get(t, s, Key(3))
		}},
		{"back-channel logout ends the sessions of one provider session", func(t *testing.T, s Store) {
			create(t, s,
				of(1, "https://a", "alice", "sid1"), of(2, "https://a", "alice", "sid1"),
				of(3, "https://a", "alice", "sid2"), of(4, "https://a", "bob", ""))
			wantDeleted(t, 2)(s.DeleteProviderSession(t.Context(), "https://a", "sid1"))
			wantGone(t, s, Key(1), Key(2))
			// An empty sid names no session, least of all every one without.
			wantDeleted(t, 0)(s.DeleteProviderSession(t.Context(), "https://a", ""))
			get(t, s, Key(3))
			get(t, s, Key(4))
		}},
		{"an update moves a session to its new subject and provider session", func(t *testing.T, s Store) {
			create(t, s, of(1, "https://a", "alice", "sid1"))
			_, err := s.Update(t.Context(), Key(1), func(c *session.Session) error {
				c.Identity.Subject, c.Identity.ProviderSession = "carol", "sid2"
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			wantDeleted(t, 0)(s.DeleteSubject(t.Context(), "https://a", "alice"))
			wantDeleted(t, 0)(s.DeleteProviderSession(t.Context(), "https://a", "sid1"))
			if keys := list(t, s, session.Filter{Issuer: "https://a", Subject: "carol"}); !slices.Equal(keys, []session.Key{Key(1)}) {
				t.Errorf("listed %v", keys)
			}
			wantDeleted(t, 1)(s.DeleteProviderSession(t.Context(), "https://a", "sid2"))
			wantGone(t, s, Key(1))
		}},
		{"all sessions made before a time end", func(t *testing.T, s Store) {
			start := time.Now()
			for n := range 10 {
				in := Session(n)
				in.Created = start.Add(time.Duration(n) * time.Second).UnixNano()
				create(t, s, in)
			}
			wantDeleted(t, 5)(s.DeleteBefore(t.Context(), start.Add(5*time.Second)))
			if diff := cmp.Diff([]session.Key{Key(5), Key(6), Key(7), Key(8), Key(9)}, list(t, s, session.Filter{})); diff != "" {
				t.Errorf("left: -want +got\n%s", diff)
			}
			wantGone(t, s, Key(4))
			wantDeleted(t, 0)(s.DeleteBefore(t.Context(), start))
		}},
		{"a key may be used again after its session was deleted", func(t *testing.T, s Store) {
			in := of(1, "https://a", "alice", "sid1")
			in.SealedTokens = new([]byte("old"))
			create(t, s, in)
			if err := s.Delete(t.Context(), Key(1)); err != nil {
				t.Fatal(err)
			}
			err := s.Create(t.Context(), of(1, "https://a", "bob", "sid2"))
			if err != nil {
				// A store with tombstones refuses, and may.
				if outage(err) {
					t.Error(err)
				}
				return
			}
			wantTokens(t, s, Key(1), "")
			if got := get(t, s, Key(1)); got.Identity.Subject != "bob" || got.Version != 1 {
				t.Errorf("got version %d of %s", got.Version, got.Identity.Subject)
			}
			wantDeleted(t, 0)(s.DeleteSubject(t.Context(), "https://a", "alice"))
		}},
	}
}

func listing() []behaviour {
	return []behaviour{
		{"sessions are listed in the order of keys, with their last use and without tokens", func(t *testing.T, s Store) {
			at := now().Add(time.Minute)
			for _, n := range []int{5, 1, 4, 2, 3} {
				in := Session(n)
				in.SealedTokens = new([]byte("sealed"))
				create(t, s, in)
				if err := s.Touch(t.Context(), in.Key(), at.Add(time.Duration(n)*time.Second)); err != nil {
					t.Fatal(err)
				}
			}
			listed, err := s.List(t.Context(), session.Filter{})
			if err != nil || len(listed) != 5 {
				t.Fatalf("listed %d, %v", len(listed), err)
			}
			for i, l := range listed {
				n := i + 1
				if l.Key() != Key(n) || !l.LastSeen.Equal(at.Add(time.Duration(n)*time.Second)) {
					t.Errorf("at %d: %s, last seen %v", i, l.Key(), l.LastSeen)
				}
				if l.SealedTokens != nil {
					t.Error("the list carries tokens")
				}
				if diff := cmp.Diff(get(t, s, l.Key()), l.Session, ignored()); diff != "" {
					t.Errorf("-got +listed\n%s", diff)
				}
			}
		}},
		{"pages follow one another without gap or repetition", func(t *testing.T, s Store) {
			const n = 23
			for i := range n {
				create(t, s, Session(i))
			}
			for _, limit := range []int{1, 5, 23, 100} {
				var all []session.Key
				f := session.Filter{Limit: limit}
				for {
					page := list(t, s, f)
					if len(page) == 0 {
						break
					}
					if len(page) > limit {
						t.Fatalf("a page of %d with limit %d", len(page), limit)
					}
					all = append(all, page...)
					f.After = page[len(page)-1]
				}
				if len(all) != n || !slices.IsSortedFunc(all, compare) || len(slices.Compact(all)) != n {
					t.Errorf("limit %d: %d keys", limit, len(all))
				}
			}
		}},
		{"one user's sessions are listed, and paged", func(t *testing.T, s Store) {
			create(t, s, of(1, "https://a", "alice", ""), of(2, "https://b", "alice", ""), of(3, "https://a", "bob", ""), of(4, "https://a", "alice", ""))
			for _, c := range []struct {
				filter session.Filter
				want   []session.Key
			}{
				{session.Filter{Issuer: "https://a", Subject: "alice"}, []session.Key{Key(1), Key(4)}},
				{session.Filter{Issuer: "https://a", Subject: "alice", Limit: 1}, []session.Key{Key(1)}},
				{session.Filter{Issuer: "https://a", Subject: "alice", After: Key(1)}, []session.Key{Key(4)}},
				{session.Filter{Issuer: "https://a"}, []session.Key{Key(1), Key(3), Key(4)}},
				{session.Filter{Issuer: "https://a", After: Key(1), Limit: 1}, []session.Key{Key(3)}},
				{session.Filter{Issuer: "https://a", Subject: "nobody"}, nil},
				{session.Filter{Issuer: "https://a", ProviderSession: "s1"}, nil},
				{session.Filter{After: Key(4)}, nil},
			} {
				if diff := cmp.Diff(c.want, list(t, s, c.filter)); diff != "" {
					t.Errorf("%+v: -want +got\n%s", c.filter, diff)
				}
			}
		}},
		{"the sessions of one session at the provider are listed, and the route that each was for", func(t *testing.T, s Store) {
			at := of(1, "https://a", "alice", "s1")
			at.Route = "payroll"
			create(t, s, at, of(2, "https://b", "alice", "s1"), of(3, "https://a", "bob", "s1"), of(4, "https://a", "alice", "s2"))
			for _, c := range []struct {
				filter session.Filter
				want   []session.Key
			}{
				{session.Filter{Issuer: "https://a", ProviderSession: "s1"}, []session.Key{Key(1), Key(3)}},
				{session.Filter{Issuer: "https://a", ProviderSession: "s1", Subject: "bob"}, []session.Key{Key(3)}},
				{session.Filter{Issuer: "https://a", ProviderSession: "s1", After: Key(1)}, []session.Key{Key(3)}},
				{session.Filter{Issuer: "https://a", ProviderSession: "s3"}, nil},
			} {
				if diff := cmp.Diff(c.want, list(t, s, c.filter)); diff != "" {
					t.Errorf("%+v: -want +got\n%s", c.filter, diff)
				}
			}
			if got := get(t, s, Key(1)).Route; got != "payroll" {
				t.Errorf("the route is %q", got)
			}
			for _, f := range []session.Filter{{Subject: "alice"}, {ProviderSession: "s1"}} {
				if _, err := s.List(t.Context(), f); err == nil {
					t.Errorf("%+v without an issuer was listed", f)
				}
			}
		}},
	}
}

func compare(a, b session.Key) int { return slices.Compare(a[:], b[:]) }
