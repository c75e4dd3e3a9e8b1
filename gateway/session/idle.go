package session

import (
	"context"
	"errors"
	"time"
)

func (m *Manager) alive(s *Session, now time.Time) bool {
	return now.UnixNano()-s.activity.seen.Load() <= int64(m.idleTimeout(s))
}

// errUnwritten keeps a session from being refused as idle while other gateways
// may still have to write that it was used.
var errUnwritten = errors.New("session: whether it is idle can't be told so soon after the store took no writes")

// lookAgain judges a session that was not used for longer than its idle timeout
// as far as its record tells. That is proven only where a use would be known:
// here, or to the store, on which other gateways write theirs.
func (m *Manager) lookAgain(ctx context.Context, s *Session, now time.Time) (*Session, error) {
	// 1. A use that the store could not take is known here alone.
	if raise(&s.activity.seen, m.activity.toucher.lastUse(s.Key())); m.alive(s, now) {
		return s, nil
	}
	// For the rest of the second in which it proved to be idle, nothing is asked.
	if s.activity.refused.Load() == uint32(now.Unix()) {
		return nil, ErrIdle
	}
	// 2. Another gateway may have seen the user since.
	at, err := m.store.LastSeen(ctx, s.Key())
	if err != nil {
		return nil, err
	}
	if raise(&s.activity.seen, at.UnixNano()); m.alive(s, now) {
		return s, nil
	}
	// 3. Nobody could be seen in an outage, so it does not count.
	idleAt := time.Unix(0, s.activity.seen.Load()).Add(m.idleTimeout(s))
	if end := m.activity.unread.excuse(idleAt); !end.IsZero() {
		if raise(&s.activity.seen, end.UnixNano()); m.alive(s, now) {
			return s, nil
		}
	}
	// 4. The store must take writes, and must have for a while, or it may lack
	// those of others. This one changes nothing.
	switch err := m.store.Touch(ctx, s.Key(), at); {
	case errors.Is(err, ErrNotFound):
		return nil, err
	case err != nil:
		m.activity.unwritten.failed()
		return nil, err
	case m.activity.toucher.trouble.now() || m.activity.toucher.trouble.within(2*retryAfter) || m.activity.unwritten.within(2*retryAfter):
		return nil, errUnwritten
	}
	s.activity.refused.Store(uint32(now.Unix()))
	return nil, ErrIdle
}
