package session

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

const (
	// Transient is the longest that anything is worth which the ring seals or signs
	// and no store keeps: states, form tokens, forms.
	Transient = 30 * time.Minute
	// releasePage is how many sessions are listed at a time.
	releasePage = 1000
	// maxNamed bounds the users whom a KeyUse names.
	maxNamed = 20
)

// KeyUse is what needs a key of the ring.
type KeyUse struct {
	Sessions int       // that go on, and whose cookies it checks
	Until    time.Time // when the last of them is over
	Users    []*identity.Identity
	Resealed int // provider tokens that were sealed with it, and are sealed anew
}

func (u *KeyUse) add(s *Session) {
	u.Sessions++
	if s.ExpiresAt().After(u.Until) {
		u.Until = s.ExpiresAt()
	}
	if len(u.Users) >= maxNamed {
		return
	}
	for _, known := range u.Users {
		if known.Issuer == s.Identity.Issuer && known.Subject == s.Identity.Subject {
			return
		}
	}
	u.Users = append(u.Users, s.Identity)
}

// KeyUse looks at all sessions for those that need a key which has stopped
// sealing at a time.
func (m *Manager) KeyUse(ctx context.Context, key KeyName, stopped time.Time) (KeyUse, error) {
	var use KeyUse
	err := m.each(ctx, func(l Listed) error {
		if m.needs(l, key, stopped) {
			use.add(l.Session)
		}
		return nil
	})
	return use, err
}

// ReleaseKey does what must be done before a key leaves the ring, which has
// stopped sealing at a time: provider tokens that are sealed with it are sealed
// anew, and the sessions that need it are ended. It may be called again after an
// error.
func (m *Manager) ReleaseKey(ctx context.Context, key KeyName, stopped time.Time) (KeyUse, error) {
	var use KeyUse
	err := m.each(ctx, func(l Listed) error {
		if m.needs(l, key, stopped) {
			use.add(l.Session)
			if l.activity.marks.cookieKey() != 0 {
				return m.store.Delete(ctx, l.Key())
			}
			// It may be one whose cookie another key has made.
		}
		if issued := max(l.Grant.Issued, l.Created); time.Unix(0, issued).After(stopped.Add(time.Minute)) {
			return nil // what it has was sealed later
		}
		done, err := m.reseal(ctx, l.Key(), key)
		if done {
			use.Resealed++
		}
		return err
	})
	return use, err
}

// needs reports whether a session goes on and its cookie is checked with the key.
func (m *Manager) needs(l Listed, key KeyName, stopped time.Time) bool {
	id, ok := key.id()
	if !ok || l.activity.marks.cookieKey() != 0 && l.activity.marks.cookieKey() != uint16(id)+1 {
		return false
	}
	if l.activity.marks.cookieKey() == 0 && l.CreatedAt().After(stopped.Add(time.Minute)) {
		return false
	}
	now, seen := time.Now(), l.LastSeen
	if at := time.Unix(0, m.activity.toucher.lastUse(l.Key())); at.After(seen) {
		seen = at // what waits here to be written, the store can't know
	}
	return !l.Expired(now) && now.Sub(seen) <= m.idleTimeout(l.Session)
}

func (m *Manager) each(ctx context.Context, do func(Listed) error) error {
	var after Key
	for {
		page, err := m.store.List(ctx, Filter{After: after, Limit: releasePage})
		if err != nil {
			return err
		}
		for _, l := range page {
			if err := do(l); err != nil {
				return err
			}
			after = l.Key()
		}
		if len(page) < releasePage {
			return nil
		}
	}
}

// reseal seals the tokens of a session anew where the named key has sealed them.
// A refresh that comes in between has done so itself.
func (m *Manager) reseal(ctx context.Context, key Key, name KeyName) (done bool, err error) {
	sealed, err := m.store.Tokens(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil || !SealedBy(sealed, name) {
		return false, err
	}
	var seen *Session
	_, err = m.store.Update(ctx, key, func(s *Session) error { seen = s; return errSeen })
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if !errors.Is(err, errSeen) {
		return false, err
	}
	generation := seen.Grant.Generation
	if sealed, err = m.store.Tokens(ctx, key); err != nil || !SealedBy(sealed, name) {
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return false, err
	}
	plain, err := m.ring.Open(PurposeTokens, sealed, key[:])
	if err != nil {
		return false, nil //nolint:nilerr // by another key of that id, or damaged: nobody can read them, and the key is no help
	}
	fresh := m.ring.Seal(PurposeTokens, plain, key[:])
	_, err = m.store.Update(ctx, key, func(s *Session) error {
		if s.Grant.Generation != generation {
			return errOvertaken
		}
		s.SealedTokens = &fresh
		return nil
	})
	if errors.Is(err, errOvertaken) || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
