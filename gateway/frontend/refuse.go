// Package frontend is what all front ends do alike: it notes a verdict in the
// event of the request, turns a refusal into the answer that the table of answers
// has for it, rebuilds a request that another proxy asks about, and says which
// headers that proxy has to send on. It decides nothing.
package frontend

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Record notes what was decided.
func Record(e *telemetry.Event, v *guard.Verdict) {
	e.Outcome, e.Reason, e.Rule = v.Outcome.String(), v.Reason, v.Rule
	e.Credential, e.Bytes, e.Err, e.Decision, e.Lock = string(v.Kind), v.Bytes, v.Err, v.Decision, v.LockID()
	e.CrossSite, e.CrossSiteMode = v.CrossSite.Kind, v.CrossSite.Mode
	if v.Shadow.Judged {
		e.Shadow, e.ShadowRule, e.ShadowReason = v.Shadow.Effect.String(), v.Shadow.Rule, v.Shadow.Reason
	}
	if v.Route != nil {
		e.Route = v.Route.Name
	}
	if v.Identity != nil {
		e.Issuer, e.Subject, e.Session = v.Identity.Issuer, v.Identity.Subject, v.Session()
	}
}

// Outage is the answer when something that must be asked could not answer.
func Outage(e *telemetry.Event, err error) *httperr.Error {
	e.Outcome, e.Reason = "unknown", "unavailable"
	return &httperr.Error{
		Code: http.StatusServiceUnavailable, Reason: "unavailable", Err: err,
		Public: "The gateway can't check right now whether you may come in. Your sign-in is kept; try again in a moment.",
		Header: http.Header{"Retry-After": {"5"}},
	}
}

// Malformed is the answer to a request that is none, or two.
func Malformed(reason string) *httperr.Error {
	return &httperr.Error{Code: http.StatusBadRequest, Reason: reason, Public: "The request is malformed or could be understood in two ways."}
}

// BadOriginal is the answer to a check about a request that is not described as it has
// to be. Who reads the log learns from err what was wrong.
func BadOriginal(err error) *httperr.Error {
	e := Malformed(ReasonOriginal)
	e.Err = err
	return e
}

// TargetTooLong is the answer to a request target that is longer than the gateway
// takes.
func TargetTooLong() *httperr.Error {
	return &httperr.Error{Code: http.StatusRequestURITooLong, Reason: "target_too_long", Public: "The address is too long."}
}

// NotServed is the answer where there is nothing for a request.
func NotServed(reason string) *httperr.Error {
	return &httperr.Error{Code: http.StatusNotFound, Reason: reason, Public: "Nothing is served at this address."}
}

// HostNotServed is the answer where the gateway does not serve the host at all
// (RFC 9110, section 15.5.20).
func HostNotServed(reason string) *httperr.Error {
	return &httperr.Error{Code: http.StatusMisdirectedRequest, Reason: reason, Public: "This host is not served here."}
}

// Refuse says how to answer a request that may not pass: by a redirect to location
// or, where that is empty, with the error. A denial that is kept gets its name into
// the header of w.
func Refuse(w http.ResponseWriter, r *http.Request, v *guard.Verdict, challenge guard.Challenger) (location string, _ *httperr.Error) {
	if v.Decision != "" {
		w.Header().Set(httperr.DecisionHeader, v.Decision)
	}
	switch v.Outcome {
	case guard.Challenge, guard.StepUp:
		return prompt(r, v, challenge)
	case guard.TooMany:
		return "", &httperr.Error{
			Code: http.StatusTooManyRequests, Reason: v.Reason, Public: "There were too many wrong passwords. Wait before the next attempt.",
			Header: httperr.RetryAfter(v.Wait),
		}
	case guard.NoRoute:
		return "", NotServed(v.Reason)
	case guard.BadHost:
		return "", HostNotServed(v.Reason)
	case guard.BadMethod:
		e := &httperr.Error{Code: http.StatusMethodNotAllowed, Reason: v.Reason, Public: "This method is not allowed here.", Header: http.Header{}}
		if len(v.Allowed) > 0 {
			e.Header.Set("Allow", strings.Join(v.Allowed, ", "))
		}
		if r.Method == http.MethodConnect {
			e.Header.Set("Connection", "close")
		}
		return "", e
	case guard.Malformed:
		return "", Malformed(v.Reason)
	case guard.Forbid, guard.Allow:
	}
	return "", forbidden(r, v, challenge)
}

func forbidden(r *http.Request, v *guard.Verdict, challenge guard.Challenger) *httperr.Error {
	e := &httperr.Error{
		Code: http.StatusForbidden, Reason: v.Reason, Err: v.Err, Message: v.Message,
		Public: "You are signed in, but this is not for you.",
	}
	switch v.Reason {
	case guard.ReasonLocked:
		e.Public = "Access is locked for now. The people who run this site know why."
	case guard.ReasonNoCredential:
		e.Public = "The application has a sign-in of its own, and the gateway has none for you."
	case guard.ReasonWrongProvider:
		e.Public = "You are signed in, but this needs a sign-in of another kind."
		e.LoginURL = challenge(r, v).LoginURL
	}
	if v.CrossSite.Mode == guard.CrossSiteEnforce {
		e.Public = "A page of another site sent this in your name."
	}
	if v.Identity != nil {
		e.Who = cmp.Or(v.Identity.Email, v.Identity.Subject)
	}
	return e
}

func prompt(r *http.Request, v *guard.Verdict, challenge guard.Challenger) (location string, _ *httperr.Error) {
	c := challenge(r, v)
	if c.Location != "" {
		return c.Location, nil
	}
	public := "A valid credential is required."
	if v.Outcome == guard.StepUp {
		public = "This needs a newer or a stronger sign-in."
	}
	return "", &httperr.Error{
		Code: http.StatusUnauthorized, Reason: v.Reason, LoginURL: c.LoginURL, Public: public,
		Header: http.Header{"Www-Authenticate": c.WWWAuthenticate},
	}
}
