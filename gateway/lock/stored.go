package lock

import (
	"encoding/json"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// stored is the form in which the feed keeps a Lock. A reader that does not know a
// member reads the others: the lock is on more for him than was meant, never on
// less. So whoever adds a member raises version, and adds none that widens a lock.
type stored struct {
	Version int       `json:"v"`
	ID      string    `json:"id"`
	Issuer  string    `json:"iss,omitempty"`
	Subject string    `json:"sub,omitempty"`
	Group   string    `json:"group,omitempty"`
	Session string    `json:"sid,omitempty"`
	Address string    `json:"address,omitempty"`
	Route   string    `json:"route,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Created time.Time `json:"created"`
	Until   time.Time `json:"until,omitzero"`
	Lifted  time.Time `json:"lifted,omitzero"`
}

const version = 1

func (l *Lock) entry(now time.Time) (session.FeedEntry, error) {
	s := stored{
		Version: version, ID: l.ID, Issuer: l.Issuer, Subject: l.Subject, Group: l.Group, Session: l.ProviderSession,
		Route: l.Route, Reason: l.Reason, Message: l.Message, Created: l.Created, Until: l.Until, Lifted: l.Lifted,
	}
	if l.Address.IsValid() {
		s.Address = l.Address.String()
	}
	value, err := json.Marshal(s)
	e := session.FeedEntry{Name: l.ID, Value: value}
	switch {
	case !l.Lifted.IsZero():
		e.ExpiresAt = later(now, l.Until).Add(keptAfter)
	case !l.Until.IsZero():
		e.ExpiresAt = l.Until.Add(keptAfter)
	}
	return e, err
}

// read returns the lock that an entry holds. What can't be read of it, because a
// newer release has written it or it is damaged, makes the lock Partial.
func read(e *session.FeedEntry) *Lock {
	var s stored
	l := &Lock{}
	if json.Unmarshal(e.Value, &s) != nil {
		s, l.Partial = readable(e.Value), true
	}
	if s.Version != version || s.ID != e.Name {
		l.Partial = true
	}
	// The name is what a lifting has to replace.
	l.ID = e.Name
	l.Criteria = Criteria{Issuer: s.Issuer, Subject: s.Subject, Group: s.Group, ProviderSession: s.Session, Route: s.Route}
	l.Reason, l.Message, l.Created, l.Until, l.Lifted = s.Reason, s.Message, s.Created, s.Until, s.Lifted
	if s.Address != "" {
		var err error
		if l.Address, err = ParseAddress(s.Address); err != nil {
			l.Partial = true
		}
	}
	if len(l.parts()) == 0 {
		l.Partial = true
	}
	if l.Partial && l.Until.IsZero() && l.Lifted.IsZero() {
		l.Until = e.ExpiresAt // when its writer has forgotten it
	}
	return l
}

// readable returns the members that have the form they had when this was written.
func readable(value []byte) (s stored) {
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) != nil {
		return s
	}
	for name, into := range map[string]any{
		"v": &s.Version, "id": &s.ID, "iss": &s.Issuer, "sub": &s.Subject, "group": &s.Group, "sid": &s.Session,
		"address": &s.Address, "route": &s.Route, "reason": &s.Reason, "message": &s.Message,
		"created": &s.Created, "until": &s.Until, "lifted": &s.Lifted,
	} {
		// One that does not is left at its zero value, which asks for nothing.
		_ = json.Unmarshal(members[name], into)
	}
	return s
}
