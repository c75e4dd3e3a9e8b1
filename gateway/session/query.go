package session

import (
	"context"
	"time"
)

// Query says which sessions an operator wants to see. Empty fields match everything.
type Query struct {
	Issuer, Subject string // a subject without its issuer is looked for in all
	Email           string
	Provider        string
	ProviderSession string // likewise
	Route           string
	CreatedBefore   time.Time
	UsedBefore      time.Time // last used before
	After           Key       // the Next of the page before
	Limit           int       // at most so many; 1 to MaxPage
}

const (
	// MaxPage is the longest page.
	MaxPage = 1000
	// maxLooked is how many sessions one page looks at. A query that few of a million
	// match takes several pages, some of them empty, rather than minutes.
	maxLooked = 20_000
	// lookBatch is how many of them are in memory at a time.
	lookBatch = 500
)

// Page is some of the sessions that a Query matches, in the order of keys.
type Page struct {
	Sessions []Listed
	// Next goes on behind this page, which may be empty all the same; the zero Key
	// says that this was the last.
	Next Key
}

// List returns a page of the sessions that go on. Looking is not activity. An error
// means that the store could not answer.
func (m *Manager) List(ctx context.Context, q Query) (Page, error) {
	limit := max(1, min(q.Limit, MaxPage))
	f := Filter{After: q.After, Limit: lookBatch}
	if q.Issuer != "" && (q.Subject != "" || q.ProviderSession != "") { // only then do indexes help
		f.Issuer, f.Subject, f.ProviderSession = q.Issuer, q.Subject, q.ProviderSession
	}
	if (q == Query{After: q.After, Limit: q.Limit}) { // nearly all will match
		f.Limit = limit + 1
	}
	var page Page
	for looked := 0; looked < maxLooked; looked += f.Limit {
		found, err := m.store.List(ctx, f)
		if err != nil {
			return Page{}, err
		}
		now := time.Now()
		for i := range found {
			l := &found[i]
			if len(page.Sessions) == limit {
				page.Next = f.After
				return page, nil
			}
			f.After = l.Key()
			if m.goesOn(l, now) && q.matches(l) {
				page.Sessions = append(page.Sessions, *l)
			}
		}
		if len(found) < f.Limit {
			return page, nil
		}
	}
	page.Next = f.After
	return page, nil
}

func (q *Query) matches(l *Listed) bool {
	f := Filter{Issuer: q.Issuer, Subject: q.Subject, ProviderSession: q.ProviderSession}
	return f.Matches(l.Session) &&
		(q.Email == "" || l.Identity.Email == q.Email) &&
		(q.Provider == "" || l.Provider == q.Provider) &&
		(q.Route == "" || l.Route == q.Route) &&
		(q.CreatedBefore.IsZero() || l.CreatedAt().Before(q.CreatedBefore)) &&
		(q.UsedBefore.IsZero() || l.LastSeen.Before(q.UsedBefore))
}

// Find returns the session that goes on under a name, as Named, with its last use.
func (m *Manager) Find(ctx context.Context, name string) (Listed, error) {
	l, err := m.kept(ctx, name)
	if err != nil {
		return Listed{}, err
	}
	if !m.goesOn(&l, time.Now()) {
		return Listed{}, ErrNotFound
	}
	return l, nil
}

// EndNamed ends the session of a name, also one that was not used for too long, and
// returns it. ErrNotFound where there is none, or somebody else was faster.
func (m *Manager) EndNamed(ctx context.Context, name string) (*Session, error) {
	l, err := m.kept(ctx, name)
	if err != nil {
		return nil, err
	}
	n, err := m.store.DeleteKeys(ctx, l.Key())
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, ErrNotFound
	}
	return l.Session, nil
}

// Ends returns when a listed session ends without further use, and when it ends
// whatever happens.
func (m *Manager) Ends(l *Listed) (idle, absolute time.Time) {
	idle = l.LastSeen.Add(m.idleTimeout(l.Session))
	if idle.After(l.ExpiresAt()) {
		idle = l.ExpiresAt()
	}
	return idle, l.ExpiresAt()
}
