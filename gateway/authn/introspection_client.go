package authn

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

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
		signer, err := clientKey(cfg.ClientKeyFile)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.ClientKeyFile, err)
		}
		audience := cfg.Issuer
		if audience == "" {
			audience = cfg.Endpoint
		}
		return &keyAuth{id: cfg.ClientID, audience: audience, signer: signer}, nil
	case config.ClientAuthPost:
		return &secretAuth{cfg: cfg, post: true}, nil
	}
	return &secretAuth{cfg: cfg}, nil
}

// clientKey reads the client's key. Its assertions name no kid: the server finds
// the key by the client, and may call it as it likes.
func clientKey(file string) (*jose.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := jose.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	named, err := jose.NewThumbprintSigner(key)
	if err != nil {
		return nil, err
	}
	return jose.NewKeySigner(named.Algorithm(), "", key)
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

// keyAuth is private_key_jwt (RFC 7523, section 2.2): an assertion for one
// request, signed with the client's own key.
type keyAuth struct {
	id, audience string
	signer       *jose.Signer
}

// assertionLife is how long an assertion may be used. It is used once, now.
const assertionLife = time.Minute

func (a *keyAuth) apply(_ http.Header, form url.Values) error {
	now := time.Now()
	assertion, err := a.signer.Sign("JWT", map[string]any{
		"iss": a.id, "sub": a.id, "aud": a.audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return err
	}
	form.Set("client_id", a.id)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return nil
}
