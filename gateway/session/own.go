package session

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// ErrTooMany is the answer to a sign-in of a user who has as many sessions as he
// may: nothing was changed.
var ErrTooMany = errors.New("session: the user has too many sessions")

// limit is how many sessions a user can have at a time.
type limit struct {
	max    int  // 0 = any number
	refuse bool // rather than end the oldest
}

// Sessions returns the sessions of a user that go on, the one that was used last
// first. Looking is not activity.
func (m *Manager) Sessions(ctx context.Context, issuer, subject string) ([]Listed, error) {
	listed, err := m.store.List(ctx, Filter{Issuer: issuer, Subject: subject})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	listed = slices.DeleteFunc(listed, func(l Listed) bool { return !m.goesOn(&l, now) })
	for i := range listed {
		m.lastUsed(&listed[i])
	}
	slices.SortFunc(listed, func(a, b Listed) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), slices.Compare(a.Identity.Ref[:], b.Identity.Ref[:]))
	})
	return listed, nil
}

// lastUsed corrects the last use of a listed session: what waits here to be written,
// the store can't know.
func (m *Manager) lastUsed(l *Listed) {
	if at := time.Unix(0, m.activity.toucher.lastUse(l.Key())); at.After(l.LastSeen) {
		l.LastSeen = at
	}
}

// goesOn reports whether a listed session is neither over nor idle.
func (m *Manager) goesOn(l *Listed, now time.Time) bool {
	m.lastUsed(l)
	return !l.Expired(now) && now.Sub(l.LastSeen) <= m.idleTimeout(l.Session)
}

// checkRoom refuses a sign-in beyond the limit, where that is what the limit
// does. Those of the browser itself, which the sign-in ends, do not count. Two
// sign-ins at one moment may both find room.
func (m *Manager) checkRoom(ctx context.Context, id *identity.Identity, previous *Candidates) error {
	if m.limit.max <= 0 || !m.limit.refuse {
		return nil
	}
	listed, err := m.Sessions(ctx, id.Issuer, id.Subject)
	if err != nil {
		return err
	}
	listed = slices.DeleteFunc(listed, func(l Listed) bool { return previous.holds(l.Key()) })
	if len(listed) >= m.limit.max {
		return ErrTooMany
	}
	return nil
}

// makeRoom ends the oldest sessions of the user of s beyond the limit. It looks
// after s was made, so that of two sign-ins at one moment the later to look sees
// both.
func (m *Manager) makeRoom(ctx context.Context, s *Session) error {
	if m.limit.max <= 0 || m.limit.refuse {
		return nil
	}
	listed, err := m.Sessions(ctx, s.Identity.Issuer, s.Identity.Subject)
	if err != nil {
		return err
	}
	listed = slices.DeleteFunc(listed, func(l Listed) bool { return l.Key() == s.Key() })
	excess := len(listed) - (m.limit.max - 1)
	if excess <= 0 {
		return nil
	}
	slices.SortFunc(listed, func(a, b Listed) int { return cmp.Compare(a.Created, b.Created) })
	_, err = m.EndKeys(ctx, keysOf(listed[:excess])...)
	return err
}

func keysOf(listed []Listed) []Key {
	keys := make([]Key, len(listed))
	for i, l := range listed {
		keys[i] = l.Key()
	}
	return keys
}

// holds reports whether one of the candidates has the key.
func (c *Candidates) holds(key Key) bool {
	if c == nil {
		return false
	}
	for i := range c.n {
		if c.ids[i].Key() == key {
			return true
		}
	}
	return false
}

// Named returns the session that goes on under a name, which is the beginning of
// the hash of its id as Ref prints it. ErrNotFound is a definite no. Looking is not
// activity.
func (m *Manager) Named(ctx context.Context, name string) (*Session, error) {
	found, err := m.kept(ctx, name)
	if err != nil {
		return nil, err
	}
	return m.lookUp(ctx, found.Key(), time.Now())
}

// kept returns the session that the store has under a name, also one that was not
// used for too long.
func (m *Manager) kept(ctx context.Context, name string) (Listed, error) {
	var first Key
	if len(name) != 2*nameBytes {
		return Listed{}, ErrNotFound
	}
	if _, err := hex.Decode(first[:], []byte(name)); err != nil {
		return Listed{}, ErrNotFound
	}
	after := first
	for i := len(after) - 1; i >= 0; i-- { // the key before: lists begin behind one
		after[i]--
		if after[i] != 0xff {
			break
		}
	}
	found, err := m.store.List(ctx, Filter{After: after, Limit: 1})
	if err != nil {
		return Listed{}, err
	}
	if first == (Key{}) || len(found) == 0 || found[0].Key().String() != name {
		return Listed{}, ErrNotFound
	}
	return found[0], nil
}

// nameBytes is how much of a hash its name shows.
const nameBytes = 8
