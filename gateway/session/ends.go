package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// EndKeys ends sessions on every gateway, and says how many there were. Absent ones
// are no error.
func (m *Manager) EndKeys(ctx context.Context, keys ...Key) (int, error) {
	return m.store.DeleteKeys(ctx, keys...)
}

// EndSubject ends all sessions of a user on every gateway, and says how many
// there were. What begins after the call is not ended.
func (m *Manager) EndSubject(ctx context.Context, issuer, subject string) (int, error) {
	if err := m.rememberEnd(ctx, endOfUser(issuer, subject), time.Now(), briefly); err != nil {
		return 0, err
	}
	return m.store.DeleteSubject(ctx, issuer, subject)
}

// EndProviderSession ends, on every gateway, the sessions that began from one
// session at the provider, and says how many there were. An empty sid names none.
func (m *Manager) EndProviderSession(ctx context.Context, issuer, sid string) (int, error) {
	if sid == "" {
		return 0, nil
	}
	if err := m.rememberEnd(ctx, endOfProviderSession(issuer, sid), time.Now(), briefly); err != nil {
		return 0, err
	}
	return m.store.DeleteProviderSession(ctx, issuer, sid)
}

// EndBefore ends all sessions that began before t, on every gateway, and says how
// many there were. It looks at every session, so it can take a minute where there are a
// million. A sign-in that began before t and is not over yet fails.
func (m *Manager) EndBefore(ctx context.Context, t time.Time) (int, error) {
	if err := m.rememberEnd(ctx, endOfAll, t, forADay); err != nil {
		return 0, err
	}
	return m.store.DeleteBefore(ctx, t)
}

// Whose sessions were ended, and until when, is remembered for those that the store
// could not show: one that was just being made, and one that was just getting another
// id. The record is written before the store looks, and read after a session was made,
// so one of the two sees the other. That takes seconds; a walk over all takes longer.
const (
	endedKind = "sessions"
	endOfAll  = "ended_before"
	briefly   = 10 * time.Minute
	forADay   = 24 * time.Hour
)

func endOfUser(issuer, subject string) string { return endOf("user", issuer, subject) }

func endOfProviderSession(issuer, sid string) string { return endOf("provider_session", issuer, sid) }

// endOf names a record without saying who it is. The length keeps ("a", "bc") and
// ("ab", "c") apart.
func endOf(what, issuer, name string) string {
	hash := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(issuer), issuer, name))
	return "ended_" + what + "-" + hex.EncodeToString(hash[:16])
}

// errOutlived is the answer to a sign-in that began before a time at which sessions
// like it were ended. Whoever tries again is let in.
var errOutlived = errors.New("session: sessions that began before now were just ended")

func (m *Manager) rememberEnd(ctx context.Context, name string, t time.Time, memory time.Duration) error {
	if m.records == nil {
		return nil
	}
	for {
		last, version, err := m.endedBefore(ctx, name)
		if err != nil || !t.After(last) {
			return err
		}
		value := binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano()))
		_, err = m.records.SaveRecord(ctx, endedKind, name, version, value, time.Now().Add(memory))
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// endedBefore returns the time before which sessions were ended; the zero time where
// none were lately.
func (m *Manager) endedBefore(ctx context.Context, name string) (t time.Time, version uint64, err error) {
	r, err := m.records.LoadRecord(ctx, endedKind, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return time.Time{}, 0, nil
	case err != nil:
		return time.Time{}, 0, err
	case len(r.Value) != 8:
		return time.Time{}, 0, fmt.Errorf("session: the record %s/%s is damaged", endedKind, name)
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(r.Value))), r.Version, nil
}

// outlived refuses a session that was just made if those like it were ended.
func (m *Manager) outlived(ctx context.Context, s *Session) error {
	if m.records == nil {
		return nil
	}
	id := s.Identity
	var names []string
	if id.ProviderSession != "" {
		names = append(names, endOfProviderSession(id.Issuer, id.ProviderSession))
	}
	for _, name := range append(names, endOfUser(id.Issuer, id.Subject), endOfAll) {
		t, _, err := m.endedBefore(ctx, name)
		if err != nil {
			return err
		}
		if s.CreatedAt().Before(t) {
			return errOutlived
		}
	}
	return nil
}
