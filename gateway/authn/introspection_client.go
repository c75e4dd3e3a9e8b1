package authn

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"

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
		text, err := os.ReadFile(cfg.ClientKeyFile)
		if err != nil {
			return nil, err
		}
		key, err := jose.NewClientKey(cfg.ClientID, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.ClientKeyFile, err)
		}
		audience := cfg.Issuer
		if audience == "" {
			audience = cfg.Endpoint
		}
		return &keyAuth{audience: audience, key: key}, nil
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
	if a.post {
		form.Set("client_id", a.cfg.ClientID)
		form.Set("client_secret", secret.Reveal())
		return nil
	}
	// Both parts are form-encoded first (RFC 6749, section 2.3.1).
	pair := url.QueryEscape(a.cfg.ClientID) + ":" + url.QueryEscape(secret.Reveal())
	h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	return nil
}

// keyAuth is private_key_jwt (RFC 7523, section 2.2).
type keyAuth struct {
	audience string
	key      *jose.ClientKey
}

func (a *keyAuth) apply(_ http.Header, form url.Values) error { return a.key.Prove(form, a.audience) }
