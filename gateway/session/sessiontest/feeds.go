//nolint:thelper // these functions are tests, not helpers
package sessiontest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/gateway/session"
)

// Follower follows a feed and remembers what it hears. Its methods are safe for
// concurrent use.
type Follower struct {
	end  context.CancelFunc
	done chan struct{}

	mu        sync.Mutex
	heard     []session.FeedEntry
	confirmed []time.Time
}

// Follow follows a feed until the test ends or End is called.
func Follow(tb testing.TB, s session.Feeds, feed string) *Follower {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &Follower{end: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		s.Follow(ctx, feed, f.apply, f.confirm)
	}()
	tb.Cleanup(f.End)
	return f
}

func (f *Follower) apply(entries []session.FeedEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		e.Value = slices.Clone(e.Value)
		f.heard = append(f.heard, e)
	}
	clear(entries) // the slice is the follower's to spoil
}

func (f *Follower) confirm(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.confirmed = append(f.confirmed, at)
}

// End stops the following and waits until Follow has returned.
func (f *Follower) End() {
	f.end()
	<-f.done
}

// Heard returns the values of all entries, in their order.
func (f *Follower) Heard() (values []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.heard {
		values = append(values, string(e.Value))
	}
	return values
}

// Live returns for each name the value that counts now.
func (f *Follower) Live() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, live := map[string]session.FeedEntry{}, map[string]string{}
	for _, e := range f.heard {
		last[e.Name] = e
	}
	for name, e := range last {
		if !e.Expired(time.Now()) {
			live[name] = string(e.Value)
		}
	}
	return live
}

// Confirmed returns up to when the follower is known to have heard everything;
// the zero time where that is not known.
func (f *Follower) Confirmed() (at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.confirmed {
		if one.After(at) {
			at = one
		}
	}
	return at
}

// WaitConfirmed waits until the follower has heard everything up to now.
func (f *Follower) WaitConfirmed(t *testing.T) {
	t.Helper()
	now := time.Now()
	eventually(t, "a confirmation of what was published", func() bool { return f.Confirmed().After(now) })
}

// Publish publishes an entry; a life of 0 has no end.
func Publish(t *testing.T, s session.Feeds, feed, name, value string, life time.Duration) {
	t.Helper()
	e := session.FeedEntry{Name: name, Value: []byte(value)}
	if life != 0 {
		e.ExpiresAt = time.Now().Add(life)
	}
	if err := s.Publish(t.Context(), feed, e); err != nil {
		t.Fatalf("publish %s to %s: %v", name, feed, err)
	}
}

func wantHeard(t *testing.T, f *Follower, want ...string) {
	t.Helper()
	f.WaitConfirmed(t)
	if diff := cmp.Diff(want, f.Heard(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func wantLive(t *testing.T, f *Follower, want map[string]string) {
	t.Helper()
	f.WaitConfirmed(t)
	if diff := cmp.Diff(want, f.Live(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// FeedsOutlive is for stores that keep what they have: second opens what first
// leaves behind.
func FeedsOutlive(t *testing.T, first Store, second func() Store) {
	Publish(t, first, "revoked", "for ever", "one", 0)
	Publish(t, first, "revoked", "replaced", "old", time.Hour)
	Publish(t, first, "revoked", "for an hour", "two", time.Hour)
	const moment = 5 * time.Millisecond
	Publish(t, first, "revoked", "ended", "three", moment)
	published := time.Now()
	Publish(t, first, "revoked", "replaced", "new", time.Hour)
	Publish(t, first, "other", "x", "of another feed", 0)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for time.Since(published) <= moment {
		runtime.Gosched() // until the third has ended, however quick the store is
	}
	s := second()
	f := Follow(t, s, "revoked")
	wantHeard(t, f, "one", "two", "new")
	Publish(t, s, "revoked", "for an hour", "four", time.Hour)
	wantHeard(t, f, "one", "two", "new", "four")
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.heard[0].ExpiresAt.IsZero() {
		t.Errorf("an entry without end ends %v", f.heard[0].ExpiresAt)
	}
	if life := time.Until(f.heard[1].ExpiresAt); life > time.Hour || life < time.Hour-time.Minute {
		t.Errorf("an entry of an hour lives for %v", life)
	}
}

func feeds() []behaviour {
	return []behaviour{
		{"an empty feed is confirmed at once, and again and again", func(t *testing.T, s Store) {
			begin := time.Now()
			f := Follow(t, s, "revoked")
			for range 3 {
				f.WaitConfirmed(t)
			}
			f.End()
			last := begin
			for _, at := range f.confirmed {
				if at.Before(last) || at.After(time.Now()) {
					t.Errorf("confirmed for %v, after %v", at.Sub(begin), last.Sub(begin))
				}
				last = at
			}
			// A second is promised; the rest is for a machine that is busy.
			if gap := time.Since(begin); gap > time.Duration(len(f.confirmed)+1)*3*time.Second {
				t.Errorf("%d confirmations in %v", len(f.confirmed), gap)
			}
			if len(f.Heard()) != 0 {
				t.Errorf("heard %q", f.Heard())
			}
		}},
		{"entries come in their order, the kept ones first", func(t *testing.T, s Store) {
			var want []string
			publish := func(n int) {
				for range n {
					want = append(want, fmt.Sprint(len(want)))
					Publish(t, s, "revoked", want[len(want)-1], want[len(want)-1], time.Hour)
				}
			}
			publish(100)
			f := Follow(t, s, "revoked")
			wantHeard(t, f, want...)
			publish(100)
			wantHeard(t, f, want...)
			if f := Follow(t, s, "another"); len(f.Heard()) != 0 {
				t.Errorf("another feed has %q", f.Heard())
			}
		}},
		{"of several entries with one name the last one counts", func(t *testing.T, s Store) {
			early := Follow(t, s, "revoked")
			early.WaitConfirmed(t)
			Publish(t, s, "revoked", "alice", "1", time.Hour)
			Publish(t, s, "revoked", "bob", "2", time.Hour)
			Publish(t, s, "revoked", "alice", "3", time.Minute)
			wantHeard(t, early, "1", "2", "3")
			late := Follow(t, s, "revoked")
			for _, f := range []*Follower{early, late} {
				wantLive(t, f, map[string]string{"alice": "3", "bob": "2"})
			}
		}},
		{"an entry stops to count at its end, and one that it replaced does not return", func(t *testing.T, s Store) {
			Publish(t, s, "revoked", "a", "long", time.Hour)
			Publish(t, s, "revoked", "b", "stays", time.Hour)
			Publish(t, s, "revoked", "a", "short", time.Second)
			Publish(t, s, "revoked", "c", "over already", -time.Second)
			f := Follow(t, s, "revoked")
			f.WaitConfirmed(t)
			eventually(t, "an entry of 1 s ends", func() bool { _, ok := f.Live()["a"]; return !ok })
			late := Follow(t, s, "revoked")
			for _, f := range []*Follower{f, late} {
				wantLive(t, f, map[string]string{"b": "stays"})
			}
			wantHeard(t, late, "stays")
			Publish(t, s, "revoked", "a", "again", time.Hour)
			wantLive(t, late, map[string]string{"a": "again", "b": "stays"})
		}},
		{"names and values are free", func(t *testing.T, s Store) {
			want := map[string]string{}
			for _, name := range []string{"", "a\x00b", "*", "0-1", "a\r\nXADD x", "日本", "\xff\xfe", strings.Repeat("n", session.MaxFeedName)} {
				Publish(t, s, "revoked", name, name+"\x00\xff", time.Hour)
				want[name] = name + "\x00\xff"
			}
			Publish(t, s, "revoked", "long", strings.Repeat("v", session.MaxFeedValue), 0)
			want["long"] = strings.Repeat("v", session.MaxFeedValue)
			wantLive(t, Follow(t, s, "revoked"), want)
		}},
		{"an entry that is too large for every gateway's memory is refused", func(t *testing.T, s Store) {
			for what, e := range map[string]session.FeedEntry{
				"a long name":  {Name: strings.Repeat("n", session.MaxFeedName+1), Value: []byte("v")},
				"a long value": {Name: "n", Value: make([]byte, session.MaxFeedValue+1)},
				"no value":     {Name: "n"},
			} {
				if err := s.Publish(t.Context(), "revoked", e); err == nil {
					t.Errorf("%s is taken", what)
				}
			}
			if err := s.Publish(t.Context(), "", session.FeedEntry{Name: "n", Value: []byte("v")}); err == nil {
				t.Error("a feed without a name is taken")
			}
			wantHeard(t, Follow(t, s, "revoked"))
		}},
		{"an entry is the store's own copy", func(t *testing.T, s Store) {
			value := []byte("value")
			f := Follow(t, s, "revoked")
			if err := s.Publish(t.Context(), "revoked", session.FeedEntry{Name: "n", Value: value}); err != nil {
				t.Fatal(err)
			}
			copy(value, "XXXXX")
			wantHeard(t, f, "value")
			wantHeard(t, Follow(t, s, "revoked"), "value")
		}},
		{"what is confirmed has been heard", func(t *testing.T, s Store) {
			const n = 300
			f := Follow(t, s, "revoked")
			published := make([]time.Time, n) // by when the store surely had it
			for i := range n {
				Publish(t, s, "revoked", fmt.Sprint(i), fmt.Sprint(i), time.Hour)
				published[i] = time.Now()
				at, heard := f.Confirmed(), len(f.Heard())
				for k := heard; k <= i; k++ {
					if published[k].Before(at) {
						t.Fatalf("confirmed up to %v after entry %d was published, which was not heard", at.Sub(published[k]), k)
					}
				}
			}
		}},
		{"of many publishers none is lost, and all followers hear the same", func(t *testing.T, s Store) {
			early := []*Follower{Follow(t, s, "revoked"), Follow(t, s, "revoked")}
			for _, f := range early {
				f.WaitConfirmed(t)
			}
			const publishers, each = 20, 20
			together(publishers, func(p int) {
				for i := range each {
					e := session.FeedEntry{Name: fmt.Sprint(p), Value: fmt.Appendf(nil, "%d of %d", i, p), ExpiresAt: time.Now().Add(time.Hour)}
					if err := s.Publish(t.Context(), "revoked", e); err != nil {
						t.Error(err)
					}
				}
			})
			late := Follow(t, s, "revoked")
			want := map[string]string{}
			for p := range publishers {
				want[fmt.Sprint(p)] = fmt.Sprintf("%d of %d", each-1, p)
			}
			for _, f := range append(early, late) {
				wantLive(t, f, want)
			}
			first, second := early[0].Heard(), early[1].Heard()
			if diff := cmp.Diff(first, second); diff != "" || len(first) != publishers*each {
				t.Errorf("%d and %d heard: %s", len(first), len(second), diff)
			}
		}},
		{"a feed of 10,000 entries is whole before it is confirmed", func(t *testing.T, s Store) {
			const n = 10_000
			together(50, func(worker int) {
				for i := worker; i < n; i += 50 {
					e := session.FeedEntry{Name: fmt.Sprintf("%032d", i), Value: []byte("revoked"), ExpiresAt: time.Now().Add(time.Hour)}
					if err := s.Publish(t.Context(), "revoked", e); err != nil {
						t.Error(err)
						return
					}
				}
			})
			f := Follow(t, s, "revoked")
			eventually(t, "it is confirmed", func() bool { return !f.Confirmed().IsZero() })
			if got := len(f.Live()); got != n {
				t.Errorf("%d entries, want %d", got, n)
			}
		}},
		{"following ends with its context", func(t *testing.T, s Store) {
			for range 20 {
				f := Follow(t, s, "revoked")
				f.WaitConfirmed(t)
				f.End()
				heard := len(f.Heard())
				Publish(t, s, "revoked", "late", "late", time.Hour)
				if len(f.Heard()) != heard {
					t.Error("it hears after its end")
				}
			}
		}},
		{"an ended context neither follows nor publishes", func(t *testing.T, s Store) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			s.Follow(ctx, "revoked", func([]session.FeedEntry) { t.Error("heard something") }, func(time.Time) { t.Error("confirmed something") })
			if err := s.Publish(ctx, "revoked", session.FeedEntry{Name: "n", Value: []byte("v")}); err == nil {
				t.Error("published with an ended context")
			}
		}},
	}
}
