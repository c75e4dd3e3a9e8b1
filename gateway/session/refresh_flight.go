package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
)

const (
	// refreshWorkers is how many refreshes are under way at once.
	refreshWorkers = 64
	// maxFlights bounds the refreshes that are under way or wait for a worker. A
	// session that finds no room is renewed at a later request.
	maxFlights = 1 << 14
	// maxPauses bounds the sessions of which is known here when to try again.
	maxPauses = 1 << 14
	// waitLimit is how long a request waits for a refresh, counted from when that
	// began.
	waitLimit = 10 * time.Second
	// farewellLimit is how long Close waits for refreshes that are under way: what
	// the provider has given out already would be lost otherwise.
	farewellLimit = 10 * time.Second
)

var (
	errBusy    = errors.New("session: too many refreshes are under way")
	errClosing = errors.New("session: the gateway is going away")
	errSlow    = errors.New("session: the refresh takes too long")
)

// renewer renews tokens, off the request path: one refresh of a session at a time
// here, and by a lease in the store at one gateway only. It is safe for concurrent
// use; nil renews nothing.
type renewer struct {
	manager   *Manager
	store     Store
	records   Records
	refresher Refresher
	settings  config.Refresh
	observe   func(string)
	ended     func(*Session, string)
	barred    func(*identity.Identity) bool
	opened    openTokens

	workers chan struct{}
	// waiting ends when Close begins, working when its patience is over.
	waiting, working       context.Context //nolint:containedctx // of the goroutines, not of a call
	stopWaiting, stopWorks context.CancelFunc
	running                sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	flights map[Key]*flight
	pauses  map[Key]pause
}

// flight is one refresh that any number of requests wait for.
type flight struct {
	began   time.Time
	done    chan struct{}
	session *Session
	err     error
}

// pause is what is known here of when the tokens of a session are tried again.
type pause struct {
	generation uint32
	until      time.Time
	err        error
}

func newRenewer(m *Manager, o Renewing) *renewer {
	r := &renewer{
		manager: m, store: m.store, records: o.Records, refresher: o.Refresher, settings: o.Settings,
		observe: o.Observe, ended: o.Ended, barred: o.Barred, opened: newOpenTokens(),
		workers: make(chan struct{}, refreshWorkers),
		flights: make(map[Key]*flight), pauses: make(map[Key]pause),
	}
	r.working, r.stopWorks = context.WithCancel(context.Background())
	r.waiting, r.stopWaiting = context.WithCancel(r.working)
	return r
}

// join returns the refresh of s that is under way, and begins it where there is
// none. An error says why none is begun now.
func (r *renewer) join(s *Session, now time.Time) (*flight, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[s.Key()]; f != nil {
		return f, nil
	}
	p, paused := r.pauses[s.Key()]
	switch {
	case paused && p.generation == s.Grant.Generation && now.Before(p.until):
		return nil, p.err
	case r.closed:
		return nil, errClosing
	case len(r.flights) >= maxFlights:
		return nil, errBusy
	}
	delete(r.pauses, s.Key())
	f := &flight{began: now, done: make(chan struct{})}
	r.flights[s.Key()] = f
	r.running.Go(func() { r.fly(f, s) })
	return f, nil
}

// fly runs a refresh to its end.
func (r *renewer) fly(f *flight, s *Session) {
	var again time.Time
	select {
	case r.workers <- struct{}{}:
		f.session, again, f.err = r.renew(s)
		<-r.workers
	case <-r.waiting.Done():
		f.err = errClosing
	}
	r.mu.Lock()
	delete(r.flights, s.Key())
	if !again.IsZero() {
		r.setPause(s, pause{s.Grant.Generation, again, f.err})
	}
	r.mu.Unlock()
	close(f.done)
}

// setPause remembers a pause. The caller holds the lock.
func (r *renewer) setPause(s *Session, p pause) {
	if len(r.pauses) >= maxPauses {
		now := time.Now()
		for key, old := range r.pauses {
			if !now.Before(old.until) {
				delete(r.pauses, key)
			}
		}
	}
	if len(r.pauses) < maxPauses {
		r.pauses[s.Key()] = p
	}
}

// wait returns what became of the refresh.
func (f *flight) wait(ctx context.Context) (*Session, error) {
	timer := time.NewTimer(time.Until(f.began.Add(waitLimit)))
	defer timer.Stop()
	select {
	case <-f.done:
		return f.session, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, errSlow
	}
}

// close begins no more refreshes and waits for those that are under way, with
// patience.
func (r *renewer) close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stopWaiting()
	impatience := time.AfterFunc(farewellLimit, r.stopWorks)
	r.running.Wait()
	impatience.Stop()
	r.stopWorks()
}
