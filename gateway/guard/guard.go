// Package guard decides. Decide is one function with numbered steps that every
// front end calls with the client's request; it writes nothing and redirects
// nobody. Its Verdict is a value: applying it to an upstream request only
// copies, because everything that can fail has happened before.
package guard

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/lock"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// Cookies knows the gateway's own cookies, which never reach an application
// and which no application sets. session.Cookies implements it.
type Cookies interface {
	Owns(name string) bool
	Reserved(name string) bool
}

// Options are what a Guard decides with.
type Options struct {
	Routes  *route.Table
	Cookies Cookies
	Scheme  string // of public_url: what browsers see, whatever the connection to the gateway is

	// Client tells the address of a request's client, as far as proxies are trusted;
	// the zero Addr where it is not known. Without it no policy knows any.
	Client func(*http.Request) netip.Addr

	// Entrances says that requests can have an Entrance in their context.
	Entrances bool
	// Listeners are the Entrances of the listeners with policies of their own, by
	// the name that Through was given.
	Listeners map[string]*Entrance

	// Denied keeps a denial, so that somebody can ask about it later, and returns
	// the name to ask by. Without it, decisions have no names.
	Denied func(*Denial) (decision string)

	// Locks are what operators have locked; nil = nothing ever is.
	Locks *lock.Locks
	// OwnIssuer is that of the tokens that the gateway signs: a lock on who has proven
	// their user is on them too.
	OwnIssuer string
}

// Guard holds what decisions need: the compiled routes. It is immutable and
// safe for concurrent use.
type Guard struct {
	routes    *route.Table
	cookies   Cookies
	site      site
	client    func(*http.Request) netip.Addr
	denied    func(*Denial) string
	locks     *lock.Locks
	ownIssuer string
	entrances bool
	listeners map[string]*Entrance
}

// New makes a Guard.
func New(o Options) *Guard {
	return &Guard{
		routes: o.Routes, cookies: o.Cookies, site: newSite(o.Scheme), client: o.Client, denied: o.Denied, locks: o.Locks, ownIssuer: o.OwnIssuer,
		entrances: o.Entrances || len(o.Listeners) > 0, listeners: o.Listeners,
	}
}

// errNobody keeps an authenticator that breaks its contract from counting as proof.
var errNobody = errors.New("the credential was accepted and nobody is behind it")

// Decide judges a request. Refusals are values; an error means that something
// that must be asked could not answer, which is neither yes nor no: 503.
func (g *Guard) Decide(r *http.Request) (Verdict, error) {
	v := Verdict{Kind: authn.KindNone, cookies: g.cookies}

	// 1. Match the route. No route is a refusal, not a pass.
	if g.preflight(r, &v) {
		g.closed(r, &v)
		return v, nil
	}
	m, err := g.routes.Match(r)
	if err != nil {
		v.mismatch(err, m)
		return v, nil
	}
	rt := m.Route
	v.Route = rt
	if g.closed(r, &v) {
		return v, nil
	}
	if rt.Public {
		g.public(r, &v)
		return v, nil
	}

	// 2. Take the credential: the first that is present, without any I/O.
	auth, cred, err := rt.Auth.Extract(r, !rt.UpstreamAuthorization)
	if err != nil {
		return v, v.refuse(err)
	}
	v.Kind, v.Bytes = cred.Kind, cred.Bytes

	// 3. Prove it. A failure is final: no other credential is tried.
	id, err := auth.Authenticate(r.Context(), cred)
	if err == nil && id == nil {
		err = errNobody
	}
	if err != nil {
		return v, v.refuse(err)
	}
	v.Identity = id

	// 4. Refuse whom a lock is on, and what a page of another site sent with it, and
	// ask the policy, then that of the listener.
	in := input(r, &m, id, v.Kind, g.address(r), time.Now())
	allowed, err := g.judge(r, &v, &in)
	if err != nil {
		return v, err
	}

	// 5. Answer. The headers are made here, so that nothing can fail later.
	if allowed {
		if err := v.prepare(r); err != nil {
			return v, err
		}
	}
	if g.denied != nil && v.worthAsking() {
		v.Decision = g.denied(newDenial(v, in))
	}
	return v, nil
}

// input is what the policy sees of the request.
func input(r *http.Request, m *route.Match, id *identity.Identity, kind authn.Kind, client netip.Addr, now time.Time) policy.Input {
	return policy.Input{
		Route:    m.Route.Name,
		Identity: policyIdentity(id, kind),
		Request:  policy.Request{Method: r.Method, Host: m.Host, Path: m.Path, RawQuery: r.URL.RawQuery, Header: r.Header},
		Client:   policy.Client{Address: client},
		Now:      now,
	}
}

// address is that of the client, where somebody can tell it.
func (g *Guard) address(r *http.Request) netip.Addr {
	if g.client == nil {
		return netip.Addr{}
	}
	return g.client(r)
}

// judge reports whether a proven user is allowed, and sets the verdict where he is
// not. An error is an outage.
func (g *Guard) judge(r *http.Request, v *Verdict, in *policy.Input) (allowed bool, err error) {
	if locked, err := g.barred(r, v); locked || err != nil {
		return false, err
	}
	if g.misplaced(r, v) || unreadable(v.Route.Policy, v, in) {
		return false, nil
	}
	d, err := v.Route.Policy.Evaluate(r.Context(), in)
	allowed, err = v.ruled(&d, err)
	if e := g.entrance(r); e != nil && allowed {
		return e.admits(r.Context(), v, in)
	}
	return allowed, err
}

// misplaced sets the verdict for a credential that does not count here, whatever
// the policy says.
func (g *Guard) misplaced(r *http.Request, v *Verdict) bool {
	if g.site.refuses(r, v) {
		return true
	}
	if v.Kind == authn.KindSession && len(v.Route.Providers) > 0 && !slices.Contains(v.Route.Providers, v.Identity.Method) {
		// Proven, but not in the way that this route wants.
		v.Outcome, v.Reason = Forbid, ReasonWrongProvider
		return true
	}
	return false
}

// unreadable sets the verdict for a query that has two readings, or none, where
// the policy reads it: the application might find what the policy did not.
func unreadable(set *policy.Set, v *Verdict, in *policy.Input) bool {
	if !set.ReadsQuery() {
		return false
	}
	err := policy.CheckQuery(in.Request.RawQuery)
	if err != nil {
		v.Outcome, v.Reason, v.Err = Malformed, ReasonMalformedQuery, err
	}
	return err != nil
}

// public sets the verdict for a route on which nobody has to prove anything.
func (g *Guard) public(r *http.Request, v *Verdict) {
	if !g.site.refuses(r, v) {
		v.Outcome, v.Reason = Allow, ReasonPublic
	}
}

func policyIdentity(id *identity.Identity, kind authn.Kind) policy.Identity {
	return policy.Identity{
		Issuer:            id.Issuer,
		Subject:           id.Subject,
		Email:             id.Email,
		EmailVerified:     id.EmailVerified,
		Name:              id.Name,
		PreferredUsername: id.PreferredUsername,
		Groups:            id.Groups,
		Claims:            id.Claims,
		ACR:               id.ACR,
		AMR:               id.AMR,
		AuthTime:          id.AuthTime,
		Provider:          id.Method,
		Credential:        string(kind),
	}
}
