package authn

import (
	"cmp"
	"net/http"
	"net/url"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
)

// clientAuth is how the gateway proves itself to an authorization server.
type clientAuth interface {
	// apply adds the proof to a request. It reads a secret file each time, so
	// that a secret can be exchanged while the gateway runs.
	apply(h http.Header, form url.Values) error
}

func newClientAuth(cfg config.Introspection) (clientAuth, error) {
	switch cfg.ClientAuth {
	case config.ClientAuthPrivateKey:
		key, err := jose.ReadClientKey(cfg.ClientID, cfg.ClientKeyFile)
		if err != nil {
			return nil, err
		}
		return &keyAuth{audience: cmp.Or(cfg.Issuer, cfg.Endpoint), key: key}, nil
	case config.ClientAuthPost:
		return &secretAuth{cfg: cfg, post: true}, nil
	}
	return &secretAuth{cfg: cfg}, nil
}

// secretAuth is client_secret_basic, or client_secret_post.
type secretAuth struct {
	cfg  config.Introspection
	post bool
}

func (a *secretAuth) apply(h http.Header, form url.Values) error {
	secret, err := config.ReadSecret(a.cfg.ClientSecret, a.cfg.ClientSecretFile)
	if err != nil {
		return err
	}
	jose.ProveSecret(h, form, a.cfg.ClientID, secret.Reveal(), a.post)
	return nil
}

// keyAuth is private_key_jwt (RFC 7523, section 2.2).
type keyAuth struct {
	audience string
	key      *jose.ClientKey
}

func (a *keyAuth) apply(_ http.Header, form url.Values) error { return a.key.Prove(form, a.audience) }
