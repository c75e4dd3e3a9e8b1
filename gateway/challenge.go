package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/login"
)

// challenger says how to get in, by what the route takes.
func challenger(loginURL func(*http.Request) string, realm string) guard.Challenger {
	return func(r *http.Request, v *guard.Verdict) guard.Prompt {
		var c guard.Prompt
		sessions := takes(v, authn.KindSession)
		if sessions {
			c.LoginURL = login.Offering(loginURL(r), v.Route.Providers, v.Reason == guard.ReasonWrongProvider)
			if httperr.IsNavigation(r) && signingInHelps(v) {
				c.Location = c.LoginURL
			}
		}
		for _, a := range v.Route.Auth {
			challenge := ""
			switch a.Kind() {
			case authn.KindSession:
				challenge = fmt.Sprintf("Cookie realm=%q", realm)
			case authn.KindBearer, authn.KindIntrospection, authn.KindAPIKey:
				challenge = bearerChallenge(realm, v)
			case authn.KindBasic:
				// To this one a browser answers with a box for a password, where the
				// route has a page for that.
				if !sessions || !fromBrowser(r) {
					challenge = fmt.Sprintf(`Basic realm=%q, charset="UTF-8"`, realm)
				}
			case authn.KindClientCert:
				challenge = fmt.Sprintf("ClientCertificate realm=%q", realm)
			case authn.KindNone:
			}
			if challenge != "" && !slices.Contains(c.WWWAuthenticate, challenge) {
				c.WWWAuthenticate = append(c.WWWAuthenticate, challenge)
			}
		}
		if challenge := proofChallenge(realm, v); challenge != "" {
			c.WWWAuthenticate = append(c.WWWAuthenticate, challenge)
		}
		return c
	}
}

// bearerChallenge is one for every kind that comes as a bearer token: JWTs,
// opaque tokens and API keys.
func bearerChallenge(realm string, v *guard.Verdict) string {
	value := fmt.Sprintf("Bearer realm=%q", realm)
	switch v.Kind {
	case authn.KindBearer, authn.KindIntrospection, authn.KindAPIKey:
		value += `, error="invalid_token"` // RFC 6750, section 3.1: only where a token was sent
	default:
	}
	return value
}

// proofChallenge tells the sender of a bound token what was wrong with its proof,
// and which algorithms a proof may have (RFC 9449, section 7.1).
func proofChallenge(realm string, v *guard.Verdict) string {
	var code string
	switch v.Reason {
	case string(jose.InvalidProof), authn.ReasonReplayedProof:
		code = "invalid_dpop_proof"
	case string(jose.BoundToken):
		code = "invalid_token"
	default:
		return ""
	}
	return fmt.Sprintf("DPoP realm=%q, error=%q, algs=%q", realm, code, strings.Join(jose.AsymmetricAlgorithms(), " "))
}

func takes(v *guard.Verdict, kind authn.Kind) bool {
	return slices.ContainsFunc(v.Route.Auth, func(a authn.Authenticator) bool { return a.Kind() == kind })
}

// fromBrowser tells scripts and pages in a browser from other programs, for
// which a challenge is information and no box.
func fromBrowser(r *http.Request) bool {
	h := r.Header
	return httperr.IsNavigation(r) || h.Get("Sec-Fetch-Mode") != "" || h.Get("X-Requested-With") != "" || h.Get("Origin") != "" ||
		httperr.AcceptsHTML(h)
}

// signingInHelps is false where the Authorization header was refused: the
// browser would come back from the sign-in with the same header, without end.
func signingInHelps(v *guard.Verdict) bool {
	switch v.Kind {
	case authn.KindBearer, authn.KindIntrospection, authn.KindAPIKey, authn.KindBasic:
		return false
	default:
		return v.Reason != authn.ReasonUnsupportedCredential && v.Reason != authn.ReasonDuplicateCredential
	}
}
