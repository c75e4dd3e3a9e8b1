package login

import (
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/gateway/config"
)

// authorizationRequest makes the parameters of an authorization request (RFC
// 6749, section 4.1.1) with PKCE (RFC 7636). Those that the configuration adds
// come first, so that none of them replaces one of ours.
func authorizationRequest(cfg *config.Provider, scope string, a *attempt, o authorizeOptions) url.Values {
	q := url.Values{}
	for _, p := range cfg.AuthorizationParams {
		q.Add(p.Name, p.Value)
	}
	q.Set("response_type", "code")
	q.Set("client_id", cfg.ClientID)
	q.Set("redirect_uri", a.redirect)
	q.Set("state", o.state)
	q.Set("code_challenge", oauth2.S256ChallengeFromVerifier(a.verifier))
	q.Set("code_challenge_method", "S256")
	if scope != "" {
		q.Set("scope", scope)
	}
	if o.selectUser {
		q.Set("prompt", "select_account")
	}
	return q
}

// atEndpoint is where the browser goes with a request. A query that the endpoint
// has stays (RFC 6749, section 3.1), but for parameters of the request.
func atEndpoint(endpoint string, q url.Values) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	all := u.Query()
	for name := range all {
		if q.Has(name) {
			all.Del(name)
		}
	}
	u.RawQuery = strings.Trim(all.Encode()+"&"+q.Encode(), "&")
	return u.String(), nil
}
