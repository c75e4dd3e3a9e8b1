package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/cost"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/policy"
)

// costJudge decides on requests as every front end does: one route that takes
// sessions and tokens, under a policy of five rules.
type costJudge struct{ guard *guard.Guard }

func newCostJudge(sessions *session.Manager, bearer *authn.Bearer, claims *cost.Claims) (*costJudge, error) {
	engine, err := newEngine()
	if err != nil {
		return nil, err
	}
	rules, err := engine.Compile(policy.Policy{Name: "five", Rules: []policy.Rule{
		{Name: "contractors", Deny: &policy.Match{Groups: []string{"contractors"}}},
		{Name: "suspended", Deny: &policy.Match{Claims: []policy.Claim{{Name: "status", Values: []string{"suspended"}}}}},
		{Name: "board", Allow: &policy.Match{Emails: []string{"dana@example.com"}}},
		{Name: "finance admins", Allow: &policy.Match{Groups: []string{"admin"}, Claims: []policy.Claim{{Name: "department", Values: []string{"finance"}}}}},
		{Name: "whoever is measured", Allow: &policy.Match{Subjects: []string{claims.Subject()}}},
	}})
	if err != nil {
		return nil, err
	}
	set, err := headers.Compile(nil, headers.Options{})
	if err != nil {
		return nil, err
	}
	app := &route.Route{
		Name: "app", Policy: rules, Headers: set,
		Auth: authn.Order([]authn.Authenticator{authn.NewSession(sessions), bearer}),
	}
	table, err := route.NewTable([]route.Entry{{Route: app, Paths: []string{"/"}}}, []string{"app.example.com"})
	if err != nil {
		return nil, err
	}
	return &costJudge{guard.New(guard.Options{Routes: table, Cookies: sessions.Cookies(), Scheme: "https"})}, nil
}

// allows returns a function that fails where the request is not allowed.
func (j *costJudge) allows(ctx context.Context, f cost.Field) func() error {
	return j.expect(ctx, f, func(v *guard.Verdict) bool { return v.Outcome == guard.Allow })
}

// refuses returns a function that fails where the request is not refused for
// the reason.
func (j *costJudge) refuses(ctx context.Context, f cost.Field, reason string) func() error {
	return j.expect(ctx, f, func(v *guard.Verdict) bool { return v.Outcome == guard.Challenge && v.Reason == reason })
}

func (j *costJudge) expect(ctx context.Context, f cost.Field, wanted func(*guard.Verdict) bool) func() error {
	r, err := cost.Request(f)
	if err != nil {
		return func() error { return err }
	}
	r = r.WithContext(ctx)
	return func() error {
		v, err := j.guard.Decide(r)
		if err != nil {
			return err
		}
		if !wanted(&v) {
			return fmt.Errorf("the gateway answered %s: %s", v.Outcome, v.Reason)
		}
		return nil
	}
}

// forge changes the credential in the middle of its keyed check or signature.
func forge(f cost.Field) cost.Field {
	at := len(f.Value) - 5
	other := "A"
	if f.Value[at] == 'A' {
		other = "B"
	}
	f.Value = f.Value[:at] + other + f.Value[at+1:]
	return f
}

// untilRefused times from the beginning of a revocation until a gateway refuses.
func untilRefused(revoke, refused func() error) (time.Duration, error) {
	const patience = time.Second
	start := time.Now()
	if err := revoke(); err != nil {
		return 0, err
	}
	for {
		err := refused()
		took := time.Since(start)
		if err == nil || took > patience {
			return took, err
		}
	}
}
