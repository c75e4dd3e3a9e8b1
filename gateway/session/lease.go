package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// Of all gateways, the one that holds the lease of a session may redeem its
// refresh token. The lease is a record: whoever changes it names the version that
// he saw, so that the version is the fence of its holder. A holder who dies lets
// it run out.
const (
	kindLease = "refresh"
	leaseLife = 5 * time.Second
	// leaseRenewal leaves room for one write that fails.
	leaseRenewal = leaseLife / 3
	// releasedLife keeps a record that says nothing until nobody can be in doubt.
	releasedLife = time.Second

	firstPoll = 50 * time.Millisecond
	lastPoll  = 500 * time.Millisecond
	// acquireLimit is how long the holder of a lease is waited for.
	acquireLimit = 30 * time.Second
)

// errHeld: another gateway has the lease.
var errHeld = errors.New("session: another gateway renews the tokens")

// pausedError: the provider was in trouble, and is left alone until then.
type pausedError struct{ until time.Time }

func (e *pausedError) Error() string {
	return "session: the provider could not renew the tokens, and is not asked again yet"
}

// leaseState is what the record says.
type leaseState struct {
	Owner      string    `json:"owner,omitempty"` // empty: nobody has it
	Generation uint32    `json:"generation"`      // of the tokens that NotBefore is about
	Failures   int       `json:"failures,omitempty"`
	NotBefore  time.Time `json:"not_before,omitzero"`
}

// lease is a lease that was taken.
type lease struct {
	records  Records
	name     string
	state    leaseState
	failures int // of those who had it before, for the same tokens

	mu      sync.Mutex
	version uint64    // the fence
	until   time.Time // by this process's clock, counted from before it asked
	lost    bool
}

// acquire takes the lease, or waits while another has it. It returns the session
// instead where that was renewed meanwhile, ErrNotFound when it was ended, and a
// *pausedError when the provider is to be left alone.
func (r *renewer) acquire(ctx context.Context, key Key, generation uint32) (*lease, *Session, error) {
	ctx, cancel := context.WithTimeout(ctx, acquireLimit)
	defer cancel()
	for wait := firstPoll; ; wait = min(wait*3/2, lastPoll) {
		l, err := takeLease(ctx, r.records, key, generation)
		if !errors.Is(err, errHeld) {
			return l, nil, err
		}
		if !sleep(ctx, jittered(wait)) {
			return nil, nil, errHeld
		}
		current, err := r.look(ctx, key)
		if err != nil || current.Grant.Generation != generation {
			return nil, current, err
		}
	}
}

func takeLease(ctx context.Context, records Records, key Key, generation uint32) (*lease, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	l := &lease{records: records, name: hex.EncodeToString(key[:])}
	found, err := records.LoadRecord(ctx, kindLease, l.name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	var before leaseState
	if err == nil {
		if json.Unmarshal(found.Value, &before) != nil {
			return nil, errHeld // of a release that writes it in another way
		}
		if before.Owner != "" {
			return nil, errHeld
		}
	}
	if before.Generation == generation {
		if time.Now().Before(before.NotBefore) {
			return nil, &pausedError{before.NotBefore}
		}
		l.failures = before.Failures
	}
	l.state = leaseState{Owner: rand.Text(), Generation: generation}
	l.version = found.Version
	err = l.write(ctx, l.state, leaseLife)
	if errors.Is(err, ErrConflict) {
		return nil, errHeld
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// write changes the record where it is still as this holder left it. A lease that
// has run out is not written to: another may have it, under the same version.
func (l *lease) write(ctx context.Context, s leaseState, life time.Duration) error {
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	end := time.Now().Add(life)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost = l.lost || !l.until.IsZero() && !time.Now().Before(l.until); l.lost {
		return ErrConflict
	}
	version, err := l.records.SaveRecord(ctx, kindLease, l.name, l.version, value, end)
	switch {
	case err == nil:
		l.version, l.until = version, end
	case errors.Is(err, ErrConflict):
		l.lost = true
	}
	return err
}

// hold keeps the lease from running out until stop is called. A renewal that is
// under way then is waited for: its version is the one that release has to name.
func (l *lease) hold() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for held := true; held; {
			held = sleep(ctx, leaseRenewal) && l.extend()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// extend reports whether the lease may still be this holder's.
func (l *lease) extend() bool {
	ctx, cancel := context.WithTimeout(context.Background(), leaseRenewal)
	defer cancel()
	return !errors.Is(l.write(ctx, l.state, leaseLife), ErrConflict)
}

// release gives the lease back, and says when the next may try. A holder who lost
// it, or can't reach the store, leaves it as it is.
func (l *lease) release(s leaseState) {
	life := releasedLife
	if !s.NotBefore.IsZero() {
		// The number of failures outlives the pause, so that the next one is longer.
		life = time.Until(s.NotBefore) + 2*lastBackoff
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	_ = l.write(ctx, s, life)
}
