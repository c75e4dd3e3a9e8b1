//go:build e2e

package valkeystore_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
)

const revoked = "revoked-tokens"

// quick opens a store with the timeout that gateways have.
func quick(t *testing.T, urls ...string) *valkeystore.Store {
	t.Helper()
	cfg := settings(urls...)
	cfg.Timeout = 250 * time.Millisecond
	return open(t, cfg, defaultCache())
}

// publish tries until it succeeds, as callers in a failover do.
func publish(t *testing.T, s *valkeystore.Store, name, value string) {
	t.Helper()
	eventually(t, "an entry can be published", func() bool {
		return s.Publish(t.Context(), revoked, session.FeedEntry{Name: name, Value: []byte(value), ExpiresAt: time.Now().Add(time.Hour)}) == nil
	})
}

func waitLive(t *testing.T, f *sessiontest.Follower, want map[string]string) {
	t.Helper()
	eventually(t, fmt.Sprintf("a follower has %v", want), func() bool { return cmp.Equal(want, f.Live()) })
}

// wantAll has somebody read the feed who never did before.
func wantAll(t *testing.T, s *valkeystore.Store, want map[string]string) {
	t.Helper()
	f := sessiontest.Follow(t, s, revoked)
	defer f.End()
	eventually(t, "a new follower is confirmed", func() bool { return !f.Confirmed().IsZero() })
	if diff := cmp.Diff(want, f.Live()); diff != "" {
		t.Error(diff)
	}
}

// waitConfirmed waits for a confirmation of something later than now.
func waitConfirmed(t *testing.T, f *sessiontest.Follower) {
	t.Helper()
	now := time.Now()
	eventually(t, "a new confirmation", func() bool { return f.Confirmed().After(now) })
}

// wantUnconfirmed watches for two seconds that nothing later than a time is
// confirmed.
func wantUnconfirmed(t *testing.T, f *sessiontest.Follower, since time.Time) {
	t.Helper()
	end := time.Now().Add(2 * time.Second)
	eventually(t, "two seconds have passed", func() bool { return time.Now().After(end) })
	if at := f.Confirmed(); at.After(since) {
		t.Errorf("confirmed as it was %v after nothing could be known any more", at.Sub(since))
	}
}

// TestAnEntryReachesOtherGatewaysWithinMilliseconds publishes at one gateway and
// hears at another.
func TestAnEntryReachesOtherGatewaysWithinMilliseconds(t *testing.T) {
	server := env.StartValkey(t)
	a, b := quick(t, server.URL()), quick(t, server.URL())
	ctx, cancel := context.WithCancel(t.Context())
	heard, ended := make(chan time.Time, 1), make(chan struct{})
	var ready atomic.Bool
	go func() {
		defer close(ended)
		b.Follow(ctx, revoked, func([]session.FeedEntry) { heard <- time.Now() }, func(time.Time) { ready.Store(true) })
	}()
	eventually(t, "it follows", ready.Load)
	var took []time.Duration
	for i := range 200 {
		begin := time.Now()
		publish(t, a, strconv.Itoa(i), "v")
		took = append(took, (<-heard).Sub(begin))
	}
	cancel()
	<-ended
	slices.Sort(took)
	t.Logf("heard after %v at the median, %v at the 99th percentile, %v at most", took[100], took[198], took[199])
	if took[199] > time.Second {
		t.Errorf("one took %v", took[199])
	}
}

// TestASecondGatewayFindsTheFeed is the reopening of a store.
func TestASecondGatewayFindsTheFeed(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	sessiontest.FeedsOutlive(t, open(t, settings(server.URL()), defaultCache()), func() sessiontest.Store {
		return open(t, settings(server.URL()), defaultCache())
	})
}

// TestWhatNoLongerCountsIsDeleted and nothing else.
func TestWhatNoLongerCountsIsDeleted(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	a, b := quick(t, server.URL()), quick(t, server.URL())
	a.Settle(time.Millisecond)
	b.Settle(time.Millisecond)
	const replaced, expired, live = 700, 300, 50
	for i := range replaced {
		sessiontest.Publish(t, a, revoked, "replaced", strconv.Itoa(i), time.Hour)
	}
	for i := range expired {
		sessiontest.Publish(t, a, revoked, fmt.Sprint("expired", i), "v", 2*time.Second)
	}
	want := map[string]string{"replaced": strconv.Itoa(replaced - 1)}
	for i := range live {
		sessiontest.Publish(t, a, revoked, fmt.Sprint("live", i), "v", time.Duration(i)*time.Hour)
		want[fmt.Sprint("live", i)] = "v"
	}
	for _, s := range []*valkeystore.Store{a, b} {
		sessiontest.Follow(t, s, revoked)
	}
	eventually(t, "only what counts is left", func() bool { return server.Do("XLEN", a.FeedKey(revoked)) == strconv.Itoa(live+1) })
	wantAll(t, a, want)
}

// TestEmptiedServerIsFilledAgain by those who follow, each entry once.
func TestEmptiedServerIsFilledAgain(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	stores := []*valkeystore.Store{quick(t, server.URL()), quick(t, server.URL()), quick(t, server.URL())}
	want := map[string]string{}
	for i := range 500 {
		want[strconv.Itoa(i)] = strconv.Itoa(i)
		publish(t, stores[0], strconv.Itoa(i), strconv.Itoa(i))
	}
	sessiontest.Publish(t, stores[0], revoked, "for ever", "x", 0)
	want["for ever"] = "x"
	var followers []*sessiontest.Follower
	for _, s := range stores {
		f := sessiontest.Follow(t, s, revoked)
		waitLive(t, f, want)
		followers = append(followers, f)
	}
	server.Do("FLUSHALL")
	server.Do("CLIENT", "KILL", "TYPE", "normal")
	eventually(t, "all is there again", func() bool { return server.Do("XLEN", stores[0].FeedKey(revoked)) == strconv.Itoa(len(want)) })
	wantAll(t, stores[1], want)
	for _, f := range followers {
		waitConfirmed(t, f)
		waitLive(t, f, want)
	}
	if n := server.Do("XLEN", stores[0].FeedKey(revoked)); n != strconv.Itoa(len(want)) {
		t.Errorf("%s entries, want %d: some were brought back twice", n, len(want))
	}
}

// TestAnOfflineStoreFollowsNothing: `check` opens no connection.
func TestAnOfflineStoreFollowsNothing(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	way := env.StartTCPProxy(t, server.Addr)
	s, err := valkeystore.Open(valkeystore.Options{Valkey: settings("valkey://" + way.Addr), Cache: defaultCache(), Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Publish(t.Context(), revoked, session.FeedEntry{Name: "n", Value: []byte("v")}); err == nil {
		t.Error("it was published")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	s.Follow(ctx, revoked, func([]session.FeedEntry) { t.Error("heard something") }, func(time.Time) { t.Error("confirmed something") })
	if n := way.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// TestNonsenseInAFeedIsNotLeftOut: what it should have said might be that a token
// is revoked, so nothing is confirmed, and the log names it.
func TestNonsenseInAFeedIsNotLeftOut(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	core, logs := observer.New(zapcore.ErrorLevel)
	s, err := valkeystore.Open(valkeystore.Options{Valkey: settings(server.URL()), Cache: defaultCache(), Log: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	publish(t, s, "n", "v")
	id := server.Do("XADD", s.FeedKey(revoked), "*", "name", "n")
	f := sessiontest.Follow(t, s, revoked)
	defer f.End()
	eventually(t, "the log says so", func() bool { return logs.FilterField(zap.String("step", "answer")).Len() > 0 })
	if at := f.Confirmed(); !at.IsZero() {
		t.Errorf("confirmed %v", at)
	}
	server.Do("XDEL", s.FeedKey(revoked), id)
	waitLive(t, f, map[string]string{"n": "v"})
	waitConfirmed(t, f)
}
