package guard

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// Question is a request that somebody asks about.
type Question struct {
	Request *http.Request // Method, Host, URL and Header count
	Client  netip.Addr    // as policies see it
	Now     time.Time

	// Identity takes the place of the proof: the request is judged as if this user
	// had sent it with a credential of the Kind, or of the kind that the route prefers
	// where that is empty. Where it is nil, the request's own credential counts.
	Identity *identity.Identity
	Kind     authn.Kind
	// Entrance is the listener that the request comes in by; nil for one without a
	// policy.
	Entrance *Entrance
	// Unproven says that the request's own credential can't be judged here.
	Unproven bool
}

// Explain is Decide with its reasons: the same verdict on the same request, made by
// the same steps. It mints and forwards no token, so that a verdict that hangs on
// one is not found, and it counts as nobody's activity.
func (g *Guard) Explain(ctx context.Context, q Question) *Explanation {
	r := q.Request
	x := &Explanation{Time: q.Now, Method: r.Method, Host: r.Host, Path: r.URL.Path, Client: policy.Client{Address: q.Client}.String()}
	v := Verdict{Kind: authn.KindNone, cookies: g.cookies}
	if q.Entrance != nil {
		x.Listener = &ListenerExplanation{Name: q.Entrance.Name}
	}

	m, candidates, err := g.routes.Explain(r)
	x.Routes = candidates
	if g.preflight(r, &v) {
		x.Route = v.Route.Name
		return g.passes(ctx, &q, x, &v)
	}
	if err != nil {
		v.mismatch(err, m)
		x.judged(&v, nil)
		x.Verdict.Problem = err.Error()
		return x
	}
	v.Route = m.Route
	x.Route, x.Host, x.Path = m.Route.Name, m.Host, m.Path
	if m.Route.Public {
		g.public(r, &v)
		return g.passes(ctx, &q, x, &v)
	}
	if locked, _ := g.locked(ctx, &q, x, &v); locked {
		x.judged(&v, nil)
		return x
	}
	if proven, err := x.prove(ctx, &v, &q); !proven {
		x.judged(&v, err)
		return x
	}
	x.Identity = newPerson(v.Identity, v.Kind)
	if locked, err := g.locked(ctx, &q, x, &v); locked || err != nil {
		x.judged(&v, err)
		return x
	}
	if g.misplaced(r, &v) {
		x.judged(&v, nil)
		return x
	}

	in := input(r, &m, v.Identity, v.Kind, q.Client, q.Now)
	if unreadable(m.Route.Policy, &v, &in) {
		x.judged(&v, nil)
		return x
	}
	ruling := m.Route.Policy.Explain(ctx, &in)
	x.Policy = &ruling
	allowed, err := v.ruled(&ruling.Decision, ruling.Err)
	if q.Entrance != nil && allowed {
		allowed, err = q.Entrance.explain(ctx, x, &v, &in)
	}
	if allowed {
		v.admit(m.Route.Headers.Prepare(v.Identity))
		_, _ = v.signIn() // what it would send is not for anybody's eyes
	}
	x.judged(&v, err)
	if v.Outcome == Allow {
		x.upstream(&v, r.Header)
	}
	return x
}

// passes explains what nobody has to prove anything for, unless it is locked.
func (g *Guard) passes(ctx context.Context, q *Question, x *Explanation, v *Verdict) *Explanation {
	locked, err := g.locked(ctx, q, x, v)
	x.judged(v, err)
	if v.Outcome == Allow && !locked && err == nil {
		x.upstream(v, q.Request.Header)
	}
	return x
}

// errUnproven is the answer of somebody who can't ask the store or the issuer.
var errUnproven = errors.New("only a running gateway can tell whether the credential is good")

// prove says which credentials are looked for and whose the request is. An error
// is an outage.
func (x *Explanation) prove(ctx context.Context, v *Verdict, q *Question) (proven bool, err error) {
	rt := v.Route
	if q.Identity != nil {
		return x.assume(v, q), nil
	}
	for _, a := range rt.Auth {
		x.Credentials = append(x.Credentials, CredentialExplanation{Kind: string(a.Kind()), Finding: finding(a, q.Request)})
	}
	auth, cred, err := rt.Auth.Extract(q.Request, !rt.UpstreamAuthorization)
	if err != nil {
		return false, v.refuse(err)
	}
	v.Kind, v.Bytes = cred.Kind, cred.Bytes
	x.used(cred.Kind, "is there, and counts")
	if q.Unproven {
		return false, errUnproven
	}
	cred.Active = false
	id, err := auth.Authenticate(ctx, cred)
	if err == nil && id == nil {
		err = errNobody
	}
	if err != nil {
		x.used(cred.Kind, "is there, and is refused")
		return false, v.refuse(err)
	}
	v.Identity = id
	return true, nil
}

func (x *Explanation) used(kind authn.Kind, finding string) {
	for i := range x.Credentials {
		if x.Credentials[i].Kind == string(kind) {
			x.Credentials[i].Used, x.Credentials[i].Finding = true, finding
		}
	}
}

// finding says whether a credential of one kind is in the request.
func finding(a authn.Authenticator, r *http.Request) string {
	_, err := a.Extract(r)
	switch refusal, refused := errors.AsType[*authn.Refusal](err); {
	case err == nil:
		return "is there, but another one outranks it"
	case errors.Is(err, authn.ErrNoCredential):
		return "is not in the request"
	case refused:
		return "is there, and is refused: " + refusal.Reason
	}
	return "can't be looked for now"
}

// assume takes the identity of the question for proven, where the route takes the
// kind of credential at all.
func (x *Explanation) assume(v *Verdict, q *Question) bool {
	kind, taken := q.Kind, false
	for _, a := range v.Route.Auth {
		if kind == "" || kind == a.Kind() {
			kind, taken = a.Kind(), true
		}
	}
	if q.Kind == "" {
		kind = preferred(v.Route)
	}
	for _, a := range v.Route.Auth {
		one := CredentialExplanation{Kind: string(a.Kind()), Finding: "is not looked at"}
		if a.Kind() == kind {
			one.Finding, one.Used = "is taken for proven", true
		}
		x.Credentials = append(x.Credentials, one)
	}
	if !taken {
		x.Credentials = append(x.Credentials, CredentialExplanation{Kind: string(kind), Finding: "does not count on this route"})
		v.Outcome, v.Reason = Challenge, authn.ReasonNoCredential
		return false
	}
	v.Kind, v.Identity = kind, q.Identity
	return true
}

// preferred is the session, which is what people come with, or else the first kind.
func preferred(rt *route.Route) authn.Kind {
	for _, a := range rt.Auth {
		if a.Kind() == authn.KindSession {
			return authn.KindSession
		}
	}
	if len(rt.Auth) == 0 {
		return authn.KindNone
	}
	return rt.Auth[0].Kind()
}

// ExplainDenial tells why: the decision as it was made, and what every rule says of what
// it was made on. Values that rules read from files are those of now. The name is
// that which the denial is kept by.
func (g *Guard) ExplainDenial(name string, d *Denial) *Explanation {
	v, in := d.verdict, d.input
	r := &http.Request{Method: in.Request.Method, Host: in.Request.Host, RequestURI: (&url.URL{Path: in.Request.Path}).EscapedPath(), Header: in.Request.Header}
	x := &Explanation{
		Decision: name, Time: in.Now, Method: r.Method, Host: in.Request.Host, Path: in.Request.Path,
		Client: in.Client.String(), Route: v.Route.Name, Identity: newPerson(v.Identity, v.Kind),
	}
	_, x.Routes, _ = g.routes.Explain(r) // the refusal, if there is one now, is not what was asked
	for _, a := range v.Route.Auth {
		one := CredentialExplanation{Kind: string(a.Kind()), Finding: "did not count"}
		if a.Kind() == v.Kind {
			one.Finding, one.Used = "was there, and was good", true
		}
		x.Credentials = append(x.Credentials, one)
	}
	x.Lock = explainLock(v.lock)
	if v.Reason != ReasonLocked && v.Reason != ReasonCrossSite && v.Reason != ReasonCrossSiteRequest && v.Reason != ReasonWrongProvider {
		ruling := v.Route.Policy.Explained(&in, policy.Decision{}, nil)
		x.Policy = &ruling
	}
	if e := v.entrance; e != nil {
		ruling := e.Policy.Explained(&in, policy.Decision{}, nil)
		x.Listener = &ListenerExplanation{Name: e.Name, Policy: &ruling}
	}
	x.judged(&v, nil)
	if len(d.withheld) > 0 {
		x.Notes = append(x.Notes, "These header fields were not kept, and conditions on them are shown as if they had not been there: "+strings.Join(d.withheld, ", ")+".")
	}
	return x
}
