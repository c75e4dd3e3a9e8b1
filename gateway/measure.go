package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// measuredStore times what the embedded store does, except Get: from memory that
// takes less than reading the clock. The Valkey store measures its calls itself.
type measuredStore struct {
	session.Store
	metrics *telemetry.Metrics
}

func (m *measuredStore) observe(operation string, start time.Time, err error) {
	class := telemetry.StoreAnswered
	if err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrConflict) {
		class = "failed"
	}
	m.metrics.Store(operation, class, time.Since(start))
}

func (m *measuredStore) Create(ctx context.Context, s *session.Session) error {
	start := time.Now()
	err := m.Store.Create(ctx, s)
	m.observe("create", start, err)
	return err
}

func (m *measuredStore) Update(ctx context.Context, key session.Key, change func(*session.Session) error) (*session.Session, error) {
	start := time.Now()
	s, err := m.Store.Update(ctx, key, change)
	m.observe("update", start, err)
	return s, err
}

func (m *measuredStore) Delete(ctx context.Context, key session.Key) error {
	start := time.Now()
	err := m.Store.Delete(ctx, key)
	m.observe("delete", start, err)
	return err
}

func (m *measuredStore) DeleteKeys(ctx context.Context, keys ...session.Key) (int, error) {
	start := time.Now()
	n, err := m.Store.DeleteKeys(ctx, keys...)
	m.observe("delete", start, err)
	return n, err
}

func (m *measuredStore) Touch(ctx context.Context, key session.Key, at time.Time) error {
	start := time.Now()
	err := m.Store.Touch(ctx, key, at)
	m.observe("touch", start, err)
	return err
}
