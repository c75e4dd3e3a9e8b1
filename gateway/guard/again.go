package guard

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/policy"
)

// askAgainAfter is how long the answer of an external authorizer counts for a
// stream that is open, so that open streams don't become its load.
const askAgainAfter = 5 * time.Second

// Again returns a function that asks the policy anew about a request that was
// allowed and whose answer goes on: whether this user would be let in at this
// moment. An outage is no reason to end what was allowed, so that the answer is
// true then. It is nil where no policy decided. The request must not change while
// the function is in use.
func (g *Guard) Again(r *http.Request, v *Verdict) func(context.Context, *identity.Identity) bool {
	if v.Outcome != Allow || v.Identity == nil {
		return nil
	}
	m, err := g.routes.Match(r)
	if err != nil {
		return nil
	}
	sets, kind, client := []*policy.Set{v.Route.Policy}, v.Kind, g.address(r)
	if e := g.entrance(r); e != nil {
		sets = append(sets, e.Policy)
	}
	external := slices.ContainsFunc(sets, (*policy.Set).External)
	var asked atomic.Int64 // when, where that costs others something
	asked.Store(time.Now().UnixNano())
	barred := g.Barred(r, v)
	return func(ctx context.Context, id *identity.Identity) bool {
		if barred != nil && barred(id) {
			return false
		}
		now := time.Now()
		if external {
			if last := asked.Load(); now.UnixNano()-last < int64(askAgainAfter) || !asked.CompareAndSwap(last, now.UnixNano()) {
				return true
			}
		}
		in := input(r, &m, id, kind, client, now)
		for _, set := range sets {
			d, err := set.Evaluate(ctx, &in)
			if _, outage := errors.AsType[*policy.OutageError](err); !outage && d.Effect != policy.Allow {
				return false
			}
		}
		return true
	}
}
