package login

import (
	"errors"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// Reasons of answers that are no success, besides those of package httperr.
const (
	ReasonMalformed           = "malformed_request"
	ReasonMethod              = "method_not_allowed"
	ReasonHost                = "unknown_host"
	ReasonTooLarge            = "body_too_large"
	ReasonMediaType           = "unsupported_media_type"
	ReasonCrossSite           = "cross_site"
	ReasonReturnTo            = "invalid_return_to"
	ReasonUnknownProvider     = "unknown_provider"
	ReasonInvalidLogin        = "invalid_login"
	ReasonBusy                = "busy"
	ReasonInvalidState        = "invalid_state"
	ReasonAccessDenied        = "access_denied"
	ReasonProviderError       = "provider_error"
	ReasonProviderUnavailable = "provider_unavailable"
	ReasonWrongIssuer         = "wrong_issuer"
	ReasonInvalidGrant        = "invalid_grant"
	ReasonInvalidIDToken      = "invalid_id_token"
	ReasonInvalidUserinfo     = "invalid_userinfo"
	ReasonNotMember           = "not_a_member"
	ReasonGroupsIncomplete    = "groups_incomplete"
	ReasonStoreUnavailable    = "store_unavailable"
	ReasonNoSession           = "no_session"
	ReasonSessionIdle         = "session_idle"
	ReasonAmbiguousSession    = "ambiguous_session"
	ReasonAudience            = "unknown_audience"
	ReasonNoRoute             = "no_route"
	ReasonUnavailable         = "unavailable"
)

// ErrWrongPassword says that there is no such user, or that it is not his
// password, and does not tell which.
var ErrWrongPassword = errors.New("login: unknown user or wrong password")

// errBusy: too many passwords are being checked.
var errBusy = errors.New("login: too many passwords are being checked")

// retryAfter is what an outage asks clients to wait, in seconds.
const retryAfter = "5"

func refuse(code int, reason, public string, err error) *httperr.Error {
	return &httperr.Error{Code: code, Reason: reason, Public: public, Err: err}
}

func badRequest(reason, public string, err error) *httperr.Error {
	return refuse(http.StatusBadRequest, reason, public, err)
}

// outage is the answer where a definite one is not to be had. No cookie is
// deleted with it.
func outage(reason, public string, err error) *httperr.Error {
	e := refuse(http.StatusServiceUnavailable, reason, public, err)
	e.Header = http.Header{"Retry-After": {retryAfter}}
	return e
}

func storeOutage(err error) *httperr.Error {
	return outage(ReasonStoreUnavailable, "Sessions cannot be read or written right now.", err)
}

func providerOutage(err error) *httperr.Error {
	return outage(ReasonProviderUnavailable, "The sign-in service cannot be reached right now.", err)
}

func notAllowed(methods ...string) *httperr.Error {
	e := refuse(http.StatusMethodNotAllowed, ReasonMethod, "", nil)
	e.Header = http.Header{"Allow": {strings.Join(methods, ", ")}}
	return e
}
