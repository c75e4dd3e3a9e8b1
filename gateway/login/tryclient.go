package login

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jwks"
)

// TryClient offers an OpenID provider's token endpoint a code that it never gave, to
// find out whether it takes the client's secret or key: one that does not answers
// invalid_client, one that does refuses the code, with invalid_grant (RFC 6749,
// section 5.2). Nothing is granted, and nothing changes there. It returns the error
// code of the answer. An error means that nothing can be said.
func TryClient(ctx context.Context, client *http.Client, p config.Provider, meta *jwks.Metadata, redirectURI string) (code string, err error) {
	method, err := clientMethod(p, meta.TokenEndpointAuthMethods)
	if err != nil {
		return "", err
	}
	key, err := clientKey(p)
	if err != nil {
		return "", err
	}
	auth := &clientAuth{cfg: p, method: method, key: key, audience: p.Issuer, client: client, mark: meta.Context}
	status, body, err := auth.post(ctx, meta.TokenEndpoint, url.Values{
		"grant_type": {"authorization_code"}, "code": {rand.Text()}, "redirect_uri": {redirectURI}, "code_verifier": {oauth2.GenerateVerifier()},
	})
	if err != nil {
		return "", err
	}
	_, err = readTokens(status, body)
	no, refused := errors.AsType[*tokenRefusal](err)
	switch {
	case err == nil:
		return "", errors.New("token endpoint: it gives tokens for a code that it never gave")
	case refused && no.Code == "" && no.Status == http.StatusUnauthorized:
		return "invalid_client", nil
	case !refused || no.outage() || no.Code == "":
		return "", err
	}
	return no.Code, nil
}
