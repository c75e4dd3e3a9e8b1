package guard

import (
	"errors"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/headers"
)

// prepare makes the headers for the upstream. An error is an outage.
func (v *Verdict) prepare(r *http.Request) error {
	rt, id := v.Route, v.Identity
	values, err := rt.Headers.Prepare(id)
	if err == nil && rt.Assert != nil {
		var token string
		if token, err = rt.Assert(id, time.Now()); err != nil {
			return v.refuse(err)
		}
		values, err = values.WithAssertion(token)
	}
	if err == nil && rt.Forward != nil && v.Kind == authn.KindSession {
		var token string
		if token, err = rt.Forward(r.Context(), id); err != nil {
			return v.withhold(err)
		}
		values, err = values.WithAccessToken(token)
	}
	if err == nil && rt.ForwardID != nil && v.Kind == authn.KindSession {
		var token string
		if token, err = rt.ForwardID(r.Context(), id); err != nil {
			return v.withhold(err)
		}
		values, err = values.WithIDToken(token)
	}
	v.admit(values, err)
	if credential, ok := v.signIn(); ok {
		v.admit(values.WithCredential(credential))
	}
	return nil
}

// signIn finds the credential for an application that has a login of its own, where
// the verdict is to let in. Where there must be one and is none, it refuses.
func (v *Verdict) signIn() (credential string, ok bool) {
	if v.Outcome != Allow || v.Route.Credential == nil {
		return "", false
	}
	credential, v.signedIn = v.Route.Credential(v.Identity)
	if !v.signedIn && !v.Route.CredentialOptional {
		v.Outcome, v.Reason, v.values = Forbid, ReasonNoCredential, nil
	}
	return credential, v.signedIn
}

// SignedIn reports whether the request goes to the upstream with a credential of
// the gateway's for it. Where the route has such credentials, SignsIn is true.
func (v *Verdict) SignedIn() bool { return v.signedIn }

// SignsIn reports whether the gateway has the login of the upstream.
func (v *Verdict) SignsIn() bool { return v.Route.Credential != nil }

// admit lets in who gets all of his headers.
func (v *Verdict) admit(values *headers.Prepared, err error) {
	if err != nil {
		v.Outcome, v.Reason, v.Err = Forbid, headerReason(err), err
		return
	}
	v.Outcome, v.values = Allow, values
}

// withhold sets the verdict for a token that can't be forwarded. Signing in again
// does not help who has no such token, so that he is not asked to.
func (v *Verdict) withhold(err error) error {
	if no, ok := errors.AsType[*authn.Refusal](err); ok && (no.Reason == authn.ReasonNoAccessToken || no.Reason == authn.ReasonNoIDToken) {
		v.Outcome, v.Reason = Forbid, no.Reason
		return nil
	}
	return v.refuse(err)
}

func headerReason(err error) string {
	if _, ok := errors.AsType[*headers.TooLargeError](err); ok {
		return ReasonIdentityTooLarge
	}
	return ReasonMissingClaim
}
