package valkeystore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/sallyport/sallyport/gateway/session"
)

// Kinds of indexes.
const (
	bySubject  = 'u'
	byProvider = 'p'
)

// places is where the indexes have a session.
type places struct {
	subject, provider pair
	hasProvider       bool
}

func indexed(s *session.Session) places {
	p := places{subject: pairOf(s.Identity.Issuer, s.Identity.Subject)}
	if s.Identity.ProviderSession != "" {
		p.provider, p.hasProvider = pairOf(s.Identity.Issuer, s.Identity.ProviderSession), true
	}
	return p
}

// hours since 2026 is the unit of the ends in indexes: small numbers are kept in
// fewer bytes.
func hours(t time.Time) int64 { return (t.Unix() - 1767225600) / 3600 }

// index enters a session under its user and its provider session. Members of
// sessions that are over are swept on the way.
func (s *Store) index(ctx context.Context, in *session.Session) error {
	p := indexed(in)
	enter := func(at pair, kind byte) error {
		h := handleOf(in.Key())
		_, err := s.script(ctx, "index", at.handle(), scripts.index, []string{s.layout.index(at, kind)}, []string{
			at.member(h), strconv.FormatInt(hours(in.ExpiresAt())+1, 10), strconv.FormatInt(hours(time.Now()), 10), life(in.ExpiresAt().Add(2 * time.Hour)),
		})
		return err
	}
	if !p.hasProvider {
		return enter(p.subject, bySubject)
	}
	var other error
	var wait sync.WaitGroup
	wait.Go(func() { other = enter(p.provider, byProvider) })
	err := enter(p.subject, bySubject)
	wait.Wait()
	return errors.Join(err, other)
}

// unindex takes a session out of where it was and no longer is.
func (s *Store) unindex(ctx context.Context, was, is *session.Session) error {
	old, now := indexed(was), indexed(is)
	var errs []error
	if old.subject != now.subject {
		errs = append(errs, s.leave(ctx, old.subject, bySubject, handleOf(was.Key())))
	}
	if old.hasProvider && (!now.hasProvider || old.provider != now.provider) {
		errs = append(errs, s.leave(ctx, old.provider, byProvider, handleOf(was.Key())))
	}
	return errors.Join(errs...)
}

func (s *Store) leave(ctx context.Context, at pair, kind byte, sessions ...handle) error {
	members := make([]string, len(sessions))
	for i, h := range sessions {
		members[i] = at.member(h)
	}
	_, err := call(ctx, s, "unindex", at.handle(), func(ctx context.Context, c valkey.Client) (int64, error) {
		return c.Do(ctx, c.B().Zrem().Key(s.layout.index(at, kind)).Member(members...).Build()).AsInt64()
	})
	return err
}

// handle makes a pair name its bucket where a session would.
func (p pair) handle() (h handle) {
	copy(h[:], p[:])
	return h
}

// scanCount is how many members Valkey looks at for one answer.
const scanCount = 1000

// find returns the sessions that an index has under a pair.
func (s *Store) find(ctx context.Context, at pair, kind byte) ([]handle, error) {
	var all []handle
	for cursor := uint64(0); ; {
		entry, err := call(ctx, s, "find", at.handle(), func(ctx context.Context, c valkey.Client) (valkey.ScanEntry, error) {
			return c.Do(ctx, c.B().Zscan().Key(s.layout.index(at, kind)).Cursor(cursor).Match(at.pattern()).Count(scanCount).Build()).AsScanEntry()
		})
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(entry.Elements); i += 2 { // member, score
			if h, ok := sessionOf(entry.Elements[i]); ok {
				all = append(all, h)
			}
		}
		if cursor = entry.Cursor; cursor == 0 {
			break
		}
	}
	slices.SortFunc(all, func(a, b handle) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(all), nil // ZSCAN may tell a member twice
}

// DeleteSubject implements session.Store.
func (s *Store) DeleteSubject(ctx context.Context, issuer, subject string) (int, error) {
	return s.deleteIndexed(ctx, pairOf(issuer, subject), bySubject, func(live *session.Session) bool {
		return live.Identity.Issuer == issuer && live.Identity.Subject == subject
	})
}

// DeleteProviderSession implements session.Store. An empty sid names no session.
func (s *Store) DeleteProviderSession(ctx context.Context, issuer, sid string) (int, error) {
	if sid == "" {
		return 0, nil
	}
	return s.deleteIndexed(ctx, pairOf(issuer, sid), byProvider, func(live *session.Session) bool {
		return live.Identity.Issuer == issuer && live.Identity.ProviderSession == sid
	})
}

func (s *Store) deleteIndexed(ctx context.Context, at pair, kind byte, match func(*session.Session) bool) (int, error) {
	sessions, err := s.find(ctx, at, kind)
	if err != nil || len(sessions) == 0 {
		return 0, err
	}
	gone, err := s.deleteAll(ctx, sessions, match)
	if len(gone) > 0 {
		// One that is just being created is in the index already and must stay.
		err = errors.Join(err, s.leave(ctx, at, kind, gone...))
	}
	return len(gone), err
}

// DeleteBefore implements session.Store. It reads every session and ends them one by
// one, which takes about a minute where there are a million.
func (s *Store) DeleteBefore(ctx context.Context, t time.Time) (int, error) {
	n := 0
	err := s.walk(ctx, 0, func(found []seen) (bool, error) {
		sessions := make([]handle, len(found))
		for i := range found {
			sessions[i] = found[i].handle
		}
		gone, err := s.deleteAll(ctx, sessions, func(live *session.Session) bool { return live.CreatedAt().Before(t) })
		n += len(gone)
		return true, err
	})
	return n, err
}

// deleters is how many sessions are ended at a time.
const deleters = 64

// DeleteKeys implements session.Store.
func (s *Store) DeleteKeys(ctx context.Context, keys ...session.Key) (int, error) {
	var mu sync.Mutex
	n, errs := 0, []error(nil)
	var wait sync.WaitGroup
	tickets := make(chan struct{}, deleters)
	for _, key := range keys {
		tickets <- struct{}{}
		wait.Go(func() {
			defer func() { <-tickets }()
			existed, err := s.remove(ctx, key)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			}
			if existed {
				n++
			}
		})
	}
	wait.Wait()
	return n, errors.Join(errs...)
}

// deleteAll ends those of the sessions that match, and returns which existed.
// What cannot be read is ended too: its hash has answered already, and a
// revocation must not miss it.
func (s *Store) deleteAll(ctx context.Context, sessions []handle, match func(*session.Session) bool) (gone []handle, err error) {
	values, err := s.values(ctx, sessions)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var errs []error
	var wait sync.WaitGroup
	tickets := make(chan struct{}, deleters)
	for i, h := range sessions {
		if values[i] == "" {
			continue
		}
		live, _, err := s.codec.unpack(h, values[i])
		if err == nil && !match(live) {
			continue
		}
		key := keyOf(h, values[i])
		tickets <- struct{}{}
		wait.Go(func() {
			defer func() { <-tickets }()
			existed, err := s.remove(ctx, key)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			}
			if existed {
				gone = append(gone, h)
			}
		})
	}
	wait.Wait()
	return gone, errors.Join(errs...)
}

// keyOf puts a session's Key together, also where its record is damaged.
func keyOf(h handle, value string) (key session.Key) {
	copy(key[:], h[:])
	if len(value) >= valueHead {
		copy(key[handleSize:], value[1:valueHead])
	}
	return key
}
