// Package jwks knows the keys of token issuers: it finds the key set (by
// configuration or by OpenID Connect Discovery), fetches it, keeps it fresh and
// survives the issuer's outages. It leaves what a key set and a key are to package
// jose, and who is an issuer to the configuration.
//
// One goroutine per issuer does all fetching. Requests read an immutable set
// and never wait for a refresh; only a token with an unknown key, and those that
// come before the first set, wait for a fetch, and a limit shared by all of
// them says how often that may happen.
package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/jose"
)

// ErrUnavailable says that nothing can be said about a key, because no good key
// set is known or the issuer could not be asked. It is an outage, never a
// refusal of the token.
var ErrUnavailable = errors.New("no key set is available")

// ErrUnknownKey says that the key set is good and has no such key: the token is
// refused.
var ErrUnknownKey = errors.New("the key set has no such key")

// The defaults of Options.
const (
	DefaultMinRefresh         = 5 * time.Minute
	DefaultMaxRefresh         = time.Hour
	DefaultMaxStale           = 24 * time.Hour
	DefaultUnknownKeyInterval = 30 * time.Second
)

const (
	firstWait    = 2 * time.Second // how long a request waits for the first set
	maxAbsent    = 1024            // key ids remembered as absent
	maxBackoff   = time.Minute
	minBackoff   = time.Second
	leastRefresh = 500 * time.Millisecond // between two fetches that only MaxStale wants so soon
)

// Options describe one issuer. Zero durations take the defaults.
type Options struct {
	Issuer string
	// JWKSURL is where the key set is; empty = found by discovery from Issuer.
	// Who has learned it from a document calls Run under Metadata.Context.
	JWKSURL string
	Client  *http.Client
	// Algorithms limits what keys are asked for; empty is no limit. A set
	// without a key for any of them is not a good set.
	Algorithms   []string
	InsecureHTTP bool // http also to hosts that are not on loopback
	Log          *zap.Logger
	// OnFetch hears the result of every fetch: ok, not_modified, error (no
	// answer, or not 200) or rejected (an answer that is no usable key set).
	OnFetch func(result string)

	MinRefresh time.Duration // the set is not fetched more often than this, whatever Cache-Control says
	MaxRefresh time.Duration // nor less often; it bounds how long a withdrawn key goes on working
	MaxStale   time.Duration // how long the last good set is used while fetching fails; it is asked for twice as often, at least
	// UnknownKeyInterval is the least time between two fetches that tokens
	// with unknown keys cause.
	UnknownKeyInterval time.Duration
}

// Source is the keys of one issuer. It is safe for concurrent use.
type Source struct {
	o        Options
	static   bool
	current  atomic.Pointer[snapshot]
	wake     chan struct{} // asks Run for a fetch now
	stopped  chan struct{} // closed when Run has ended
	stopOnce sync.Once

	mu        sync.Mutex
	running   *round // the fetch in flight, or the first one that is to come
	asked     *round // the fetch that tokens with unknown keys wait for
	lastAsked time.Time
	absent    map[keyName]time.Time // until when a key is taken to be absent without asking
	lastError string

	fetcher fetcher // Run's alone
}

// snapshot is a good key set. It is immutable.
type snapshot struct {
	set        *jose.KeySet
	confirmed  time.Time // when the issuer last said that this is its set
	generation uint64
	sum        [32]byte // of the body
	url, etag  string
}

type round struct {
	done chan struct{}
	err  error // read after done
}

func newRound() *round { return &round{done: make(chan struct{})} }

type keyName struct{ kid, alg string }

// New makes the source of an issuer's keys. It fetches nothing: Run does.
func New(o Options) *Source {
	if o.Client == nil {
		o.Client = newClient(nil)
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.OnFetch == nil {
		o.OnFetch = func(string) {}
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.MinRefresh, DefaultMinRefresh},
		{&o.MaxRefresh, DefaultMaxRefresh},
		{&o.MaxStale, DefaultMaxStale},
		{&o.UnknownKeyInterval, DefaultUnknownKeyInterval},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	o.MaxRefresh = max(o.MaxRefresh, o.MinRefresh)
	// A set that is asked for only once it is too old would be an outage without
	// a cause.
	soonEnough := max(o.MaxStale/2, leastRefresh)
	o.MinRefresh, o.MaxRefresh = min(o.MinRefresh, soonEnough), min(o.MaxRefresh, soonEnough)
	return &Source{
		o:       o,
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
		running: newRound(),
		absent:  make(map[keyName]time.Time),
	}
}

// Static makes a source of keys that are configured and never fetched.
func Static(set *jose.KeySet) *Source {
	s := New(Options{})
	s.static = true
	if set.Len() > 0 {
		s.current.Store(&snapshot{set: set, confirmed: time.Now(), generation: 1})
	}
	return s
}

// Key returns the key for a token's kid and alg. It takes no lock and does not
// wait where the key is known.
//
// An unknown key causes a fetch, at most one per UnknownKeyInterval whoever
// asks; callers wait for it as long as their context lives. When none may be
// made now, the key is unknown, or unavailable while fetching fails. Before the
// first set has come, Key waits up to two seconds for a fetch that is under way, or
// is to begin within them.
//
// Errors are ErrUnknownKey (refuse the token) and ErrUnavailable (an outage).
func (s *Source) Key(ctx context.Context, kid, alg string) (*jose.Key, error) {
	if len(s.o.Algorithms) > 0 && !slices.Contains(s.o.Algorithms, alg) {
		return nil, ErrUnknownKey
	}
	// 1. A good set, or an outage.
	if s.current.Load() == nil {
		if err := s.awaitFirst(ctx); err != nil {
			return nil, err
		}
	}
	set := s.good()
	if set == nil {
		return nil, ErrUnavailable
	}
	// 2. The key in it.
	if k, ok := set.set.Find(kid, alg); ok {
		return k, nil
	}
	// 3. Or the issuer has new keys.
	r, err := s.ask(keyName{kid, alg})
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, r, nil); err != nil {
		return nil, err
	}
	if set = s.good(); set == nil {
		return nil, ErrUnavailable
	}
	if k, ok := set.set.Find(kid, alg); ok {
		return k, nil
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, r.err)
	}
	s.rememberAbsent(keyName{kid, alg})
	return nil, ErrUnknownKey
}

// good returns the current set unless it is too old to be believed.
func (s *Source) good() *snapshot {
	now := s.current.Load()
	if now == nil || !s.static && time.Since(now.confirmed) > s.o.MaxStale {
		return nil
	}
	return now
}

func (s *Source) awaitFirst(ctx context.Context) error {
	s.mu.Lock()
	r := s.running
	s.mu.Unlock()
	if r == nil || s.static {
		return ErrUnavailable
	}
	timer := time.NewTimer(firstWait)
	defer timer.Stop()
	return s.await(ctx, r, timer.C)
}

func (s *Source) await(ctx context.Context, r *round, limit <-chan time.Time) error {
	select {
	case <-r.done:
		return nil
	case <-s.stopped:
		return ErrUnavailable
	case <-limit:
		return ErrUnavailable
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// ask returns the fetch to wait for. Where none may be made for this key now,
// the key is unknown, unless the issuer did not answer the last one.
func (s *Source) ask(name keyName) (*round, error) {
	if s.static {
		return nil, ErrUnknownKey
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Before(s.absent[name]) {
		return nil, ErrUnknownKey
	}
	if s.asked != nil {
		return s.asked, nil
	}
	if !s.lastAsked.IsZero() && now.Sub(s.lastAsked) < s.o.UnknownKeyInterval {
		if s.lastError != "" {
			return nil, fmt.Errorf("%w: %s", ErrUnavailable, s.lastError)
		}
		return nil, ErrUnknownKey
	}
	s.lastAsked = now
	s.asked = newRound()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return s.asked, nil
}

// rememberAbsent keeps a client with an outdated token from causing a fetch
// in every interval. It forgets soon: an issuer may publish a key after it has
// begun to sign with it.
func (s *Source) rememberAbsent(name keyName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.absent) >= maxAbsent {
		for other, until := range s.absent {
			if now.After(until) {
				delete(s.absent, other)
			}
		}
	}
	if len(s.absent) < maxAbsent {
		s.absent[name] = now.Add(2 * s.o.UnknownKeyInterval)
	}
}

// Ready reports whether a good key set is known.
func (s *Source) Ready() bool { return s.good() != nil }

// Generation counts the sets: it changes when the keys do, and is 0 while no
// good set is known. A cache of verified tokens keeps it beside each token.
func (s *Source) Generation() uint64 {
	if set := s.good(); set != nil {
		return set.generation
	}
	return 0
}

// Status is what operators see of a source.
type Status struct {
	Issuer     string
	Keys       int       // that can be used
	FetchedAt  time.Time // when the issuer last confirmed the set; zero = never
	LastError  string    // the class of the last fetch's failure, one word; empty = it went well
	Generation uint64    // 0 = no good set
}

// Status returns how the source is doing.
func (s *Source) Status() Status {
	st := Status{Issuer: s.o.Issuer, Generation: s.Generation()}
	if set := s.current.Load(); set != nil {
		st.Keys, st.FetchedAt = set.set.Len(), set.confirmed
	}
	s.mu.Lock()
	st.LastError = s.lastError
	s.mu.Unlock()
	return st
}
