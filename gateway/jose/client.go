package jose

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"
)

// assertionLife is how long the assertion of a client may be used. It is used
// once, now.
const assertionLife = time.Minute

// ClientKey is the key by which an OAuth client proves itself (private_key_jwt:
// RFC 7523, section 2.2; OpenID Connect Core 1.0, section 9). It is immutable and
// safe for concurrent use.
type ClientKey struct {
	client string
	signer *Signer
}

// NewClientKey reads the key of a client from PEM, as ParsePrivateKey does. Its
// assertions name no kid: the server finds the key by the client, and may call
// it as it likes.
func NewClientKey(clientID string, pem []byte) (*ClientKey, error) {
	key, err := ParsePrivateKey(pem)
	if err != nil {
		return nil, err
	}
	alg, err := algorithmFor(key.Public())
	if err != nil {
		return nil, err
	}
	signer, err := NewKeySigner(alg, "", key)
	if err != nil {
		return nil, err
	}
	return &ClientKey{client: clientID, signer: signer}, nil
}

// ReadClientKey is NewClientKey with the PEM of a file. Its errors name the file.
func ReadClientKey(clientID, file string) (*ClientKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := NewClientKey(clientID, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

// Prove adds a fresh assertion to the form of one request. audience is the
// server that may take it: its issuer, so that it is worth nothing at another
// server that has talked the client into using its endpoint.
func (k *ClientKey) Prove(form url.Values, audience string) error {
	now := time.Now()
	assertion, err := k.signer.Sign("JWT", map[string]any{
		"iss": k.client, "sub": k.client, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return fmt.Errorf("client assertion: %w", err)
	}
	form.Set("client_id", k.client)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return nil
}

// ProveSecret adds a client's secret to one request (RFC 6749, section 2.3.1): to the
// form, for client_secret_post, or else to the header, for client_secret_basic.
func ProveSecret(h http.Header, form url.Values, clientID, secret string, post bool) {
	if post {
		form.Set("client_id", clientID)
		form.Set("client_secret", secret)
		return
	}
	// Both parts are form-encoded first.
	pair := url.QueryEscape(clientID) + ":" + url.QueryEscape(secret)
	h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
}
