package valkeystore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/sallyport/sallyport/gateway/session"
)

// flight is one read of a session that any number of requests wait for.
type flight struct {
	done    chan struct{}
	session *session.Session
	err     error
}

// Get implements session.Store. A session in the near cache costs no round
// trip, no decoding and no allocation. Otherwise all who ask at once wait for
// one read.
func (s *Store) Get(ctx context.Context, key session.Key) (*session.Session, error) {
	if s.near == nil {
		return s.read(ctx, key)
	}
	live, stale, answer := s.near.get(key)
	if stale != nil {
		s.prove(stale, key)
	}
	switch answer {
	case found:
		return live, nil
	case foundAbsent:
		return nil, session.ErrNotFound
	case missed:
	}
	f := s.join(ctx, key)
	select {
	case <-f.done:
		return f.session, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join returns the flight that reads key, and begins it where there is none. Its
// end is bounded by the deadline of calls.
func (s *Store) join(ctx context.Context, key session.Key) *flight {
	sh := s.near.shard(handleOf(key))
	sh.misses.Add(1)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if f := sh.flights[key]; f != nil {
		return f
	}
	f := &flight{done: make(chan struct{})}
	sh.flights[key] = f
	// Not ended by the request that happens to be the first to wait.
	go s.fly(context.WithoutCancel(ctx), key, f)
	return f
}

func (s *Store) fly(ctx context.Context, key session.Key, f *flight) {
	f.session, f.err = s.read(ctx, key)
	sh := s.near.shard(handleOf(key))
	sh.mu.Lock()
	if sh.flights[key] == f {
		delete(sh.flights, key)
	}
	sh.mu.Unlock()
	close(f.done)
}

// state is what lies beside a session.
type state struct {
	seen    time.Time // zero: unknown
	revoked time.Time // zero: not
}

// read asks Valkey, and lets the near cache keep what it says.
func (s *Store) read(ctx context.Context, key session.Key) (*session.Session, error) {
	h := handleOf(key)
	beside := make(chan struct{})
	var st state
	var stateErr error
	// Both questions travel together. A revocation changes both keys at once,
	// and the session's is watched, so it does not matter which comes first.
	go func() {
		defer close(beside)
		st, stateErr = s.state(ctx, h)
	}()
	value, err := s.fetch(ctx, "get", h)
	<-beside
	absent := errors.Is(err, session.ErrNotFound)
	switch {
	case err != nil && !absent:
		return nil, err
	case stateErr != nil:
		return nil, stateErr
	case !st.revoked.IsZero():
		s.learn(key, st.revoked, !absent)
		return nil, session.ErrNotFound
	case absent:
		return nil, session.ErrNotFound
	}
	live, size, err := s.codec.unpack(h, value)
	if err != nil {
		return nil, fmt.Errorf("session %s at %s: %w", key, s.layout.session(h), err)
	}
	if live.Key() != key || live.Expired(time.Now()) {
		return nil, session.ErrNotFound
	}
	live.SeenAt(st.seen)
	if s.near != nil {
		s.near.vouch(h, value, live, size)
	}
	return live, nil
}

// fetch reads the value of a session by way of the client-side cache, which
// watches it from then on. The time to live there is the near cache's affair.
func (s *Store) fetch(ctx context.Context, operation string, h handle) (string, error) {
	return call(ctx, s, operation, h, func(ctx context.Context, c valkey.Client) (string, error) {
		return orNotFound(c.DoCache(ctx, c.B().Get().Key(s.layout.session(h)).Cache().ToStaticTTL(), time.Hour).ToString())
	})
}

// orNotFound makes Valkey's nil the definite answer that it is.
func orNotFound[T any](v T, err error) (T, error) {
	if valkey.IsValkeyNil(err) {
		err = session.ErrNotFound
	}
	return v, err
}

// state reads what is known of a session beside its record.
func (s *Store) state(ctx context.Context, h handle) (state, error) {
	return call(ctx, s, "state", h, func(ctx context.Context, c valkey.Client) (st state, err error) {
		answers := c.DoMulti(ctx,
			c.B().Zscore().Key(s.layout.activity(h)).Member(h.member()).Build(),
			c.B().Get().Key(s.layout.tombstone(h)).Build())
		us, err := answers[0].AsFloat64()
		if err != nil && !valkey.IsValkeyNil(err) {
			return state{}, err
		}
		if err == nil {
			st.seen = time.UnixMicro(int64(us))
		}
		ms, err := answers[1].AsInt64()
		if err != nil && !valkey.IsValkeyNil(err) {
			return state{}, err
		}
		if err == nil {
			st.revoked = time.UnixMilli(ms)
		}
		return st, nil
	})
}

// prove asks for a sign of life of a link by reading again a session that came
// over it, off the request's path. While the store does not answer, what is
// cached goes on to count until maxStaleness.
func (s *Store) prove(l *link, key session.Key) {
	now, last := s.near.clock(), l.asked.Load()
	if now-last < int64(s.cache.MaxStaleness)/(4*proofs) || !l.asked.CompareAndSwap(last, now) {
		return
	}
	// Its only use is what the link learns on the way.
	go func() { _, _ = s.fetch(context.Background(), "prove", handleOf(key)) }()
}
