package guard

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// askAgainAfter is how long the answer of an external authorizer counts for a
// stream that is open, so that open streams don't become its load.
const askAgainAfter = 5 * time.Second

// Again returns a function that asks anew about a request that was allowed and
// whose answer goes on: whether this user would be let in at this moment. now is
// the Guard that decides by then, which a reload has put in the place of this one;
// nil is this one for ever. An outage is no reason to end what was allowed, so that
// the answer is true then. It is nil where nobody had to be anybody. The request
// must not change while the function is in use.
func (g *Guard) Again(r *http.Request, v *Verdict, now func() *Guard) func(context.Context, *identity.Identity) bool {
	if v.Outcome != Allow || v.Identity == nil {
		return nil
	}
	m, err := g.routes.Match(r)
	if err != nil {
		return nil
	}
	a := &again{request: r, kind: v.Kind, barred: g.Barred(r, v)}
	a.terms.Store(g.termsOf(r, v.Route, &m))
	a.asked.Store(time.Now().UnixNano())
	if now == nil {
		now = func() *Guard { return g }
	}
	return func(ctx context.Context, id *identity.Identity) bool { return a.judge(ctx, now(), id) }
}

// again is a request that goes on.
type again struct {
	request *http.Request
	kind    authn.Kind
	barred  func(*identity.Identity) bool // by a lock; nil where there are none
	terms   atomic.Pointer[terms]
	asked   atomic.Int64 // when, where that costs others something
}

// terms are what one Guard asks of it. They are immutable.
type terms struct {
	guard    *Guard
	match    route.Match
	sets     []*policy.Set
	external bool
	client   netip.Addr
}

func (g *Guard) termsOf(r *http.Request, rt *route.Route, m *route.Match) *terms {
	t := &terms{guard: g, match: *m, sets: []*policy.Set{rt.Policy}, client: g.address(r)}
	if e := g.entrance(r); e != nil {
		t.sets = append(t.sets, e.Policy)
	}
	t.external = slices.ContainsFunc(t.sets, (*policy.Set).External)
	return t
}

func (a *again) judge(ctx context.Context, g *Guard, id *identity.Identity) bool {
	if a.barred != nil && a.barred(id) {
		return false
	}
	t := a.terms.Load()
	if t.guard != g {
		if t = g.renewed(a); t == nil {
			return false
		}
		a.terms.Store(t)
		a.asked.Store(0)
	}
	if t.match.Route.Public {
		return true
	}
	if rt := t.match.Route; a.kind == authn.KindSession && len(rt.Providers) > 0 && !slices.Contains(rt.Providers, id.Method) {
		return false
	}
	now := time.Now()
	if t.external {
		if last := a.asked.Load(); now.UnixNano()-last < int64(askAgainAfter) || !a.asked.CompareAndSwap(last, now.UnixNano()) {
			return true
		}
	}
	in := input(a.request, &t.match, id, a.kind, t.client, now)
	for _, set := range t.sets {
		d, err := set.Evaluate(ctx, &in)
		if _, outage := errors.AsType[*policy.OutageError](err); !outage && d.Effect != policy.Allow {
			return false
		}
	}
	return true
}

// renewed are the terms of a Guard that came later; nil where it has no route for the
// request, or one that does not take what the user came in with.
func (g *Guard) renewed(a *again) *terms {
	m, err := g.routes.Match(a.request)
	if err != nil {
		return nil
	}
	rt := m.Route
	if !rt.Public {
		_, cred, err := rt.Auth.Extract(a.request, !rt.UpstreamAuthorization)
		if err != nil || cred.Kind != a.kind {
			return nil
		}
	}
	return g.termsOf(a.request, rt, &m)
}
