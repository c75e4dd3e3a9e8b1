package guard

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/lock"
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
	ReasonPreflight        = "preflight"
	ReasonNoRoute          = "no_route"
	ReasonMethodNotAllowed = "method_not_allowed"
	ReasonUnknownHost      = "unknown_host"
	ReasonWrongProvider    = "wrong_provider"
	ReasonCrossSite        = "cross_site_upgrade"
	ReasonCrossSiteRequest = "cross_site_request"
	ReasonMalformedQuery   = "malformed_query"
	ReasonMissingClaim     = "missing_header_claim"
	ReasonIdentityTooLarge = "identity_too_large"
	ReasonNoCredential     = "no_upstream_credential" //nolint:gosec // a word, not a credential
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
	entrance *Entrance // whose policy decided; nil where it was the route's
	// CrossSite is set where a page of another site sent the request, let in or not.
	CrossSite CrossSite
	Decision  string        // by which a denial can be asked about; empty where it is not kept
	Wait      time.Duration // before another attempt, for TooMany
	Err       error         // what went wrong inside, for the log alone

	lock     *lock.Lock // that is in the way
	values   *headers.Prepared
	signedIn bool // at the upstream, by a credential of the route's
	cookies  Cookies
	bare     bool // a preflight: nothing but the question is forwarded
}

// ruled takes the policy's answer: whether it allows, and what that means for the
// verdict where it does not. An error is an outage.
func (v *Verdict) ruled(d *policy.Decision, err error) (allowed bool, outage error) {
	v.Shadow = d.Shadow
	if outage, ok := errors.AsType[*policy.OutageError](err); ok {
		return false, fmt.Errorf("route %s: %w", v.Route.Name, outage)
	}
	if err != nil {
		// A rule that fails to evaluate must not count as one that did not match.
		v.Outcome, v.Rule, v.Reason, v.Err = Forbid, d.Rule, policy.ReasonPolicyError, err
		return false, nil //nolint:nilerr // a refusal, not an outage
	}
	v.Rule, v.Reason, v.Message, v.StepUp = d.Rule, d.Reason, d.Message, d.StepUp
	if d.Effect == policy.NeedStepUp {
		v.Outcome = StepUp
	}
	return d.Effect == policy.Allow, nil
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
	v.Route.Shield.Request(out, v.cookies)
	v.Route.Headers.Strip(out)
	if v.bare {
		keepPreflight(out)
		return
	}
	if !v.Route.Public {
		if !v.Route.UpstreamAuthorization {
			v.Route.Auth.Strip(out)
		}
		v.values.Apply(out)
	}
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
