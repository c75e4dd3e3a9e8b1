package login

import (
	"context"
	"net/url"

	"github.com/sallyport/sallyport/gateway/jwks"
)

var _ providerEnder = (*oidc)(nil)

// endSession implements providerEnder (OpenID Connect RP-Initiated Logout 1.0,
// section 2).
func (o *oidc) endSession(ctx context.Context, opts endSessionOptions) (string, error) {
	found := o.current.Load()
	if found == nil {
		return "", o.ready()
	}
	if found.meta.EndSessionEndpoint == "" {
		return "", nil
	}
	to, err := url.Parse(found.meta.EndSessionEndpoint)
	if err != nil {
		return "", err // discovery has judged it
	}
	// A browser that is sent to a provider which does not answer is stuck on its
	// error page, although the sign-out here has worked. So the gateway looks first.
	if err := o.answers(ctx); err != nil {
		return "", err
	}
	q := to.Query()
	if opts.idToken != "" && len(opts.idToken) <= maxIDTokenHint {
		q.Set("id_token_hint", opts.idToken)
	}
	q.Set("client_id", o.cfg.ClientID)
	q.Set("post_logout_redirect_uri", opts.back)
	q.Set("state", opts.state)
	to.RawQuery = q.Encode()
	return to.String(), nil
}

// answers asks whether the provider is there.
func (o *oidc) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	_, err := jwks.Discover(ctx, o.keys, o.cfg.Issuer, o.cfg.InsecureHTTP)
	return err
}
