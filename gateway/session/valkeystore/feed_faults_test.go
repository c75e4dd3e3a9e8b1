//go:build e2e

package valkeystore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session"
)

// ledger knows what was published by when, and what a follower has heard.
type ledger struct {
	mu        sync.Mutex
	published map[string]time.Time // when it surely was in the store
	unheard   map[string]bool
	confirmed time.Time
	lies      []string
	checks    int
}

func (l *ledger) publish(name string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published[name] = at
}

func (l *ledger) apply(entries []session.FeedEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		delete(l.unheard, e.Name)
	}
}

func (l *ledger) confirm(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checks++
	l.confirmed = at
	for name := range l.unheard {
		if published, ok := l.published[name]; ok && published.Before(at) {
			l.lies = append(l.lies, fmt.Sprintf("%s, published %v before", name, at.Sub(published)))
		}
	}
}

// TestWhatIsConfirmedHasBeenHeardWhateverBreaks between the gateways and a server
// that keeps its data.
func TestWhatIsConfirmedHasBeenHeardWhateverBreaks(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t, env.ValkeyArgs("--appendonly", "yes", "--appendfsync", "always"))
	ways := []*env.TCPProxy{env.StartTCPProxy(t, server.Addr), env.StartTCPProxy(t, server.Addr)}
	publisher, s := quick(t, "valkey://"+ways[0].Addr), quick(t, "valkey://"+ways[1].Addr)

	l := &ledger{published: map[string]time.Time{}, unheard: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { s.Follow(ctx, revoked, l.apply, l.confirm) })
	wait.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			name := fmt.Sprint(i)
			l.mu.Lock()
			l.unheard[name] = true
			l.mu.Unlock()
			err := publisher.Publish(ctx, revoked, session.FeedEntry{Name: name, Value: []byte("v"), ExpiresAt: time.Now().Add(time.Hour)})
			if err == nil {
				l.publish(name, time.Now())
			}
			rest(2 * time.Millisecond)
		}
	})
	r := rand.New(rand.NewPCG(1, 2))
	some := func() time.Duration { return time.Duration(10+r.IntN(1200)) * time.Millisecond }
	faults := []func(){
		func() { ways[1].Cut() },
		func() { ways[1].BlackHole(); rest(some()); ways[1].Heal() },
		func() { ways[1].BlackHoleExisting(); rest(some()); ways[1].Heal() },
		func() { ways[1].BlackHole(); rest(some()); ways[1].Cut(); ways[1].Heal() },
		func() { ways[0].BlackHole(); rest(some()); ways[0].Heal() },
		func() { server.Freeze(); rest(some()); server.Thaw() },
		func() { server.Kill(); rest(some()); server.Restart() },
	}
	for range 2 {
		for _, i := range r.Perm(len(faults)) {
			faults[i]()
			rest(some())
		}
	}
	last := time.Now()
	eventually(t, "all is confirmed", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.confirmed.After(last)
	})
	cancel()
	wait.Wait()
	for _, lie := range l.lies {
		t.Errorf("confirmed, but not heard: %s", lie)
	}
	t.Logf("%d entries, %d confirmations", len(l.published), l.checks)
}

// rest lets time pass between faults.
func rest(d time.Duration) { <-time.After(d) }
