package lock_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/lock"
	"github.com/sallyport/sallyport/gateway/session"
)

// written is an entry as another release, or damage, may have left it.
func written(value string) session.FeedEntry {
	return session.FeedEntry{Name: "a", Value: []byte(value)}
}

// TestALockThatIsReadInPartIsOnAllThatItsPartIsOn: what this release does not know
// could only have made it a lock on less.
func TestALockThatIsReadInPartIsOnAllThatItsPartIsOn(t *testing.T) {
	other := &identity.Identity{Issuer: issuer, Subject: "zoe", Groups: []string{"guests"}}
	office := netip.MustParseAddr("203.0.113.7")
	for value, tt := range map[string]struct {
		on        string
		hit, miss lock.Question
	}{
		`{"v":2,"id":"a","route":"r"}`:                                  {"route r", lock.Question{Route: "r"}, lock.Question{Route: "q", Identity: alice()}},
		`{"v":2,"id":"a","route":"r","methods":["POST"]}`:               {"route r", lock.Question{Route: "r"}, lock.Question{Route: "q"}},
		`{"v":2,"id":"a","route":"r","group":["ops","x"]}`:              {"route r", lock.Question{Route: "r", Identity: other}, lock.Question{Route: "q", Identity: alice()}},
		`{"v":1,"id":"a","group":"ops","address":"office"}`:             {"group ops", lock.Question{Identity: alice()}, lock.Question{Identity: other, Address: office}},
		`{"v":"two","id":"a","address":"203.0.113.0/24"}`:               {"address 203.0.113.0/24", lock.Question{Address: office}, lock.Question{Identity: alice()}},
		`{"v":2,"id":"a","sub":"alice"}`:                                {"subject alice", lock.Question{Identity: alice()}, lock.Question{Identity: other}},
		`{"v":2,"id":"a","sub":"alice","iss":{"any":true}}`:             {"subject alice", lock.Question{Identity: alice()}, lock.Question{Identity: other}},
		`{"v":2,"id":"a","sid":"s1"}`:                                   {"provider session s1", lock.Question{Identity: alice()}, lock.Question{Identity: other}},
		`{"v":2,"id":"a","sub":"alice","iss":"https://id.example"}`:     {"subject alice, issuer https://id.example", lock.Question{Identity: alice()}, lock.Question{Identity: other}},
		`{"v":1,"id":"b","route":"r"}`:                                  {"route r", lock.Question{Route: "r"}, lock.Question{Route: "q"}},
		`{"v":2,"id":"a","route":"r","until":"the end","lifted":"now"}`: {"route r", lock.Question{Route: "r"}, lock.Question{Route: "q"}},
	} {
		core, log := observer.New(zap.InfoLevel)
		l := lock.New(lock.Options{Feeds: &memory{entries: []session.FeedEntry{written(value)}}, Log: zap.New(core)})
		l.ReadNow(t.Context())
		for name, judge := range map[string]func(*lock.Question) (*lock.Lock, error){
			"Judge": func(q *lock.Question) (*lock.Lock, error) { return l.Judge(t.Context(), q) },
			"Now":   func(q *lock.Question) (*lock.Lock, error) { return l.Now(q), nil },
		} {
			if found, err := judge(&tt.hit); err != nil || found == nil || found.ID != "a" || !strings.HasPrefix(found.String(), tt.on+", something that this release") {
				t.Errorf("%s: %s finds %v, %v", value, name, found, err)
			}
			if found, err := judge(&tt.miss); err != nil || found != nil {
				t.Errorf("%s: %s locks somebody else: %v, %v", value, name, found, err)
			}
			if found, err := judge(&lock.Question{}); err != nil || found != nil {
				t.Errorf("%s: %s locks everybody: %v, %v", value, name, found, err)
			}
		}
		if err := l.Ready(); err != nil {
			t.Errorf("%s: the others can't be served: %v", value, err)
		}
		if got := log.FilterLevelExact(zap.ErrorLevel).FilterField(zap.String("lock", "a")).Len(); got != 1 {
			t.Errorf("%s: %d errors in the log", value, got)
		}
		if l.Active()["unreadable"] != 1 {
			t.Errorf("%s: counted as %v", value, l.Active())
		}
	}
}

// TestALockOfWhichNothingIsReadMayBeOnAnybody, so nobody is let in, until it is
// lifted.
func TestALockOfWhichNothingIsReadMayBeOnAnybody(t *testing.T) {
	for _, value := range []string{
		`{}`, `{"v":1,"id":"a"}`, `{"v":2,"id":"a","paths":["/pay"]}`, `{"v":1,"id":"a","address":"all"}`, `{"v":2,"id":"a","group":["ops"]}`, `nonsense`, `[]`, `null`,
	} {
		core, log := observer.New(zap.InfoLevel)
		feed := &memory{entries: []session.FeedEntry{written(value)}}
		l := lock.New(lock.Options{Feeds: feed, Log: zap.New(core)})
		l.ReadNow(t.Context())
		if found, err := l.Judge(t.Context(), &lock.Question{Route: "r", Identity: alice()}); !errors.Is(err, lock.ErrUnreadable) {
			t.Errorf("%s: somebody is judged: %v, %v", value, found, err)
		}
		if err := l.Ready(); !errors.Is(err, lock.ErrUnreadable) || !strings.Contains(err.Error(), "(a)") {
			t.Errorf("%s: ready: %v", value, err)
		}
		if log.FilterLevelExact(zap.ErrorLevel).FilterField(zap.String("lock", "a")).Len() != 1 {
			t.Errorf("%s: the log says %v", value, log.All())
		}
		// Locks that are known count nevertheless.
		if _, err := l.Set(t.Context(), lock.Lock{Criteria: lock.Criteria{Group: "ops"}, Reason: "x"}); err != nil {
			t.Fatal(err)
		}
		if found, err := l.Judge(t.Context(), &lock.Question{Identity: alice()}); err != nil || found == nil || found.Group != "ops" {
			t.Errorf("%s: another lock: %v, %v", value, found, err)
		}

		list, err := l.List(t.Context())
		if err != nil || len(list) != 2 || list[1].ID != "a" || list[1].String() != "something that this release can't read" {
			t.Errorf("%s: listed as %v, %v", value, list, err)
		}
		if _, err := l.Lift(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		for name, one := range map[string]*lock.Locks{"here": l, "at another gateway": opened(t, feed, 0)} {
			if found, err := one.Judge(t.Context(), &lock.Question{Route: "r"}); err != nil || found != nil || one.Ready() != nil {
				t.Errorf("%s: after the lifting, %s: %v, %v", value, name, found, err)
			}
		}
	}
}

// TestALockThatIsReadInPartEnds when it says so, or else when its writer has
// forgotten it.
func TestALockThatIsReadInPartEnds(t *testing.T) {
	for name, entry := range map[string]func(end time.Time) session.FeedEntry{
		"says so": func(end time.Time) session.FeedEntry {
			e := written(`{"v":2,"id":"a","until":"` + end.UTC().Format(time.RFC3339Nano) + `"}`)
			e.ExpiresAt = end.Add(time.Hour)
			return e
		},
		"forgotten": func(end time.Time) session.FeedEntry {
			e := written("nonsense")
			e.ExpiresAt = end
			return e
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := opened(t, &memory{entries: []session.FeedEntry{entry(time.Now().Add(time.Minute))}}, 0)
			pass(time.Minute - time.Nanosecond)
			if l.Ready() == nil {
				t.Errorf("%s: it ended too early", name)
			}
			pass(time.Nanosecond)
			if found, err := l.Judge(t.Context(), &lock.Question{Route: "r"}); err != nil || found != nil {
				t.Errorf("%s: it goes on: %v, %v", name, found, err)
			}
		})
	}
	lifted := opened(t, &memory{entries: []session.FeedEntry{written(`{"v":7,"id":"a","lifted":"2020-01-01T00:00:00Z"}`)}}, 0)
	if err := lifted.Ready(); err != nil {
		t.Errorf("one that was lifted counts: %v", err)
	}
}
