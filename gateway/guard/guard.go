// Package guard decides. Decide is one function with numbered steps that every
// front end calls with the client's request; it writes nothing and redirects
// nobody. Its Verdict is a value: applying it to an upstream request only
// copies, because everything that can fail has happened before.
package guard

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// Outcome is what is to be done with a request. The zero Outcome forbids.
type Outcome uint8

// The outcomes.
const (
	Forbid    Outcome = iota // proven or not, this may not pass: 403
	Challenge                // no or bad credential: sign in, or 401
	NoRoute                  // nothing is served here: 404
	Allow                    // forward it
	BadMethod                // the path is served, this method is not: 405
	BadHost                  // the host is not served: 421
	Malformed                // the request could mean two things: 400
	StepUp                   // proven, and allowed after another sign-in: sign in, or 401
	TooMany                  // too many failed before: 429
)

// String returns the outcome's name in logs and metrics.
func (o Outcome) String() string {
	switch o {
	case Challenge:
		return "challenge"
	case NoRoute:
		return "no_route"
	case Allow:
		return "allow"
	case BadMethod:
		return "bad_method"
	case BadHost:
		return "bad_host"
	case Malformed:
		return "malformed"
	case StepUp:
		return "step_up"
	case TooMany:
		return "too_many"
	case Forbid:
	}
	return "forbid"
}

// Reasons of verdicts, besides those of packages authn, jose and policy.
const (
	ReasonPublic           = "public"
	ReasonNoRoute          = "no_route"
	ReasonMethodNotAllowed = "method_not_allowed"
	ReasonUnknownHost      = "unknown_host"
	ReasonWrongProvider    = "wrong_provider"
	ReasonCrossSite        = "cross_site_upgrade"
	ReasonMissingClaim     = "missing_header_claim"
	ReasonIdentityTooLarge = "identity_too_large"
)

// Route is what a verdict speaks of, so that front ends need not know how
// routes are compiled.
type Route = route.Route

// Verdict is the answer to one request, valid for that request alone.
type Verdict struct {
	Outcome  Outcome
	Reason   string // one word of the closed list
	Rule     string // of the policy, where one decided
	Route    *route.Route
	Allowed  []string // methods, for BadMethod
	Identity *identity.Identity
	Kind     authn.Kind
	Bytes    int           // of the credential on the wire
	Message  string        // what the policy tells people whom it denies
	StepUp   policy.StepUp // what is asked for, for StepUp
	Shadow   policy.Shadowed
	Wait     time.Duration // before another attempt, for TooMany
	Err      error         // what went wrong inside, for the log alone

	values  *headers.Prepared
	cookies Cookies
}

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
}

// Guard holds what decisions need: the compiled routes. It is immutable and
// safe for concurrent use.
type Guard struct {
	routes  *route.Table
	cookies Cookies
	scheme  string
	client  func(*http.Request) netip.Addr
}

// New makes a Guard.
func New(o Options) *Guard {
	return &Guard{routes: o.Routes, cookies: o.Cookies, scheme: o.Scheme, client: o.Client}
}

// errNobody keeps an authenticator that breaks its contract from counting as proof.
var errNobody = errors.New("the credential was accepted and nobody is behind it")

// Decide judges a request. Refusals are values; an error means that something
// that must be asked could not answer, which is neither yes nor no: 503.
func (g *Guard) Decide(r *http.Request) (Verdict, error) {
	v := Verdict{Kind: authn.KindNone, cookies: g.cookies}

	// 1. Match the route. No route is a refusal, not a pass.
	m, err := g.routes.Match(r)
	if err != nil {
		v.mismatch(err, m)
		return v, nil
	}
	rt := m.Route
	v.Route = rt
	if rt.Public {
		v.Outcome, v.Reason = Allow, ReasonPublic
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
	if v.Kind == authn.KindSession && !g.sameOriginUpgrade(r) {
		v.Outcome, v.Reason = Forbid, ReasonCrossSite
		return v, nil
	}

	if v.Kind == authn.KindSession && len(rt.Providers) > 0 && !slices.Contains(rt.Providers, id.Method) {
		// Proven, but not in the way that this route wants.
		v.Outcome, v.Reason = Forbid, ReasonWrongProvider
		return v, nil
	}

	// 4. Ask the policy.
	in := policy.Input{
		Route:    rt.Name,
		Identity: policyIdentity(id, v.Kind),
		Request:  policy.Request{Method: r.Method, Host: m.Host, Path: m.Path, RawQuery: r.URL.RawQuery, Header: r.Header},
		Now:      time.Now(),
	}
	if g.client != nil {
		in.Client.Address = g.client(r)
	}
	d, err := rt.Policy.Evaluate(r.Context(), &in)
	v.Shadow = d.Shadow
	if outage, ok := errors.AsType[*policy.OutageError](err); ok {
		return v, fmt.Errorf("route %s: %w", rt.Name, outage)
	}
	if err != nil {
		// A rule that fails to evaluate must not count as one that did not match.
		v.Outcome, v.Rule, v.Reason, v.Err = Forbid, d.Rule, policy.ReasonPolicyError, err
		return v, nil //nolint:nilerr // a refusal, not an outage
	}
	v.Rule, v.Reason, v.Message, v.StepUp = d.Rule, d.Reason, d.Message, d.StepUp
	if d.Effect == policy.NeedStepUp {
		v.Outcome = StepUp
	}
	if d.Effect != policy.Allow {
		return v, nil
	}

	// 5. Answer. The headers are made here, so that nothing can fail later.
	v.values, err = rt.Headers.Prepare(id)
	if err == nil && rt.Assert != nil {
		var token string
		if token, err = rt.Assert(id, time.Now()); err != nil {
			return v, v.refuse(err)
		}
		v.values, err = v.values.WithAssertion(token)
	}
	if err == nil && rt.Forward != nil && v.Kind == authn.KindSession {
		var token string
		if token, err = rt.Forward(r.Context(), id); err != nil {
			return v, v.withhold(err)
		}
		v.values, err = v.values.WithAccessToken(token)
	}
	if err != nil {
		v.Reason, v.Err = headerReason(err), err
		return v, nil
	}
	v.Outcome = Allow
	return v, nil
}

// withhold sets the verdict for an access token that can't be forwarded. Signing
// in again does not help who has no such token, so that he is not asked to.
func (v *Verdict) withhold(err error) error {
	if no, ok := errors.AsType[*authn.Refusal](err); ok && no.Reason == authn.ReasonNoAccessToken {
		v.Outcome, v.Reason = Forbid, no.Reason
		return nil
	}
	return v.refuse(err)
}

// Session names the session behind the request, in the form in which logs show
// it; empty where the credential was none.
func (v *Verdict) Session() string {
	if v.Identity == nil || v.Kind != authn.KindSession {
		return ""
	}
	return v.Identity.Ref.String()
}

// Rewrite turns the headers that the client sent into those that the upstream
// may see: everything that could pass for the gateway's word goes, credentials
// that the gateway consumed go, then the identity is set.
func (v *Verdict) Rewrite(out http.Header) {
	headers.StripCookies(out, v.cookies.Owns)
	v.Route.Headers.Strip(out)
	if !v.Route.Public {
		if !v.Route.UpstreamAuthorization {
			v.Route.Auth.Strip(out)
		}
		v.values.Apply(out)
	}
}

// Response removes from an upstream's answer what would touch the gateway's
// own cookies.
func (v *Verdict) Response(h http.Header) {
	headers.DropSetCookies(h, v.cookies.Reserved)
	headers.KeepCookies(h)
}

// sameOriginUpgrade reports whether a request is no upgrade, or one that the
// site itself started. Browsers send cookies with the WebSocket handshakes of
// any site and apply no CORS to them, so the gateway must look at the Origin
// (cross-site WebSocket hijacking; RFC 6455, section 10.2).
func (g *Guard) sameOriginUpgrade(r *http.Request) bool {
	if len(r.Header["Upgrade"]) == 0 && len(r.Header["Sec-Websocket-Key"]) == 0 && r.Method != http.MethodConnect {
		return true
	}
	origin := r.Header["Origin"]
	if len(origin) != 1 {
		return false
	}
	host, ok := strings.CutPrefix(origin[0], g.scheme+"://")
	return ok && strings.EqualFold(host, r.Host)
}

func (v *Verdict) mismatch(err error, m route.Match) {
	switch {
	case errors.Is(err, route.ErrNoRoute):
		v.Outcome, v.Reason = NoRoute, ReasonNoRoute
	case errors.Is(err, route.ErrMethod):
		v.Outcome, v.Reason, v.Allowed = BadMethod, ReasonMethodNotAllowed, m.Allow
	case errors.Is(err, route.ErrHost):
		v.Outcome, v.Reason = BadHost, ReasonUnknownHost
	default:
		v.Outcome, v.Reason = Malformed, "malformed_request"
		if bad, ok := errors.AsType[*route.BadRequest](err); ok {
			v.Reason = bad.Reason
		}
	}
}

// refuse sets the verdict for a refusal, and passes an outage on.
func (v *Verdict) refuse(err error) error {
	if errors.Is(err, authn.ErrNoCredential) {
		v.Outcome, v.Reason = Challenge, authn.ReasonNoCredential
		return nil
	}
	if no, ok := errors.AsType[*authn.Refusal](err); ok {
		v.Outcome, v.Reason = Challenge, no.Reason
		return nil
	}
	if many, ok := errors.AsType[*authn.TooMany](err); ok {
		v.Outcome, v.Reason, v.Wait = TooMany, many.Reason, many.Wait
		return nil
	}
	return fmt.Errorf("route %s: %w", v.Route.Name, err)
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

func headerReason(err error) string {
	if _, ok := errors.AsType[*headers.TooLargeError](err); ok {
		return ReasonIdentityTooLarge
	}
	return ReasonMissingClaim
}
