package proxy

import (
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
)

const wwwAuthenticate = "Www-Authenticate"

var (
	errCredentialRefused = errors.New("the application answers 401 to the credential that upstream_credential holds for this user")
	errCredentialWanted  = errors.New("the application answers 401, and upstream_credential holds no credential for this user")
)

// appChallenge looks at the answer of an application to which the gateway signs in.
// That application's own challenge must not come to the browser: it would ask for a
// password which the gateway is there to know, and send it along with everything
// from then on, where no route takes it. A 401 without one is the application's
// own business.
func (x *exchange) appChallenge(res *http.Response) error {
	if !x.verdict.SignsIn() || len(res.Header[wwwAuthenticate]) == 0 {
		return nil
	}
	delete(res.Header, wwwAuthenticate)
	switch {
	case res.StatusCode != http.StatusUnauthorized:
		return nil
	case x.verdict.SignedIn():
		return &httperr.Error{
			Code: http.StatusBadGateway, Reason: "upstream_credential_refused", Err: errCredentialRefused,
			Public: "The application did not accept the sign-in that the gateway has for it.",
		}
	}
	return &httperr.Error{
		Code: http.StatusForbidden, Reason: guard.ReasonNoCredential, Err: errCredentialWanted,
		Public: "The application has a sign-in of its own, and the gateway has none for you.",
	}
}
