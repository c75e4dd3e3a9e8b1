// Package valkeystore keeps sessions in Valkey, for any number of gateways: one
// server, a Sentinel group, or a Valkey Cluster. It owns the layout there, the
// near cache that answers from memory what Valkey's push invalidation keeps
// true, and the deadlines that keep a store in trouble from becoming the
// gateway's. What a record holds is package session's codec.
//
// Three answers are kept apart: found, session.ErrNotFound, and any other
// error, which means that nobody can tell now.
package valkeystore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/session"
)

// Options say where sessions are kept.
type Options struct {
	Valkey config.Valkey
	Cache  config.Cache
	Log    *zap.Logger // for background work; nil: no log
	// Observe hears of every call to Valkey that was made under a context; may be nil.
	Observe func(ctx context.Context, operation string, took time.Duration, class Class)
	// Revoked hears how long after its revocation a session was denied that the
	// near cache had; may be nil.
	Revoked func(after time.Duration)
	// Offline reads and checks every file without connecting. Every call fails.
	Offline bool
}

// OptionError is a fault of one key of session.valkey that only reading files
// finds.
type OptionError struct {
	Path string // below session.valkey
	Err  error
}

// Error implements error.
func (e *OptionError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *OptionError) Unwrap() error { return e.Err }

// Store is a session.Store, session.Records and session.Feeds in Valkey. It is
// safe for concurrent use.
type Store struct {
	cfg       config.Valkey
	cache     config.Cache
	addresses []config.ValkeyAddress
	log       *zap.Logger
	observe   func(ctx context.Context, operation string, took time.Duration, class Class)
	revoked   func(after time.Duration)

	layout layout
	codec  codec
	dialer *dialer
	near   *near // nil: no cache

	client   atomic.Pointer[client] // nil until the first connection
	breakers [breakerCount]breaker
	slots    chan struct{} // calls under way
	waiters  chan struct{} // those of them that wait for a replica

	mu       sync.Mutex
	fault    error     // why the store can't be used now; nil when it can
	since    time.Time // of the fault
	logged   time.Time
	closed   bool
	renewing bool
	renewed  time.Time   // when the last attempt at another client ended
	faulty   atomic.Bool // fault is not nil

	unwritable  atomic.Bool // the last write was refused
	replicated  atomic.Bool // there are replicas to wait for
	revocations revocations
	settled     time.Duration // after which what was read from a feed is on every replica
	cancel      context.CancelFunc
	done        <-chan struct{} // closed by cancel
	background  sync.WaitGroup
	tried       sync.Once
	attempted   chan struct{} // closed after the first attempt to connect
}

var (
	_ session.Store   = (*Store)(nil)
	_ session.Records = (*Store)(nil)
	_ session.Feeds   = (*Store)(nil)
)

// maxCalls bounds the calls that are under way at once. Who comes later waits
// for one to end, within the deadline.
const maxCalls = 1024

// patience is how long Open waits for the first attempt to connect, so that a
// gateway whose store is there never starts with an outage.
const patience = time.Second

// Open checks the options and starts to connect. A store that can't be reached
// is no error: calls fail until it can, and Ping tells why. A file that can't be
// used is an *OptionError.
func Open(o Options) (*Store, error) {
	addresses, err := o.Valkey.Addresses()
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	s := &Store{
		cfg: o.Valkey, cache: o.Cache, addresses: addresses, log: o.Log, observe: o.Observe, revoked: o.Revoked,
		layout: layout{prefix: o.Valkey.KeyPrefix},
		slots:  make(chan struct{}, maxCalls), waiters: make(chan struct{}, maxWaiters),
		fault: errConnecting, since: time.Now(), settled: keepRevocations,

		attempted: make(chan struct{}),
	}
	s.faulty.Store(true)
	if s.observe == nil {
		s.observe = func(context.Context, string, time.Duration, Class) {}
	}
	if s.revoked == nil {
		s.revoked = func(time.Duration) {}
	}
	if s.dialer, err = newDialer(o.Valkey, addresses[0]); err != nil {
		return nil, err
	}
	if o.Cache.MaxBytes > 0 {
		s.near = newNear(s.layout, o.Cache.MaxBytes, o.Cache.MaxStaleness)
	}
	s.revocations.changed = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.done = cancel, ctx.Done()
	if !o.Offline {
		s.background.Go(func() { s.connect(ctx) })
		s.background.Go(func() { s.repeatRevocations(ctx) })
		select {
		case <-s.attempted:
		case <-time.After(patience):
		}
	}
	return s, nil
}

// Close lets go of the connections. Calls under way may fail.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.background.Wait()
	if c := s.client.Load(); c != nil {
		c.Close()
	}
	return nil
}

// Ping reports whether the store can answer now. The error tells at which step
// it fails.
func (s *Store) Ping(ctx context.Context) error {
	h := handleOf(session.Key{})
	_, err := call(ctx, s, "ping", h, func(ctx context.Context, c valkey.Client) (int64, error) {
		return c.Do(ctx, c.B().Exists().Key(s.layout.session(h)).Build()).AsInt64()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	// A part of a cluster can be down while this call was answered.
	if s.fault != nil && (err == nil || errors.Is(err, errUnavailable)) {
		return s.fault
	}
	return err
}

// setFault remembers why the store can't be used, and logs changes.
func (s *Store) setFault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setFaultLocked(err)
}

// remindEvery is how often an outage that goes on is logged again.
const remindEvery = time.Minute

func (s *Store) setFaultLocked(err error) {
	known := s.fault != nil && !errors.Is(s.fault, errConnecting)
	switch {
	case err == nil && known:
		s.log.Info("the session store answers again")
	case err != nil && (!known || stepOf(s.fault) != stepOf(err) || time.Since(s.logged) > remindEvery):
		s.logLocked(err)
	}
	if s.fault == nil {
		s.since = time.Now()
	}
	s.fault = err
	s.faulty.Store(err != nil)
}

func (s *Store) logLocked(err error) {
	s.log.Error("the session store can't be used", zap.String("step", string(stepOf(err))), zap.Error(err))
	s.logged = time.Now()
}

// complain logs that the server refuses to serve, as in a failover, where it
// may answer other calls.
func (s *Store) complain(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.logged) > remindEvery/6 {
		s.logLocked(err)
	}
}

// Stats are figures of the near cache since the start. Without one they are 0.
type Stats struct {
	Entries, Bytes                                  int64
	Hits, Misses, Invalidations, Flushes, Evictions uint64
}

// Stats reads the figures.
func (s *Store) Stats() Stats {
	if s.near == nil {
		return Stats{}
	}
	st := Stats{
		Invalidations: s.near.invalidations.Load(), Flushes: s.near.flushes.Load(), Evictions: s.near.evictions.Load(),
	}
	st.Entries, st.Bytes, st.Hits, st.Misses = s.near.count()
	return st
}

// Available reports whether the store answered when it was last asked.
func (s *Store) Available() bool { return !s.faulty.Load() }

// Writable reports whether it did, and took the last write.
func (s *Store) Writable() bool { return s.Available() && !s.unwritable.Load() }

// FailingSince returns since when the store is known not to answer; the zero
// time where it does.
func (s *Store) FailingSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		return time.Time{}
	}
	return s.since
}
