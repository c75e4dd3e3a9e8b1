package guard

import (
	"context"
	"net/http"

	"github.com/sallyport/sallyport/policy"
)

// Entrance is a listener that not everybody may come in by: its policy must allow,
// besides the route's, what comes to routes that are not public.
type Entrance struct {
	Name   string
	Policy *policy.Set
}

type entranceKey struct{}

// In returns a context of requests that come in by the entrance.
func (e *Entrance) In(ctx context.Context) context.Context {
	return context.WithValue(ctx, entranceKey{}, e)
}

// listenerName is what a request came in by, whatever policy that has by now.
type listenerName string

// Through returns a context of requests that come in by a listener. The policy that
// it has is looked for with each request: a connection can be older than that.
func Through(ctx context.Context, listener string) context.Context {
	return context.WithValue(ctx, entranceKey{}, listenerName(listener))
}

// entrance is what the request came in by; nil for a listener without a policy.
func (g *Guard) entrance(r *http.Request) *Entrance {
	if !g.entrances {
		return nil
	}
	switch by := r.Context().Value(entranceKey{}).(type) {
	case *Entrance:
		return by
	case listenerName:
		return g.listeners[string(by)]
	}
	return nil
}

// admits asks the policy of the entrance about somebody whom the route's allows. What
// the route's policy has said stays in the verdict, unless this one refuses.
func (e *Entrance) admits(ctx context.Context, v *Verdict, in *policy.Input) (allowed bool, err error) {
	if unreadable(e.Policy, v, in) {
		v.entrance = e
		return false, nil
	}
	d, err := e.Policy.Evaluate(ctx, in)
	return e.ruled(v, &d, err)
}

func (e *Entrance) ruled(v *Verdict, d *policy.Decision, err error) (allowed bool, outage error) {
	before := *v
	allowed, outage = v.ruled(d, err)
	shadow := v.Shadow
	if allowed {
		*v = before
	} else {
		v.entrance = e
	}
	// Of two policies in the mode shadow, that is told which would refuse.
	v.Shadow = before.Shadow
	if shadow.Judged && (!v.Shadow.Judged || v.Shadow.Effect == policy.Allow) {
		v.Shadow = shadow
	}
	return allowed, outage
}

// ListenerExplanation is what the listener of a request has to do with it.
type ListenerExplanation struct {
	Name   string              `json:"name"`
	Policy *policy.Explanation `json:"policy,omitempty"` // nil where it was not asked
}

// explain says what the policy of the entrance says of somebody whom the route's
// allows.
func (e *Entrance) explain(ctx context.Context, x *Explanation, v *Verdict, in *policy.Input) (allowed bool, err error) {
	if unreadable(e.Policy, v, in) {
		return false, nil
	}
	ruling := e.Policy.Explain(ctx, in)
	x.Listener.Policy = &ruling
	return e.ruled(v, &ruling.Decision, ruling.Err)
}
