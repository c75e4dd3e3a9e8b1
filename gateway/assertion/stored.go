package assertion

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"
)

// Store keeps the ring where all gateways find it. It seals what it is given.
type Store interface {
	// Load returns the ring and its version. ErrAbsent says that there is none,
	// ErrUnopened that it can't be opened; anything else is an outage.
	Load(ctx context.Context) (plain []byte, version uint64, err error)
	// Save keeps the ring if the store still has that version, where 0 means
	// none; ErrConflict otherwise.
	Save(ctx context.Context, plain []byte, version uint64) error
}

// StoredOptions are what NewStored needs.
type StoredOptions struct {
	Store     Store
	Algorithm string // of new keys
	// Longest is the longest life of anything that is signed.
	Longest time.Duration
	Log     *zap.Logger // nil logs nothing
}

// NewStored returns the ring that all gateways of a store share. It has no keys
// before Refresh or Run.
func NewStored(o StoredOptions) *Ring {
	return newRing(&stored{
		store: o.Store, algorithm: o.Algorithm,
		// Another gateway may sign with a key until its next look.
		keep: o.Longest + PollInterval + skew,
	}, o.Log)
}

// stored is used by one goroutine at a time.
type stored struct {
	store     Store
	algorithm string
	keep      time.Duration

	started bool    // the configured algorithm was adopted
	last    *record // what the store was last known to keep
	plain   []byte  // of last
	made    *view   // of last
}

func (s *stored) load(ctx context.Context, now time.Time) (*view, error) {
	err := s.change(ctx, now, func(r *record) (bool, error) {
		if s.started {
			return false, nil
		}
		return r.adopt(s.algorithm, now, s.keep)
	})
	if err != nil {
		return nil, err
	}
	s.started = true
	if s.made == nil {
		s.made, err = s.last.view()
	}
	return s.made, err
}

func (s *stored) rotate(ctx context.Context, now time.Time, immediately bool) error {
	return s.change(ctx, now, func(r *record) (bool, error) { return r.rotate(now, immediately, s.keep) })
}

func (s *stored) retire(ctx context.Context, now time.Time, kid string, force bool) error {
	return s.change(ctx, now, func(r *record) (bool, error) { return true, r.drop(kid, now, force) })
}

// change applies what is due and then more, until the store has taken the
// result: of two gateways that change the ring at once, one does it again on
// what the other made.
func (s *stored) change(ctx context.Context, now time.Time, more func(*record) (bool, error)) error {
	for {
		r, plain, version, err := s.read(ctx)
		absent := errors.Is(err, ErrAbsent)
		switch {
		case absent && s.last != nil:
			r = s.last.clone() // the store has lost it; verifiers have not
		case absent:
			if r, err = newRecord(s.algorithm, now); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		due, err := r.advance(now, s.keep)
		if err != nil {
			return err
		}
		wanted, err := more(r)
		if err != nil {
			return err
		}
		if !absent && !due && !wanted {
			s.keepAs(r, plain)
			return nil
		}
		if plain, err = json.Marshal(r); err != nil {
			return err
		}
		err = s.store.Save(ctx, plain, version)
		if err == nil {
			s.keepAs(r, plain)
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

func (s *stored) read(ctx context.Context) (r *record, plain []byte, version uint64, err error) {
	if plain, version, err = s.store.Load(ctx); err != nil {
		return nil, nil, 0, err
	}
	r, err = decodeRecord(plain)
	return r, plain, version, err
}

func (s *stored) keepAs(r *record, plain []byte) {
	if !bytes.Equal(s.plain, plain) {
		s.made = nil
	}
	s.last, s.plain = r, plain
}
