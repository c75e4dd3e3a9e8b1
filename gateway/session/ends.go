package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// EndKeys ends sessions on every gateway, and says how many there were. Absent ones
// are no error.
func (m *Manager) EndKeys(ctx context.Context, keys ...Key) (int, error) {
	return m.store.DeleteKeys(ctx, keys...)
}

// EndSubject ends all sessions of a user on every gateway, and says how many
// there were.
func (m *Manager) EndSubject(ctx context.Context, issuer, subject string) (int, error) {
	return m.endAll(ctx, Filter{Issuer: issuer, Subject: subject}, func() (int, error) {
		return m.store.DeleteSubject(ctx, issuer, subject)
	})
}

// EndProviderSession ends, on every gateway, the sessions that began from one
// session at the provider, and says how many there were. An empty sid names none.
func (m *Manager) EndProviderSession(ctx context.Context, issuer, sid string) (int, error) {
	if sid == "" {
		return 0, nil
	}
	return m.endAll(ctx, Filter{Issuer: issuer, ProviderSession: sid}, func() (int, error) {
		return m.store.DeleteProviderSession(ctx, issuer, sid)
	})
}

// maxRounds bounds endAll. A session would have to get a new id in each round.
const maxRounds = 32

// endAll ends what matches, and looks again: a session that got a new id while the
// others were ended is the same session. What begins after the call is not.
func (m *Manager) endAll(ctx context.Context, f Filter, end func() (int, error)) (n int, err error) {
	begun := time.Now()
	if n, err = end(); err != nil || f.Issuer == "" { // an issuer is what lists need
		return n, err
	}
	for range maxRounds {
		left, err := m.store.List(ctx, f)
		if err != nil {
			return n, err
		}
		left = slices.DeleteFunc(left, func(l Listed) bool { return !l.CreatedAt().Before(begun) || !f.Matches(l.Session) })
		if len(left) == 0 {
			return n, nil
		}
		more, err := m.store.DeleteKeys(ctx, keysOf(left)...)
		if n += more; err != nil {
			return n, err
		}
	}
	return n, errors.New("session: sessions change their ids faster than they can be ended")
}

// What is remembered of EndBefore. It matters while sessions are under way that the
// walk has not seen, which is seconds.
const (
	endedKind   = "sessions"
	endedName   = "ended_before"
	endedMemory = 24 * time.Hour
)

// errOutlived is the answer to a sign-in that began before a time at which all
// sessions were ended. Whoever tries again is let in.
var errOutlived = errors.New("session: all sessions that began before now were just ended")

// EndBefore ends all sessions that began before t, on every gateway, and says how
// many there were. It looks at every session, so it can take a minute where there are a
// million. A sign-in that began before t and is not over yet fails.
func (m *Manager) EndBefore(ctx context.Context, t time.Time) (int, error) {
	if m.records != nil {
		if err := m.rememberEnd(ctx, t); err != nil {
			return 0, err
		}
	}
	return m.store.DeleteBefore(ctx, t)
}

func (m *Manager) rememberEnd(ctx context.Context, t time.Time) error {
	for {
		last, version, err := m.endedBefore(ctx)
		if err != nil || !t.After(last) {
			return err
		}
		value := binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano()))
		_, err = m.records.SaveRecord(ctx, endedKind, endedName, version, value, time.Now().Add(endedMemory))
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// endedBefore returns the time before which all sessions were ended; the zero time
// where there was none lately.
func (m *Manager) endedBefore(ctx context.Context) (t time.Time, version uint64, err error) {
	r, err := m.records.LoadRecord(ctx, endedKind, endedName)
	switch {
	case errors.Is(err, ErrNotFound):
		return time.Time{}, 0, nil
	case err != nil:
		return time.Time{}, 0, err
	case len(r.Value) != 8:
		return time.Time{}, 0, fmt.Errorf("session: the record %s/%s is damaged", endedKind, endedName)
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(r.Value))), r.Version, nil
}

// outlived refuses a session that was just made if EndBefore has ended all of its
// age: the walk over all sessions may have passed by its place already. The record
// is written before the walk begins, and read after the session was made, so one of
// the two sees the other.
func (m *Manager) outlived(ctx context.Context, s *Session) error {
	if m.records == nil {
		return nil
	}
	t, _, err := m.endedBefore(ctx)
	if err == nil && s.CreatedAt().Before(t) {
		err = errOutlived
	}
	return err
}
