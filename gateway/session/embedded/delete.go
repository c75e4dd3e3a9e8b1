package embedded

import (
	"context"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/gateway/session"
)

// Delete implements session.Store. The session is refused from the moment this
// is called. An error says that the file still has it: a restart before the
// disk works again would bring it back.
func (s *Store) Delete(ctx context.Context, key session.Key) error {
	_, err := s.deleteAll(ctx, []*entry{s.shard(key).table.get(key)}, nil)
	return err
}

// DeleteKeys implements session.Store, with errors as Delete.
func (s *Store) DeleteKeys(ctx context.Context, keys ...session.Key) (int, error) {
	entries := make([]*entry, len(keys))
	for i, key := range keys {
		entries[i] = s.shard(key).table.get(key)
	}
	return s.deleteAll(ctx, entries, nil)
}

// DeleteSubject implements session.Store, with errors as Delete.
func (s *Store) DeleteSubject(ctx context.Context, issuer, subject string) (int, error) {
	return s.deleteAll(ctx, s.subjects.find(hashPair(issuer, subject)), func(live *session.Session) bool {
		return live.Identity.Issuer == issuer && live.Identity.Subject == subject
	})
}

// DeleteProviderSession implements session.Store, with errors as Delete. An
// empty sid names no session.
func (s *Store) DeleteProviderSession(ctx context.Context, issuer, sid string) (int, error) {
	if sid == "" {
		return 0, nil
	}
	return s.deleteAll(ctx, s.providers.find(hashPair(issuer, sid)), func(live *session.Session) bool {
		return live.Identity.Issuer == issuer && live.Identity.ProviderSession == sid
	})
}

// DeleteBefore implements session.Store, with errors as Delete.
func (s *Store) DeleteBefore(ctx context.Context, t time.Time) (int, error) {
	var entries []*entry
	for i := range s.shards {
		for e := range s.shards[i].table.all() {
			if time.Unix(0, e.created).Before(t) {
				entries = append(entries, e)
			}
		}
	}
	return s.deleteAll(ctx, entries, nil)
}

// deleteAll removes the entries that are still there and match, first from
// memory and then from the file, and waits for the file. It counts those that
// had not expired.
func (s *Store) deleteAll(ctx context.Context, entries []*entry, match func(*session.Session) bool) (int, error) {
	now, n, queued := time.Now(), 0, 0
	answers := make(chan error, len(entries)+1)
	answer := func(err error) { answers <- err }
	for _, e := range entries {
		if e == nil {
			continue
		}
		sh := s.shard(e.key)
		sh.mu.Lock()
		if s.matches(e, match) {
			s.remove(sh, e, &op{owed: true, done: answer})
			queued++
			if !e.expired(now) {
				n++
			}
		}
		sh.mu.Unlock()
	}
	return n, s.settle(ctx, answers, queued)
}

// matches says whether e is there and meant. What cannot be read is: its hash
// has answered already, and a revocation must not miss it.
func (s *Store) matches(e *entry, match func(*session.Session) bool) bool {
	if e.gone.Load() {
		return false
	}
	if match == nil {
		return true
	}
	live, err := readLocked(e, false)
	return err != nil || match(live)
}

// settle waits until n queued deletions, and those that failed before, are in
// the file.
func (s *Store) settle(ctx context.Context, answers chan error, n int) error {
	if s.file == nil {
		return nil
	}
	if n == 0 && s.file.owing.Load() {
		s.file.enqueue(&op{write: func(*bolt.Tx) error { return nil }, done: func(err error) { answers <- err }})
		n = 1
	}
	// The file goes on without the caller; only the news is lost.
	var errs []error
	for range n {
		if err := s.file.wait(ctx, answers); err != nil {
			errs = append(errs, err)
			if len(errs) == 1 && (ctx.Err() != nil || errors.Is(err, errClosed)) {
				break
			}
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}
