package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// breakableStore is a store that a developer can have fail for a while. Sessions
// that it holds are there again afterwards.
type breakableStore struct {
	session.Store
	down atomic.Int64 // until when, in nanoseconds since 1970
}

var _ session.Store = (*breakableStore)(nil)

// over puts it over the store; without a developer it is the store itself.
func (d *development) over(s session.Store) session.Store {
	if d == nil {
		return s
	}
	d.store.Store = s
	return &d.store
}

var errBroken = errors.New("a developer has broken the store for a while")

func (b *breakableStore) breakFor(d time.Duration) { b.down.Store(time.Now().Add(d).UnixNano()) }

// downUntil is the zero time while the store works.
func (b *breakableStore) downUntil() time.Time {
	if until := time.Unix(0, b.down.Load()); time.Now().Before(until) {
		return until
	}
	return time.Time{}
}

func (b *breakableStore) broken() error {
	if b.downUntil().IsZero() {
		return nil
	}
	return errBroken
}

func (b *breakableStore) Create(ctx context.Context, s *session.Session) error {
	if err := b.broken(); err != nil {
		return err
	}
	return b.Store.Create(ctx, s)
}

func (b *breakableStore) Get(ctx context.Context, key session.Key) (*session.Session, error) {
	if err := b.broken(); err != nil {
		return nil, err
	}
	return b.Store.Get(ctx, key)
}

func (b *breakableStore) Update(ctx context.Context, key session.Key, change func(*session.Session) error) (*session.Session, error) {
	if err := b.broken(); err != nil {
		return nil, err
	}
	return b.Store.Update(ctx, key, change)
}

func (b *breakableStore) Delete(ctx context.Context, key session.Key) error {
	if err := b.broken(); err != nil {
		return err
	}
	return b.Store.Delete(ctx, key)
}

func (b *breakableStore) DeleteKeys(ctx context.Context, keys ...session.Key) (int, error) {
	if err := b.broken(); err != nil {
		return 0, err
	}
	return b.Store.DeleteKeys(ctx, keys...)
}

func (b *breakableStore) DeleteSubject(ctx context.Context, issuer, subject string) (int, error) {
	if err := b.broken(); err != nil {
		return 0, err
	}
	return b.Store.DeleteSubject(ctx, issuer, subject)
}

func (b *breakableStore) List(ctx context.Context, f session.Filter) ([]session.Listed, error) {
	if err := b.broken(); err != nil {
		return nil, err
	}
	return b.Store.List(ctx, f)
}

func (b *breakableStore) Touch(ctx context.Context, key session.Key, at time.Time) error {
	if err := b.broken(); err != nil {
		return err
	}
	return b.Store.Touch(ctx, key, at)
}

func (b *breakableStore) LastSeen(ctx context.Context, key session.Key) (time.Time, error) {
	if err := b.broken(); err != nil {
		return time.Time{}, err
	}
	return b.Store.LastSeen(ctx, key)
}

func (b *breakableStore) Tokens(ctx context.Context, key session.Key) ([]byte, error) {
	if err := b.broken(); err != nil {
		return nil, err
	}
	return b.Store.Tokens(ctx, key)
}

func (b *breakableStore) Ping(ctx context.Context) error {
	if err := b.broken(); err != nil {
		return err
	}
	return b.Store.Ping(ctx)
}
