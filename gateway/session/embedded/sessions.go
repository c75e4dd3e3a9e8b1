package embedded

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/gateway/session"
)

// Create implements session.Store.
func (s *Store) Create(ctx context.Context, in *session.Session) error {
	fresh := in.Clone()
	fresh.Version = 1
	kept, err := encode(fresh, time.Now().UnixNano())
	if err != nil {
		return err
	}
	sh := s.shard(in.Key())
	if err := sh.acquire(ctx); err != nil {
		return err
	}
	sh.mu.Lock()
	if old := sh.table.get(in.Key()); old != nil {
		if !old.expired(time.Now()) {
			sh.mu.Unlock()
			sh.release()
			return session.ErrConflict
		}
		s.remove(sh, old, &op{})
	}
	tokens := append([]byte{}, in.Tokens()...) // not nil: a session before this one had others
	answer := s.change(&op{
		write: func(tx *bolt.Tx) error { return putSession(tx, in.Key(), kept.encode(in.Key()), tokens) },
		done: func(err error) {
			defer sh.release()
			if err != nil {
				return
			}
			sh.mu.Lock()
			defer sh.mu.Unlock()
			s.add(sh, newEntry(in.Key(), &kept), &kept, time.Now())
			s.keepTokens(sh, in.Key(), tokens)
		},
	})
	sh.mu.Unlock()
	return s.wait(ctx, answer)
}

func encode(fresh *session.Session, seen int64) (stored, error) {
	record, err := session.Marshal(fresh)
	if err != nil {
		return stored{}, err
	}
	issuer := fresh.Identity.Issuer
	return stored{
		expires: fresh.ExpiresAt().UnixNano(), idle: int64(fresh.IdleTimeout), created: fresh.Created, seen: seen,
		subject: hashPair(issuer, fresh.Identity.Subject), provider: hashPair(issuer, fresh.Identity.ProviderSession),
		record: string(record),
	}, nil
}

// keepTokens keeps tokens where there is no file for them. nil changes nothing.
func (s *Store) keepTokens(sh *shard, key session.Key, tokens []byte) {
	switch {
	case s.file != nil || tokens == nil:
	case len(tokens) == 0:
		delete(sh.tokens, key)
	default:
		if sh.tokens == nil {
			sh.tokens = make(map[session.Key][]byte)
		}
		sh.tokens[key] = tokens
	}
}

// Get implements session.Store. A session in use costs no lock, no allocation
// and no decoding.
func (s *Store) Get(_ context.Context, key session.Key) (*session.Session, error) {
	e := s.lookUp(key, time.Now())
	if e == nil {
		return nil, session.ErrNotFound
	}
	return s.read(s.shard(key), e, true)
}

// Update implements session.Store. change runs without a lock, and again when
// another update was faster.
func (s *Store) Update(ctx context.Context, key session.Key, change func(*session.Session) error) (*session.Session, error) {
	for {
		base, err := s.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		fresh := base.Clone()
		if err := change(fresh); err != nil {
			return nil, err
		}
		fresh.Identity.Ref, fresh.Version, fresh.Created = key, base.Version+1, base.Created
		updated, err := s.replace(ctx, base.Version, fresh)
		if !errors.Is(err, session.ErrConflict) {
			return updated, err
		}
	}
}

// replace keeps fresh in the place of the version base; ErrConflict when that
// is no longer the current one.
func (s *Store) replace(ctx context.Context, base uint64, fresh *session.Session) (*session.Session, error) {
	kept, err := encode(fresh, 0)
	if err != nil {
		return nil, err
	}
	updated, err := session.UnmarshalString(fresh.Key(), kept.record)
	if err != nil {
		return nil, err
	}
	var tokens []byte // nil leaves those that are kept
	if fresh.SealedTokens != nil {
		tokens = append([]byte{}, fresh.Tokens()...)
	}
	sh := s.shard(fresh.Key())
	if err := sh.acquire(ctx); err != nil {
		return nil, err
	}
	sh.mu.Lock()
	e, err := s.current(sh, fresh.Key(), base)
	if err != nil {
		sh.mu.Unlock()
		sh.release()
		return nil, err
	}
	kept.seen = e.seen.Load()
	gone := false
	answer := s.change(&op{
		write: func(tx *bolt.Tx) error { return putSession(tx, fresh.Key(), kept.encode(fresh.Key()), tokens) },
		done: func(err error) {
			defer sh.release()
			sh.mu.Lock()
			defer sh.mu.Unlock()
			// Deleted meanwhile: that is queued behind this change.
			if gone = e.gone.Load(); gone || err != nil {
				return
			}
			e.record, e.idle = kept.record, kept.idle
			e.expires.Store(kept.expires)
			e.decoded.Store(updated)
			s.subjects.move(e, kept.subject)
			s.providers.move(e, kept.provider)
			s.keepTokens(sh, e.key, tokens)
		},
	})
	sh.mu.Unlock()
	if err := s.wait(ctx, answer); err != nil {
		return nil, err
	}
	if gone {
		return nil, session.ErrNotFound
	}
	return updated, nil
}

// current returns the live entry under key if it has the given version. The
// caller holds the shard's lock.
func (s *Store) current(sh *shard, key session.Key, version uint64) (*entry, error) {
	e := sh.table.get(key)
	if e == nil || e.expired(time.Now()) {
		return nil, session.ErrNotFound
	}
	live, err := readLocked(e, true)
	if err != nil {
		return nil, err
	}
	if live.Version != version {
		return nil, session.ErrConflict
	}
	return e, nil
}

// change queues o, whose done runs with the result before the answer is given.
// The caller holds the lock of the shard, so that the queue has the order of
// memory, and waits after letting it go.
func (s *Store) change(o *op) *pending {
	p := &pending{done: o.done}
	if s.file == nil {
		return p
	}
	p.answer = make(chan error, 1)
	o.done = func(err error) {
		p.done(err)
		p.answer <- err
	}
	s.file.enqueue(o)
	return p
}

// pending is a change on its way. Without a file it is done by whoever waits.
type pending struct {
	done   func(error)
	answer chan error
}

func (s *Store) wait(ctx context.Context, p *pending) error {
	if s.file == nil {
		p.done(nil)
		return nil
	}
	return s.file.wait(ctx, p.answer)
}

// Touch implements session.Store. It is in force at once and in the file within
// a second or so.
func (s *Store) Touch(_ context.Context, key session.Key, at time.Time) error {
	e := s.lookUp(key, time.Now())
	if e == nil {
		return session.ErrNotFound
	}
	if at.Unix() > 0 && raise(&e.seen, at.UnixNano()) && s.file != nil {
		s.file.touch(e)
	}
	return nil
}

// LastSeen implements session.Store.
func (s *Store) LastSeen(_ context.Context, key session.Key) (time.Time, error) {
	e := s.lookUp(key, time.Now())
	if e == nil {
		return time.Time{}, session.ErrNotFound
	}
	return time.Unix(0, e.seen.Load()), nil
}

// Tokens implements session.Store. They are read from the file each time: they
// are large, and wanted rarely.
func (s *Store) Tokens(_ context.Context, key session.Key) (tokens []byte, err error) {
	e := s.lookUp(key, time.Now())
	if e == nil {
		return nil, session.ErrNotFound
	}
	if s.file == nil {
		sh := s.shard(key)
		sh.mu.Lock()
		defer sh.mu.Unlock()
		return bytes.Clone(sh.tokens[key]), nil
	}
	err = s.file.view(func(tx *bolt.Tx) error {
		tokens = bytes.Clone(inTokens(tx).Get(key[:]))
		return nil
	})
	return tokens, err
}

// List implements session.Store.
func (s *Store) List(ctx context.Context, f session.Filter) ([]session.Listed, error) {
	switch {
	case f.Issuer == "" && (f.Subject != "" || f.ProviderSession != ""):
		return nil, errors.New("session store: a subject or provider session is listed with its issuer only")
	case f.Subject != "":
		return s.list(nil, s.subjects.find(hashPair(f.Issuer, f.Subject)), f)
	case f.ProviderSession != "":
		return s.list(nil, s.providers.find(hashPair(f.Issuer, f.ProviderSession)), f)
	}
	var listed []session.Listed
	for i := int(f.After[0]); i < shardCount; i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if listed, err = s.list(listed, slices.Collect(s.shards[i].table.all()), f); err != nil {
			return nil, err
		}
		if f.Limit > 0 && len(listed) >= f.Limit {
			break
		}
	}
	return listed, nil
}

// list appends those of entries that match, in the order of keys, up to the limit.
func (s *Store) list(listed []session.Listed, entries []*entry, f session.Filter) ([]session.Listed, error) {
	slices.SortFunc(entries, func(a, b *entry) int { return bytes.Compare(a.key[:], b.key[:]) })
	now := time.Now()
	for _, e := range entries {
		if f.Limit > 0 && len(listed) >= f.Limit {
			break
		}
		if bytes.Compare(e.key[:], f.After[:]) <= 0 && f.After != (session.Key{}) || e.expired(now) {
			continue
		}
		// Not kept in memory: nobody is using most of these.
		live, err := s.read(s.shard(e.key), e, false)
		switch {
		case errors.Is(err, session.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		case !f.Matches(live):
			continue
		}
		listed = append(listed, session.Listed{Session: live, LastSeen: time.Unix(0, e.seen.Load())})
	}
	return listed, nil
}
