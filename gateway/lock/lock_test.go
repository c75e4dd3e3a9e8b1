package lock_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/lock"
	"github.com/sallyport/sallyport/gateway/session"
)

// memory is a feed in this process that confirms when it is told to.
type memory struct {
	entries []session.FeedEntry
	apply   func([]session.FeedEntry)
	confirm func(time.Time)
	down    bool
}

func (m *memory) Publish(_ context.Context, _ string, e session.FeedEntry) error {
	if m.down {
		return errors.New("down")
	}
	m.entries = append(m.entries, e)
	return e.Check("locks")
}

func (m *memory) Follow(ctx context.Context, _ string, apply func([]session.FeedEntry), confirmed func(time.Time)) {
	m.apply, m.confirm = apply, confirmed
	apply(m.entries)
	confirmed(time.Now())
	<-ctx.Done()
}

func opened(t *testing.T, feed *memory, staleness time.Duration) *lock.Locks {
	t.Helper()
	l := lock.New(lock.Options{Feeds: feed, MaxStaleness: staleness})
	l.ReadNow(t.Context())
	return l
}

func address(t *testing.T, text string) netip.Prefix {
	t.Helper()
	p, err := lock.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const issuer = "https://id.example"

func alice() *identity.Identity {
	return &identity.Identity{Issuer: issuer, Subject: "alice", Groups: []string{"staff", "ops"}, ProviderSession: "s1"}
}

func TestALockMatchesWhatHasAllOfItsCriteriaAndNothingElse(t *testing.T) {
	from := netip.MustParseAddr("203.0.113.7")
	for name, tt := range map[string]struct {
		on   lock.Criteria
		hits []lock.Question
		miss []lock.Question
	}{
		"a subject is one of an issuer": {
			on:   lock.Criteria{Issuer: issuer, Subject: "alice"},
			hits: []lock.Question{{Identity: alice()}, {Identity: alice(), Route: "r", Address: from}},
			miss: []lock.Question{
				{},
				{Identity: &identity.Identity{Issuer: "https://other", Subject: "alice"}},
				{Identity: &identity.Identity{Issuer: issuer, Subject: "Alice"}},
				{Identity: &identity.Identity{Issuer: issuer, Subject: "alice2"}},
			},
		},
		"a token that the gateway has signed is of the provider, too": {
			on: lock.Criteria{Issuer: issuer, Subject: "alice"},
			hits: []lock.Question{{Own: "https://gw", Identity: &identity.Identity{
				Issuer: "https://gw", Subject: "alice", Claims: identity.MapClaims{"idp": issuer},
			}}},
			miss: []lock.Question{{Own: "https://gw", Identity: &identity.Identity{
				Issuer: "https://evil", Subject: "alice", Claims: identity.MapClaims{"idp": issuer},
			}}},
		},
		"a group of any issuer": {
			on:   lock.Criteria{Group: "ops"},
			hits: []lock.Question{{Identity: alice()}},
			miss: []lock.Question{{}, {Identity: &identity.Identity{Issuer: issuer, Subject: "ops", Groups: []string{"ops2"}}}},
		},
		"an issuer": {
			on:   lock.Criteria{Issuer: issuer},
			hits: []lock.Question{{Identity: alice()}},
			miss: []lock.Question{{}, {Identity: &identity.Identity{Issuer: issuer + "/", Subject: "alice"}}},
		},
		"a session at the provider": {
			on:   lock.Criteria{Issuer: issuer, ProviderSession: "s1"},
			hits: []lock.Question{{Identity: alice()}},
			miss: []lock.Question{{Identity: &identity.Identity{Issuer: issuer, Subject: "alice"}}, {Identity: &identity.Identity{Issuer: "x", Subject: "a", ProviderSession: "s1"}}},
		},
		"an address, which is no network": {
			on:   lock.Criteria{Address: address(t, "::ffff:203.0.113.7")},
			hits: []lock.Question{{Address: from}, {Address: from, Identity: alice()}},
			miss: []lock.Question{{}, {Address: netip.MustParseAddr("203.0.113.8")}, {Address: netip.MustParseAddr("2001:db8::1")}},
		},
		"a network": {
			on:   lock.Criteria{Address: address(t, "203.0.112.0/23")},
			hits: []lock.Question{{Address: from}},
			miss: []lock.Question{{Address: netip.MustParseAddr("203.0.114.0")}, {}},
		},
		"a network of IPv6": {
			on:   lock.Criteria{Address: address(t, "2001:db8::/32")},
			hits: []lock.Question{{Address: netip.MustParseAddr("2001:db8:ffff::1")}},
			miss: []lock.Question{{Address: netip.MustParseAddr("2001:db9::")}, {Address: from}},
		},
		"a route": {
			on:   lock.Criteria{Route: "wiki"},
			hits: []lock.Question{{Route: "wiki"}, {Route: "wiki", Identity: alice()}},
			miss: []lock.Question{{Route: "wiki2"}, {}},
		},
		"a group of an issuer, from a network, on a route": {
			on:   lock.Criteria{Issuer: issuer, Group: "ops", Route: "pay", Address: address(t, "203.0.113.0/24")},
			hits: []lock.Question{{Route: "pay", Address: from, Identity: alice()}},
			miss: []lock.Question{
				{Route: "pay", Identity: alice()},
				{Address: from, Identity: alice()},
				{Route: "pay", Address: from},
				{Route: "pay", Address: from, Identity: &identity.Identity{Issuer: "x", Subject: "alice", Groups: []string{"ops"}}},
				{Route: "pay", Address: from, Identity: &identity.Identity{Issuer: issuer, Subject: "alice"}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := opened(t, &memory{}, 0)
			made, err := l.Set(t.Context(), lock.Lock{Criteria: tt.on, Reason: "x"})
			if err != nil {
				t.Fatal(err)
			}
			// Others of every kind, which none of these questions is about.
			for _, other := range []lock.Criteria{
				{Route: "other"}, {Address: address(t, "198.51.100.0/24")}, {Address: address(t, "fd00::/8")}, {Group: "others"}, {Issuer: issuer, Subject: "zoe"},
			} {
				if _, err := l.Set(t.Context(), lock.Lock{Criteria: other, Reason: "x"}); err != nil {
					t.Fatal(err)
				}
			}
			for i, q := range tt.hits {
				if found, err := l.Judge(t.Context(), &q); err != nil || found == nil || found.ID != made.ID {
					t.Errorf("%d: %+v is not locked: %v %v", i, q, found, err)
				}
			}
			for i, q := range tt.miss {
				if found, err := l.Judge(t.Context(), &q); err != nil || found != nil {
					t.Errorf("%d: %+v is locked by %v (%v)", i, q, found, err)
				}
			}
			if _, err := l.Lift(t.Context(), made.ID); err != nil {
				t.Fatal(err)
			}
			for i, q := range tt.hits {
				if found, err := l.Judge(t.Context(), &q); err != nil || found != nil {
					t.Errorf("%d: %+v is locked after the lifting", i, q)
				}
			}
		})
	}
}

func TestALockEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := &memory{}
		l := lock.New(lock.Options{Feeds: feed})
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go l.Run(ctx)
		synctest.Wait()
		if _, err := l.Set(t.Context(), lock.Lock{Criteria: lock.Criteria{Route: "r"}, Reason: "x", Until: time.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		q := lock.Question{Route: "r"}
		pass(time.Minute - time.Nanosecond)
		if l.Now(&q) == nil || l.Active()["route"] != 1 {
			t.Error("the lock ended too early")
		}
		pass(time.Nanosecond)
		if l.Now(&q) != nil || l.Active()["route"] != 0 {
			t.Error("the lock goes on")
		}
		feed.confirm(time.Now())
		if l.Any() {
			t.Error("a lock that is over is still looked for")
		}
		if list, err := l.List(t.Context()); err != nil || len(list) != 1 || list[0].StateAt(time.Now()) != lock.Expired {
			t.Errorf("listed: %v %v", list, err)
		}
		end()
		synctest.Wait()
	})
}

// TestALiftedLockDoesNotComeBack, whatever order its entries come in: a gateway that
// has not heard of the lifting may bring the lock back after a failover.
func TestALiftedLockDoesNotComeBack(t *testing.T) {
	feed := &memory{}
	l := opened(t, feed, 0)
	made, err := l.Set(t.Context(), lock.Lock{Criteria: lock.Criteria{Route: "r"}, Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Lift(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	turned := &memory{entries: []session.FeedEntry{feed.entries[1], feed.entries[0]}}
	for name, one := range map[string]*lock.Locks{"in order": opened(t, feed, 0), "turned round": opened(t, turned, 0)} {
		if one.Now(&lock.Question{Route: "r"}) != nil {
			t.Error(name + ": the lock is back")
		}
		if _, err := one.Lift(t.Context(), made.ID); err != nil {
			t.Errorf("%s: lifting it again: %v", name, err)
		}
	}
	if e := feed.entries[1]; e.ExpiresAt.Before(time.Now().Add(24 * time.Hour)) {
		t.Errorf("the lifting is forgotten at %v", e.ExpiresAt)
	}
	if _, err := l.Lift(t.Context(), "nothing"); !errors.Is(err, lock.ErrUnknown) {
		t.Errorf("lifting nothing: %v", err)
	}
}

func TestWhatIsNotKnownIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := &memory{}
		l := lock.New(lock.Options{Feeds: feed, MaxStaleness: 5 * time.Second})
		q := &lock.Question{Route: "r", Identity: alice()}
		if _, err := l.Judge(t.Context(), q); err == nil {
			t.Error("before the first reading, somebody is let in")
		}
		if _, err := l.List(t.Context()); err == nil {
			t.Error("before the first reading, there is a list")
		}
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go l.Run(ctx)
		synctest.Wait()
		if _, err := l.Judge(t.Context(), q); err != nil {
			t.Error(err)
		}
		made, err := l.Set(t.Context(), lock.Lock{Criteria: lock.Criteria{Route: "locked"}, Reason: "x"})
		if err != nil {
			t.Fatal(err)
		}
		pass(5*time.Second + 1)
		if _, err := l.Judge(t.Context(), q); err == nil {
			t.Error("with the store out of sight for too long, somebody is let in")
		}
		if found, err := l.Judge(t.Context(), &lock.Question{Route: "locked"}); err != nil || found == nil || found.ID != made.ID {
			t.Errorf("a lock that is known does not count: %v %v", found, err)
		}
		if found := l.Now(q); found != nil {
			t.Errorf("a public route without the store: %v", found)
		}
		feed.confirm(time.Now())
		if _, err := l.Judge(t.Context(), q); err != nil {
			t.Error(err)
		}
		feed.down = true
		if _, err := l.Set(t.Context(), lock.Lock{Criteria: lock.Criteria{Route: "r"}, Reason: "x"}); err == nil {
			t.Error("a lock that the store does not have was made")
		}
		end()
		synctest.Wait()
	})
}

func TestAddressesAreWrittenInOneWay(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.7": "203.0.113.7/32", "203.0.113.0/24": "203.0.113.0/24", "::ffff:203.0.113.7": "203.0.113.7/32",
		"::ffff:203.0.113.0/120": "203.0.113.0/24", "2001:db8::/32": "2001:db8::/32", "::1": "::1/128", "0.0.0.0/0": "0.0.0.0/0",
		"203.0.113.7/24": "", "fe80::1%eth0": "", "": "", "example.com": "", "203.0.113.7/33": "", "::ffff:0:0/80": "", "010.0.0.1": "",
	} {
		got, err := lock.ParseAddress(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestEveryFaultOfALockIsTold(t *testing.T) {
	err := (&lock.Lock{
		Criteria: lock.Criteria{Subject: "a", ProviderSession: "s\n", Group: strings.Repeat("g", 600)}, Until: time.Now().Add(-time.Second),
	}).Check(time.Now())
	for _, want := range []string{
		"subject is unique only together with its issuer", "provider_session is unique", "reason is missing", "group is longer than 512 bytes",
		"provider_session has a character", "until is in the past",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if err := (&lock.Lock{Reason: "x"}).Check(time.Now()); err == nil {
		t.Error("a lock on nothing is taken")
	}
}

func TestJudgingAllocatesNothing(t *testing.T) {
	none, many := opened(t, &memory{}, time.Hour), opened(t, &memory{}, 0)
	for i := range 40 {
		for _, on := range []lock.Criteria{
			{Issuer: issuer, Subject: fmt.Sprint("s", i)},
			{Group: fmt.Sprint("g", i)},
			{Address: address(t, fmt.Sprintf("10.%d.%d.0/24", i/256, i%256))},
			{Route: fmt.Sprint("r", i)},
			{Address: address(t, fmt.Sprintf("2001:db8:%x::/48", i))},
		} {
			if _, err := many.Set(t.Context(), lock.Lock{Criteria: on, Reason: "x"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	id := alice()
	for name, l := range map[string]*lock.Locks{"none": none, "many": many} {
		if got := testing.AllocsPerRun(1000, func() {
			q := lock.Question{Route: "app", Address: netip.AddrFrom4([4]byte{203, 0, 113, 7}), Identity: id}
			if found, err := l.Judge(context.Background(), &q); err != nil || found != nil {
				t.Fatal(found, err)
			}
		}); got > 0 {
			t.Errorf("%s: judging allocates %.1f times", name, got)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	l := lock.New(lock.Options{Feeds: &memory{}})
	l.ReadNow(b.Context())
	id := alice()
	judge := func(b *testing.B) {
		for b.Loop() {
			q := lock.Question{Route: "app", Address: netip.AddrFrom4([4]byte{203, 0, 113, 7}), Identity: id}
			if found, err := l.Judge(b.Context(), &q); err != nil || found != nil {
				b.Fatal(found, err)
			}
		}
	}
	b.Run("none", judge)
	for i := range 100 {
		for _, on := range []lock.Criteria{{Issuer: issuer, Subject: fmt.Sprint("s", i)}, {Group: fmt.Sprint("g", i)}} {
			if _, err := l.Set(b.Context(), lock.Lock{Criteria: on, Reason: "x"}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("200", judge)
}

func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the bubble's clock is virtual
