package valkeystore

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/sallyport/sallyport/gateway/session"
)

// life is how long something may still live, in ms as Valkey counts: from when
// it is told, so that clocks need not agree.
func life(end time.Time) string {
	return strconv.FormatInt(max(1, time.Until(end).Milliseconds()), 10)
}

// Create implements session.Store. The indexes come first: a session that can
// be used can also be found and ended.
func (s *Store) Create(ctx context.Context, in *session.Session) error {
	fresh := in.Clone()
	fresh.Version = 1
	value, err := s.codec.pack(fresh)
	if err != nil {
		return err
	}
	if err := s.index(ctx, fresh); err != nil {
		return err
	}
	h := handleOf(in.Key())
	now := time.Now()
	longest := fresh.ExpiresAt().Sub(fresh.CreatedAt())
	args := []string{
		value, life(fresh.ExpiresAt()), string(in.Tokens()), h.member(), micros(now), micros(now.Add(-longest)),
	}
	made, err := s.script(ctx, "create", h, scripts.create, s.layout.keysOf(h), args)
	if err != nil {
		return err
	}
	s.forget(in.Key())
	if made == 0 {
		return session.ErrConflict
	}
	return nil
}

// Update implements session.Store: optimistic, with the value itself as its
// version.
func (s *Store) Update(ctx context.Context, key session.Key, change func(*session.Session) error) (*session.Session, error) {
	h := handleOf(key)
	for {
		value, err := call(ctx, s, "load", h, func(ctx context.Context, c valkey.Client) (string, error) {
			return orNotFound(c.Do(ctx, c.B().Get().Key(s.layout.session(h)).Build()).ToString())
		})
		if err != nil {
			return nil, err
		}
		base, _, err := s.codec.unpack(h, value)
		if err != nil {
			return nil, err
		}
		if base.Key() != key || base.Expired(time.Now()) {
			return nil, session.ErrNotFound
		}
		fresh := base.Clone()
		if err := change(fresh); err != nil {
			return nil, err
		}
		fresh.Identity.Ref, fresh.Version, fresh.Created = key, base.Version+1, base.Created
		updated, err := s.replace(ctx, base, value, fresh)
		if !errors.Is(err, session.ErrConflict) {
			return updated, err
		}
	}
}

// replace keeps fresh where old still is.
func (s *Store) replace(ctx context.Context, base *session.Session, old string, fresh *session.Session) (*session.Session, error) {
	value, err := s.codec.pack(fresh)
	if err != nil {
		return nil, err
	}
	h := handleOf(fresh.Key())
	updated, _, err := s.codec.unpack(h, value)
	if err != nil {
		return nil, err
	}
	moved := indexed(base) != indexed(fresh)
	if moved || !base.ExpiresAt().Equal(fresh.ExpiresAt()) {
		if err := s.index(ctx, fresh); err != nil {
			return nil, err
		}
	}
	tokens := "set"
	switch {
	case fresh.SealedTokens == nil:
		tokens = "keep"
	case len(fresh.Tokens()) == 0:
		tokens = "remove"
	}
	keys := []string{s.layout.session(h), s.layout.tokens(h), s.layout.tombstone(h)}
	args := []string{old, value, life(fresh.ExpiresAt()), tokens, string(fresh.Tokens())}
	kept, err := s.script(ctx, "update", h, scripts.update, keys, args)
	s.forget(fresh.Key())
	switch {
	case err != nil:
		return nil, err
	case kept < 0:
		return nil, session.ErrNotFound
	case kept == 0:
		return nil, session.ErrConflict
	}
	if moved {
		// What stays behind leads to a session that no longer fits, and ends.
		_ = s.unindex(ctx, base, fresh)
	}
	return updated, nil
}

// Delete implements session.Store.
func (s *Store) Delete(ctx context.Context, key session.Key) error {
	_, err := s.remove(ctx, key)
	return err
}

// remove ends one session and leaves its tombstone.
func (s *Store) remove(ctx context.Context, key session.Key) (existed bool, err error) {
	h := handleOf(key)
	now := time.Now()
	ms, err := s.script(ctx, "delete", h, scripts.remove, s.layout.keysOf(h), []string{h.member(), millis(now)})
	s.forget(key)
	if err != nil || ms == 0 {
		return false, err
	}
	r := revocation{handle: h, at: now, end: now.Add(time.Duration(max(ms, -ms)) * time.Millisecond)}
	if ms > 0 {
		s.revocations.add(r)
	} else {
		// Perhaps by an attempt of ours whose answer was lost.
		s.revocations.addOnce(r)
	}
	s.await(ctx, r)
	return ms > 0, nil
}

// Touch implements session.Store. It changes nothing that gateways cache.
func (s *Store) Touch(ctx context.Context, key session.Key, at time.Time) error {
	h := handleOf(key)
	there, err := s.script(ctx, "touch", h, scripts.touch,
		[]string{s.layout.session(h), s.layout.activity(h)}, []string{h.member(), micros(at)})
	if err == nil && there < 0 {
		return session.ErrNotFound
	}
	return err
}

// LastSeen implements session.Store, to the microsecond.
func (s *Store) LastSeen(ctx context.Context, key session.Key) (time.Time, error) {
	h := handleOf(key)
	return call(ctx, s, "last_seen", h, func(ctx context.Context, c valkey.Client) (time.Time, error) {
		answers := c.DoMulti(ctx,
			c.B().Exists().Key(s.layout.session(h)).Build(),
			c.B().Zscore().Key(s.layout.activity(h)).Member(h.member()).Build())
		if err := present(answers[0]); err != nil {
			return time.Time{}, err
		}
		us, err := answers[1].AsFloat64()
		if valkey.IsValkeyNil(err) {
			return time.Time{}, nil // longer ago than sessions live
		}
		return time.UnixMicro(int64(us)), err
	})
}

// present reads the answer to EXISTS of a session: session.ErrNotFound when
// there is none.
func present(answer valkey.ValkeyResult) error {
	there, err := answer.AsInt64()
	if err == nil && there == 0 {
		return session.ErrNotFound
	}
	return err
}

// Tokens implements session.Store.
func (s *Store) Tokens(ctx context.Context, key session.Key) ([]byte, error) {
	h := handleOf(key)
	return call(ctx, s, "tokens", h, func(ctx context.Context, c valkey.Client) ([]byte, error) {
		answers := c.DoMulti(ctx,
			c.B().Exists().Key(s.layout.session(h)).Build(),
			c.B().Get().Key(s.layout.tokens(h)).Build())
		if err := present(answers[0]); err != nil {
			return nil, err
		}
		tokens, err := answers[1].AsBytes()
		if valkey.IsValkeyNil(err) {
			return nil, nil
		}
		return tokens, err
	})
}

// script runs one of scripts and returns its number.
func (s *Store) script(ctx context.Context, operation string, h handle, lua *valkey.Lua, keys, args []string) (int64, error) {
	return call(ctx, s, operation, h, func(ctx context.Context, c valkey.Client) (int64, error) {
		for {
			n, err := lua.Exec(ctx, c, keys, args).AsInt64()
			if !notYet(err) {
				return n, err
			}
			select {
			case <-ctx.Done():
				return 0, err
			case <-time.After(retryNotYet):
			}
		}
	})
}

const retryNotYet = 2 * time.Millisecond

// notYet reports whether the server did nothing and will soon: the keys of a
// script are on their way to another node, or it is starting. valkey-go does
// this for commands that only read.
func notYet(err error) bool {
	said, ok := valkey.IsValkeyErr(err)
	return ok && (said.IsTryAgain() || said.IsLoading() || said.IsClusterDown())
}

// forget drops what the near cache knows of a session that was just changed:
// Valkey's push comes after the answer, and nobody may see the old one then.
func (s *Store) forget(key session.Key) {
	if s.near != nil {
		s.near.forget(key)
	}
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }
