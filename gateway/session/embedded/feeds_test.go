package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

func TestFeedsOutliveARestart(t *testing.T) {
	s, path := openFileStore(t)
	sessiontest.FeedsOutlive(t, s, func() sessiontest.Store {
		again, err := Open(Options{Path: path})
		must(t, err)
		t.Cleanup(func() { must(t, again.Close()) })
		return again
	})
}

// Entries are handed out in the order of their publication after a restart too,
// not in that of their names.
func TestTheOrderOfAFeedOutlivesARestart(t *testing.T) {
	s, path := openFileStore(t)
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint(i))
		sessiontest.Publish(t, s, "revoked", fmt.Sprint(-i), fmt.Sprint(i), 0)
	}
	must(t, s.Close())
	again, err := Open(Options{Path: path})
	must(t, err)
	defer func() { must(t, again.Close()) }()
	sessiontest.Publish(t, again, "revoked", "-20", "20", 0)
	f := sessiontest.Follow(t, again, "revoked")
	f.WaitConfirmed(t)
	if diff := cmp.Diff(append(want, "20"), f.Heard()); diff != "" {
		t.Error(diff)
	}
	f.End()
}

// A file of a release without feeds gets them, and keeps its sessions.
func TestAnOlderFileGetsFeeds(t *testing.T) {
	s, path := openFileStore(t)
	must(t, s.Create(t.Context(), sessiontest.Session(1)))
	must(t, s.Close())
	edit(t, path, func(tx *bolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("feeds")), inMeta(tx).Delete([]byte("feeds")))
	})
	again, err := Open(Options{Path: path})
	must(t, err)
	defer func() { must(t, again.Close()) }()
	wantName(t, again, 1, "Alice Liddell")
	sessiontest.Publish(t, again, "revoked", "n", "v", 0)
}

// What was revoked must not count again because a part of the file is gone.
func TestAFileThatLostFeedEntriesDoesNotOpen(t *testing.T) {
	for how, damage := range map[string]func(tx *bolt.Tx) error{
		"all of them": func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("feeds")) },
		"one":         func(tx *bolt.Tx) error { return inFeeds(tx).Delete(feedID{"revoked", "a"}.key()) },
		"the value of one": func(tx *bolt.Tx) error {
			return inFeeds(tx).Put(feedID{"revoked", "a"}.key(), make([]byte, feedSize+1))
		},
	} {
		s, path := openFileStore(t)
		sessiontest.Publish(t, s, "revoked", "a", "v", 0)
		sessiontest.Publish(t, s, "revoked", "b", "v", 0)
		must(t, s.Close())
		edit(t, path, damage)
		again, err := Open(Options{Path: path})
		if err == nil {
			must(t, again.Close())
		}
		if err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", how, err)
		}
	}
}

func edit(t *testing.T, path string, change func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(change))
	must(t, db.Close())
}

func TestExpiredEntriesLeaveMemoryAndFile(t *testing.T) {
	s, path := openFileStore(t)
	sessiontest.Publish(t, s, "revoked", "ends", "v", time.Minute)
	sessiontest.Publish(t, s, "revoked", "prolonged", "v", time.Minute)
	sessiontest.Publish(t, s, "revoked", "prolonged", "v", time.Hour)
	sessiontest.Publish(t, s, "revoked", "stays", "v", 0)
	s.sweepFeeds(time.Now().Add(time.Minute + 2*tick))
	if n := len(s.feed("revoked").entries); n != 2 {
		t.Errorf("%d entries in memory, want 2", n)
	}
	must(t, s.Close())
	edit(t, path, func(tx *bolt.Tx) error {
		if n := inFeeds(tx).Stats().KeyN; n != 2 {
			t.Errorf("%d entries in the file, want 2", n)
		}
		return nil
	})
}

func TestAClosedStorePublishesAndConfirmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{})
		must(t, err)
		must(t, s.Close())
		wantOutage(t, "publish", s.Publish(t.Context(), "revoked", session.FeedEntry{Name: "n", Value: []byte("v")}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s.Follow(ctx, "revoked", func([]session.FeedEntry) { t.Error("heard something") }, func(time.Time) { t.Error("confirmed something") })
	})
	s, _ := openFileStore(t)
	must(t, s.Close())
	wantOutage(t, "publish", s.Publish(t.Context(), "revoked", session.FeedEntry{Name: "n", Value: []byte("v")}))
}

func TestAFeedIsConfirmedFourTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{})
		must(t, err)
		defer func() { must(t, s.Close()) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 0
		s.Follow(ctx, "revoked", func([]session.FeedEntry) {}, func(at time.Time) {
			if age := time.Since(at); age != 0 {
				t.Errorf("confirmed as it was %v ago", age)
			}
			n++
		})
		if n < 239 || n > 241 {
			t.Errorf("%d confirmations in a minute", n)
		}
	})
}
