package valkeystore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"
)

// examine tries every command that the store uses, and fails with the step that
// would make later calls fail: a server that is no primary, pushes that don't
// arrive, a command that the user may not call. Only at the start can that be
// told from a session that does not exist, and only at the start is somebody
// looking. What it writes is removed, and ends by itself within a minute.
func (s *Store) examine(ctx context.Context, client valkey.Client) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	e := examination{store: s, client: client}
	rand.Read(e.handle[:]) // gateways that start together must not meet here
	e.name = s.layout.session(e.handle)

	err := e.do(ctx, "SET", client.B().Set().Key(e.name).Value("examined").Px(time.Minute).Build())
	if err != nil && stepOf(err) == StepWrite {
		// What is there can be read, so those who are signed in stay so.
		s.log.Warn("the session store takes no writes, so nobody can sign in or out", zap.Error(err))
		s.advise(ctx, client)
		return nil
	}
	for _, part := range []func(context.Context) error{
		func(context.Context) error { return err }, e.tracking, e.primary, e.sessions, e.indexes, e.records, e.feeds, e.ends,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	s.advise(ctx, client)
	return nil
}

type examination struct {
	store  *Store
	client valkey.Client
	handle handle
	name   string
}

// do runs a command whose answer does not matter.
func (e *examination) do(ctx context.Context, commands string, cmd valkey.Completed) error {
	err := e.client.Do(ctx, cmd).Error()
	if valkey.IsValkeyNil(err) {
		return nil
	}
	return examined(commands, err)
}

func (e *examination) run(ctx context.Context, commands string, lua *valkey.Lua, keys []string, args ...string) error {
	return examined("EVAL or EVALSHA of a script with "+commands, lua.Exec(ctx, e.client, keys, args).Error())
}

func examined(commands string, err error) error {
	if err != nil && stepOf(err) == StepPermissions {
		return &stepError{StepPermissions, fmt.Errorf("%s: %w", commands, err)}
	}
	return err
}

// tracking makes sure that a change is pushed. Where CLIENT CACHING is refused,
// for one, GET would be answered, cached, and never invalidated.
func (e *examination) tracking(ctx context.Context) error {
	n := e.store.near
	if n == nil {
		return nil
	}
	b := e.client.B()
	if err := e.do(ctx, "CLIENT CACHING", b.ClientCaching().Yes().Build()); err != nil {
		return err
	}
	if err := e.client.DoCache(ctx, b.Get().Key(e.name).Cache().ToStaticTTL(), time.Second).Error(); err != nil {
		return examined("GET", err)
	}
	before := n.invalidations.Load()
	if err := e.do(ctx, "SET", b.Set().Key(e.name).Value("examined again").Px(time.Minute).Build()); err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n.invalidations.Load() == before {
		select {
		case <-ctx.Done():
			return &stepError{StepTracking, errors.New("no push arrives when a key changes; where that can't be mended, set session.cache.max_bytes to 0")}
		case <-tick.C:
		}
	}
	return nil
}

// primary makes sure that what is written is what is read.
func (e *examination) primary(ctx context.Context) error {
	got, err := e.client.Do(ctx, e.client.B().Get().Key(e.name).Build()).ToString()
	if err != nil && !valkey.IsValkeyNil(err) {
		return examined("GET", err)
	}
	if got == "" {
		return &stepError{StepRole, errors.New("what was written can't be read: a primary is needed")}
	}
	return e.do(ctx, "DEL", e.client.B().Del().Key(e.name).Build())
}

func (e *examination) sessions(ctx context.Context) error {
	h, b := e.handle, e.client.B()
	keys := e.store.layout.keysOf(h)
	return errors.Join(
		e.run(ctx, "EXISTS, SET, ZREMRANGEBYSCORE, ZADD and PEXPIRE", scripts.create, keys, "1", "60000", "", h.member(), "1", "0"),
		e.run(ctx, "GET, EXISTS, SET and PEXPIRE", scripts.update, keys[:3], "1", "2", "60000", "keep", ""),
		e.run(ctx, "EXISTS and ZADD", scripts.touch, []string{keys[0], keys[3]}, h.member(), "2"),
		e.do(ctx, "EXISTS", b.Exists().Key(e.name).Build()),
		e.do(ctx, "ZSCORE", b.Zscore().Key(keys[3]).Member(h.member()).Build()),
		e.do(ctx, "ZRANGE", b.Zrange().Key(keys[3]).Min("0").Max("0").Build()),
	)
}

func (e *examination) indexes(ctx context.Context) error {
	b := e.client.B()
	at := pair(e.handle[:pairSize])
	name, member := e.store.layout.index(at, bySubject), at.member(e.handle)
	return errors.Join(
		e.run(ctx, "ZREMRANGEBYSCORE, ZADD and PEXPIRE", scripts.index, []string{name}, member, "0", "0", "60000"),
		e.do(ctx, "ZSCAN", b.Zscan().Key(name).Cursor(0).Match(at.pattern()).Build()),
		e.do(ctx, "ZREM", b.Zrem().Key(name).Member(member).Build()),
	)
}

func (e *examination) records(ctx context.Context) error {
	key := e.store.layout.record("examination", string(e.handle[:]))
	return errors.Join(
		e.run(ctx, "GET and SET", scripts.save, []string{key.name}, string(make([]byte, 8)), string(make([]byte, recordHead)), "60000"),
		e.do(ctx, "DEL", e.client.B().Del().Key(key.name).Build()),
	)
}

func (e *examination) feeds(ctx context.Context) error {
	b, key := e.client.B(), e.store.layout.feed("examination "+base64.RawURLEncoding.EncodeToString(e.handle[:]))
	return errors.Join(
		e.do(ctx, "XADD", b.Xadd().Key(key.name).Id("*").FieldValue().FieldValue("v", "examined").Build()),
		e.do(ctx, "PEXPIRE", b.Pexpire().Key(key.name).Milliseconds(time.Minute.Milliseconds()).Build()),
		e.do(ctx, "XREAD", b.Xread().Count(1).Streams().Key(key.name).Id("0-0").Build()),
		e.do(ctx, "XDEL", b.Xdel().Key(key.name).Id("0-0").Build()),
		e.do(ctx, "DEL", b.Del().Key(key.name).Build()),
	)
}

func (e *examination) ends(ctx context.Context) error {
	l, h := e.store.layout, e.handle
	keys := l.keysOf(h)
	return errors.Join(
		e.run(ctx, "PTTL, DEL, ZREM and SET", scripts.remove, keys, h.member(), "1"),
		e.run(ctx, "DEL, ZREM and SET", scripts.bury, keys, h.member(), "1", "60000"),
		e.do(ctx, "DEL", e.client.B().Del().Key(l.tombstone(h)).Build()),
	)
}
