package guard

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/lock"
)

// ReasonLocked says that an operator has locked the user, where he comes from, or the
// route.
const ReasonLocked = "locked"

// question is what locks are compared with. The address is looked for only where
// there is a lock that could be on it.
func (g *Guard) question(r *http.Request, v *Verdict) lock.Question {
	q := lock.Question{Route: v.Route.Name, Identity: v.Identity, Own: g.ownIssuer}
	if g.locks.Any() {
		q.Address = g.address(r)
	}
	return q
}

// closed sets the verdict for what is locked for everybody, as far as is known, before
// anybody has proven anything. Whether more is locked is asked once somebody has:
// public routes do not depend on the store.
func (g *Guard) closed(r *http.Request, v *Verdict) bool {
	if g.locks == nil {
		return false
	}
	q := g.question(r, v)
	return v.lockedBy(g.locks.Now(&q))
}

// barred sets the verdict for a proven user whom a lock is on. An error is an outage.
func (g *Guard) barred(r *http.Request, v *Verdict) (bool, error) {
	if g.locks == nil {
		return false, nil
	}
	q := g.question(r, v)
	found, err := g.locks.Judge(r.Context(), &q)
	if err != nil {
		return false, fmt.Errorf("route %s: %w", v.Route.Name, err)
	}
	return v.lockedBy(found), nil
}

// lockedBy sets the verdict, unless there is no lock. What it is for is not for the
// client to read.
func (v *Verdict) lockedBy(l *lock.Lock) bool {
	if l == nil {
		return false
	}
	v.Outcome, v.Reason, v.Message, v.lock = Forbid, ReasonLocked, l.Message, l
	return true
}

// LockID names the lock that was in the way; "" where none was.
func (v *Verdict) LockID() string {
	if v.lock == nil {
		return ""
	}
	return v.lock.ID
}

// Barred returns a function that tells whether a lock by now matches what goes on
// after a request was let in, whoever it is of. It is quick.
func (g *Guard) Barred(r *http.Request, v *Verdict) func(*identity.Identity) bool {
	if g.locks == nil {
		return nil
	}
	q := lock.Question{Route: v.Route.Name, Address: g.address(r), Own: g.ownIssuer}
	return func(id *identity.Identity) bool {
		asked := q
		asked.Identity = id
		return g.locks.Now(&asked) != nil
	}
}

// LockExplanation is the lock that is in the way of a request, as operators see it.
type LockExplanation struct {
	ID     string    `json:"id"`
	On     string    `json:"on"` // what it matches, in words
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"`
}

// locked explains the lock that matches a question, where one does, and sets the
// verdict. An error is an outage.
func (g *Guard) locked(ctx context.Context, q *Question, x *Explanation, v *Verdict) (bool, error) {
	if g.locks == nil {
		return false, nil
	}
	ask := lock.Question{Route: v.Route.Name, Address: plain(q.Client), Identity: v.Identity, Own: g.ownIssuer}
	found := g.locks.Now(&ask)
	if found == nil && v.Identity != nil {
		var err error
		if found, err = g.locks.Judge(ctx, &ask); err != nil {
			return false, fmt.Errorf("route %s: %w", v.Route.Name, err)
		}
	}
	x.Lock = explainLock(found)
	return v.lockedBy(found), nil
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func explainLock(l *lock.Lock) *LockExplanation {
	if l == nil {
		return nil
	}
	return &LockExplanation{ID: l.ID, On: l.String(), Reason: l.Reason, Since: l.Created, Until: l.Until}
}
