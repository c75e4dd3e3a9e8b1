package embedded

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

// hold stops the file's commits until the returned function is called.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	s.file.enqueue(&op{write: func(*bolt.Tx) error {
		close(begun)
		<-end
		return nil
	}})
	<-begun
	return func() { close(end) }
}

// waitQueued waits until n changes are queued behind a held commit.
func waitQueued(t *testing.T, s *Store, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		s.file.mu.Lock()
		queued := len(s.file.queue)
		s.file.mu.Unlock()
		if queued >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d changes are queued, want %d", queued, n)
		}
		<-time.After(time.Millisecond)
	}
}

func openFileStore(t *testing.T) (s *Store, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "sallyport.db")
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, path
}

func TestDeletionDuringACommitWins(t *testing.T) {
	s, path := openFileStore(t)
	must(t, s.Create(t.Context(), sessiontest.Session(1)))
	_, err := s.SaveRecord(t.Context(), "key", "x", 0, nil, time.Time{})
	must(t, err)

	release := hold(t, s)
	answers := make(chan error, 4)
	go func() {
		_, err := s.Update(t.Context(), sessiontest.Key(1), func(c *session.Session) error {
			c.Identity.Name = "Mallory"
			return nil
		})
		answers <- err
	}()
	waitQueued(t, s, 1)
	go func() {
		_, err := s.SaveRecord(t.Context(), "key", "x", 1, []byte("back"), time.Time{})
		answers <- err
	}()
	waitQueued(t, s, 2)
	go func() { answers <- s.Delete(t.Context(), sessiontest.Key(1)) }()
	waitQueued(t, s, 3)
	// Refused already, though nothing of it is on the disk.
	wantAbsent(t, s, 1)
	go func() { answers <- s.RemoveRecord(t.Context(), "key", "x") }()
	waitQueued(t, s, 4)
	release()
	for range 4 {
		if err := <-answers; err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrConflict) {
			t.Error(err)
		}
	}

	check := func(s *Store) {
		t.Helper()
		wantAbsent(t, s, 1)
		if _, err := s.LoadRecord(t.Context(), "key", "x"); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("the record is back: %v", err)
		}
		if len(s.subjects.heads) != 0 || len(s.providers.heads) != 0 || s.Len() != 0 {
			t.Errorf("%d sessions, indexes of %d and %d are left", s.Len(), len(s.subjects.heads), len(s.providers.heads))
		}
	}
	check(s)
	must(t, s.Close())
	again, err := Open(Options{Path: path})
	must(t, err)
	check(again)
	must(t, again.Close())
}

func TestACallerThatGoesAwayLeavesTheChangeWhole(t *testing.T) {
	s, _ := openFileStore(t)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error)
	go func() { answer <- s.Create(ctx, sessiontest.Session(1)) }()
	waitQueued(t, s, 1)
	cancel()
	wantOutage(t, "create", <-answer)
	wantAbsent(t, s, 1)
	// The shard's turn is still taken; a second caller's patience decides.
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	wantOutage(t, "create again", s.Create(short, sessiontest.Session(1)))
	release()
	if err := s.Create(t.Context(), sessiontest.Session(1)); !errors.Is(err, session.ErrConflict) {
		t.Errorf("got %v, want ErrConflict: the first was committed", err)
	}
	wantName(t, s, 1, "Alice Liddell")
}

func TestSignInsAtOnceShareACommit(t *testing.T) {
	s, _ := openFileStore(t)
	release := hold(t, s)
	const n = 64
	answers := make(chan error, n)
	for i := range n {
		go func() {
			in := sessiontest.Session(i)
			in.Identity.Ref[0] = byte(i) // as hashes spread
			answers <- s.Create(t.Context(), in)
		}()
	}
	waitQueued(t, s, n)
	writes := func() int64 {
		stats := s.file.db.Stats()
		return stats.TxStats.GetWrite()
	}
	before := writes()
	release()
	for range n {
		must(t, <-answers)
	}
	if pages := writes() - before; pages > 200 {
		t.Errorf("%d writes for %d sign-ins", pages, n)
	}
}

// The sweeper and a new record meet: the old one's removal must not be queued
// behind the new one.
func TestSweepingAnExpiredRecordSparesItsSuccessor(t *testing.T) {
	s, path := openFileStore(t)
	_, err := s.SaveRecord(t.Context(), "lease", "x", 0, []byte("old"), time.Now().Add(-time.Second))
	must(t, err)
	release := hold(t, s)
	answer := make(chan error)
	go func() {
		_, err := s.SaveRecord(t.Context(), "lease", "x", 0, []byte("new"), time.Time{})
		answer <- err
	}()
	waitQueued(t, s, 1)
	s.sweepRecords(time.Now().Add(tick))
	release()
	must(t, <-answer)
	must(t, s.Close())
	again, err := Open(Options{Path: path})
	must(t, err)
	defer func() { must(t, again.Close()) }()
	if r, err := again.LoadRecord(t.Context(), "lease", "x"); string(r.Value) != "new" || err != nil {
		t.Errorf("%q, %v", r.Value, err)
	}
}

func TestTokensLeaveMemoryWithTheirSession(t *testing.T) {
	s, err := Open(Options{})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	in := sessiontest.Session(1)
	in.SealedTokens = new([]byte("sealed"))
	must(t, s.Create(t.Context(), in))
	must(t, s.Delete(t.Context(), in.Key()))
	if n := len(s.shard(in.Key()).tokens); n != 0 {
		t.Errorf("tokens of %d sessions are left", n)
	}
}

func TestPairsAreHashedApart(t *testing.T) {
	pairs := [][2]string{{"a", "bc"}, {"ab", "c"}, {"abc", "x"}, {"", "abc"}, {"", "a"}, {"a", "a"}}
	seen := map[uint64]bool{0: true}
	for _, p := range pairs {
		h := hashPair(p[0], p[1])
		if seen[h] {
			t.Errorf("%q has the hash of another", p)
		}
		seen[h] = true
	}
	if hashPair("issuer", "") != 0 {
		t.Error("no name has a hash")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantOutage(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrConflict) {
		t.Errorf("%s: got %v, want an outage", what, err)
	}
}

func wantAbsent(t *testing.T, s *Store, n int) {
	t.Helper()
	if _, err := s.Get(t.Context(), sessiontest.Key(n)); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("session %d: got %v, want ErrNotFound", n, err)
	}
}

func wantName(t *testing.T, s *Store, n int, name string) {
	t.Helper()
	got, err := s.Get(t.Context(), sessiontest.Key(n))
	if err != nil || got.Identity.Name != name {
		t.Errorf("session %d: got %v, %v, want %s", n, got, err, name)
	}
}
