package login_test

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

var _ session.Records = (*memoryStore)(nil)

func (m *memoryStore) DeleteSubject(_ context.Context, issuer, subject string) (n int, err error) {
	return m.deleteWhere(func(s *session.Session) bool { return s.Identity.Issuer == issuer && s.Identity.Subject == subject })
}

func (m *memoryStore) DeleteProviderSession(_ context.Context, issuer, sid string) (int, error) {
	return m.deleteWhere(func(s *session.Session) bool { return s.Identity.Issuer == issuer && s.Identity.ProviderSession == sid })
}

func (m *memoryStore) deleteWhere(match func(*session.Session) bool) (n int, err error) {
	err = m.locked(func() error {
		if m.readOnly {
			return errStoreDown
		}
		for key, s := range m.sessions {
			if match(s) {
				delete(m.sessions, key)
				n++
			}
		}
		return nil
	})
	return n, err
}

func (m *memoryStore) List(_ context.Context, f session.Filter) (listed []session.Listed, err error) {
	err = m.locked(func() error {
		for key, s := range m.sessions {
			if (f.Issuer == "" || f.Issuer == s.Identity.Issuer) && (f.Subject == "" || f.Subject == s.Identity.Subject) {
				listed = append(listed, session.Listed{Session: s, LastSeen: m.seen[key]})
			}
		}
		return nil
	})
	slices.SortFunc(listed, func(a, b session.Listed) int { return bytes.Compare(a.Identity.Ref[:], b.Identity.Ref[:]) })
	return listed, err
}

func (m *memoryStore) LoadRecord(_ context.Context, kind, name string) (rec session.Record, err error) {
	err = m.locked(func() error {
		var ok bool
		if rec, ok = m.records[kind+"/"+name]; !ok || !rec.ExpiresAt.IsZero() && !time.Now().Before(rec.ExpiresAt) {
			return session.ErrNotFound
		}
		return nil
	})
	return rec, err
}

func (m *memoryStore) SaveRecord(_ context.Context, kind, name string, version uint64, value []byte, expires time.Time) (uint64, error) {
	err := m.locked(func() error {
		if m.readOnly {
			return errStoreDown
		}
		if m.records[kind+"/"+name].Version != version {
			return session.ErrConflict
		}
		m.records[kind+"/"+name] = session.Record{Value: value, Version: version + 1, ExpiresAt: expires}
		return nil
	})
	return version + 1, err
}

func (m *memoryStore) RemoveRecord(_ context.Context, kind, name string) error {
	return m.locked(func() error {
		delete(m.records, kind+"/"+name)
		return nil
	})
}

func (m *memoryStore) lastDelete() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deleted
}
