//nolint:thelper // these functions are tests, not helpers
package sessiontest

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// together runs n functions at once and waits for them.
func together(n int, run func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			run(i)
		})
	}
	close(begin)
	wg.Wait()
}

func concurrency() []behaviour {
	return []behaviour{
		{"of parallel updates none is lost", func(t *testing.T, s Store) {
			create(t, s, Session(1))
			const n = 40
			together(n, func(i int) {
				_, err := s.Update(t.Context(), Key(1), func(c *session.Session) error {
					c.Identity.Groups = append(append([]string{}, c.Identity.Groups...), strconv.Itoa(i))
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
			got := get(t, s, Key(1))
			if got.Version != n+1 || len(got.Identity.Groups) != n+5 {
				t.Errorf("version %d with %d groups, want %d and %d", got.Version, len(got.Identity.Groups), n+1, n+5)
			}
		}},
		{"of parallel creations of one key one succeeds", func(t *testing.T, s Store) {
			var made atomic.Int32
			together(20, func(int) {
				switch err := s.Create(t.Context(), Session(1)); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, session.ErrConflict):
					t.Error(err)
				}
			})
			if made.Load() != 1 {
				t.Errorf("%d succeeded", made.Load())
			}
		}},
		{"a session deleted during updates and touches does not come back", func(t *testing.T, s Store) {
			const rounds, workers = 200, 100
			for round := range rounds {
				key := Key(round)
				create(t, s, Session(round))
				together(workers, func(i int) {
					var err error
					switch {
					case i == workers/2:
						if err := s.Delete(t.Context(), key); err != nil {
							t.Error(err)
						}
					case i%10 == 0:
						_, err = s.Update(t.Context(), key, rename(strconv.Itoa(i)))
					case i%2 == 0:
						err = s.Touch(t.Context(), key, time.Now())
					default:
						_, err = s.Get(t.Context(), key)
					}
					if err != nil && !errors.Is(err, session.ErrNotFound) {
						t.Error(err)
					}
				})
				wantGone(t, s, key)
				if t.Failed() {
					return
				}
			}
			if keys := list(t, s, session.Filter{}); len(keys) != 0 {
				t.Errorf("%d sessions are listed", len(keys))
			}
		}},
		{"a user who signs in while all his sessions are ended has either outcome, whole", func(t *testing.T, s Store) {
			const n = 30
			var deleted atomic.Int32
			together(n+1, func(i int) {
				if i < n {
					create(t, s, of(i, "https://a", "alice", ""))
					return
				}
				k, err := s.DeleteSubject(t.Context(), "https://a", "alice")
				if err != nil {
					t.Error(err)
				}
				deleted.Add(int32(k))
			})
			left := 0
			for i := range n {
				if _, err := s.Get(t.Context(), Key(i)); err == nil {
					left++
				}
			}
			if left+int(deleted.Load()) != n {
				t.Errorf("%d left and %d deleted of %d", left, deleted.Load(), n)
			}
			wantDeleted(t, left)(s.DeleteSubject(t.Context(), "https://a", "alice"))
		}},
		{"of parallel deletions of one session one counts it", func(t *testing.T, s Store) {
			for round := range 20 {
				create(t, s, Session(round))
				var n atomic.Int32
				together(8, func(int) {
					k, err := s.DeleteKeys(t.Context(), Key(round))
					if err != nil {
						t.Error(err)
					}
					n.Add(int32(k))
				})
				if n.Load() != 1 {
					t.Fatalf("counted %d times", n.Load())
				}
			}
		}},
		{"of parallel touches the latest wins", func(t *testing.T, s Store) {
			create(t, s, Session(1))
			base := now().Add(time.Minute)
			together(50, func(i int) {
				if err := s.Touch(t.Context(), Key(1), base.Add(time.Duration(i)*time.Second)); err != nil {
					t.Error(err)
				}
			})
			wantSeen(t, s, Key(1), base.Add(49*time.Second))
		}},
		{"of parallel claims to one lease one succeeds", func(t *testing.T, s Store) {
			var won atomic.Int32
			together(20, func(i int) {
				_, err := s.SaveRecord(t.Context(), "lease", "refresh", 0, []byte{byte(i)}, time.Now().Add(time.Minute))
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, session.ErrConflict):
					t.Error(err)
				}
			})
			if won.Load() != 1 {
				t.Errorf("%d won", won.Load())
			}
		}},
	}
}
