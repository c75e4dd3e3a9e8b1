package gateway

import (
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
)

// challenger says how to get in, by what the route takes.
func challenger(loginURL func(*http.Request) string, realm string) guard.Challenger {
	return func(r *http.Request, v *guard.Verdict) guard.Prompt {
		var c guard.Prompt
		for _, a := range v.Route.Auth {
			switch a.Kind() {
			case authn.KindSession:
				c.LoginURL = loginURL(r)
				c.WWWAuthenticate = append(c.WWWAuthenticate, fmt.Sprintf("Cookie realm=%q", realm))
				if httperr.IsNavigation(r) && signingInHelps(v) {
					c.Location = c.LoginURL
				}
			case authn.KindBearer:
				value := fmt.Sprintf("Bearer realm=%q", realm)
				if v.Kind == authn.KindBearer { // RFC 6750, section 3.1: only where a token was sent
					value += `, error="invalid_token"`
				}
				c.WWWAuthenticate = append(c.WWWAuthenticate, value)
			case authn.KindNone:
			}
		}
		return c
	}
}

// signingInHelps is false where the Authorization header was refused: the
// browser would come back from the sign-in with the same header, without end.
func signingInHelps(v *guard.Verdict) bool {
	return v.Kind != authn.KindBearer && v.Reason != authn.ReasonUnsupportedCredential && v.Reason != authn.ReasonDuplicateCredential
}
