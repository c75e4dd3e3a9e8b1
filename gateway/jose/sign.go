package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Signer makes tokens with one key and one algorithm. It is safe for
// concurrent use.
type Signer struct {
	alg    algorithm
	kid    string
	key    any              // crypto.Signer, or the bytes of a secret
	public crypto.PublicKey // nil for a secret
}

// NewSigner generates a key for the algorithm: RSA of 2048 bits, the curve of
// the ECDSA algorithm, or Ed25519. Secrets are not generated: see
// NewSecretSigner.
func NewSigner(alg, kid string) (*Signer, error) {
	a, ok := find(alg)
	if !ok {
		return nil, fmt.Errorf("signing key: unknown algorithm %q", alg)
	}
	var key crypto.Signer
	var err error
	switch a.family {
	case familyRSA:
		key, err = rsa.GenerateKey(rand.Reader, minRSABits)
	case familyEC:
		key, err = ecdsa.GenerateKey(a.curve, rand.Reader)
	case familyEd25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("signing key: %s needs a secret", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return NewKeySigner(alg, kid, key)
}

// NewKeySigner signs with a key that exists already. It must be of the
// algorithm's kind, and strong enough that ParseKeySet accepts its public half.
func NewKeySigner(alg, kid string, key crypto.Signer) (*Signer, error) {
	a, ok := find(alg)
	if !ok {
		return nil, fmt.Errorf("signing key: unknown algorithm %q", alg)
	}
	s := &Signer{alg: a, kid: kid, key: key, public: key.Public()}
	published, err := s.PublicJWKS()
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if set, _, err := ParseKeySet(published); err != nil || !set.Supports(alg) {
		return nil, fmt.Errorf("signing key: not a key for %s", alg)
	}
	return s, nil
}

// NewSecretSigner signs with a shared secret, which must be as long as
// SecretKeySet wants it.
func NewSecretSigner(alg, kid string, secret []byte) (*Signer, error) {
	a, ok := find(alg)
	if !ok || a.family != familySecret {
		return nil, fmt.Errorf("signing secret: %q is not for secrets", alg)
	}
	if len(secret) < a.bytes {
		return nil, fmt.Errorf("signing secret: %s needs %d bytes", alg, a.bytes)
	}
	return &Signer{alg: a, kid: kid, key: bytes.Clone(secret)}, nil
}

// String names the signer and hides its key.
func (s *Signer) String() string { return fmt.Sprintf("%s signer %q", s.alg.name, s.kid) }

// GoString hides the key from %#v.
func (s *Signer) GoString() string { return s.String() }

// Algorithm returns the algorithm of its tokens.
func (s *Signer) Algorithm() string { return s.alg.name }

// KeyID returns the kid of its tokens.
func (s *Signer) KeyID() string { return s.kid }

// Public returns the public key, or nil for a secret.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign makes a compact JWS of the claims. An empty typ is left out. The
// payload is written by encoding/json: jwx writes claim names unescaped, so that
// a name can smuggle in a second claim (GHSA-4cf7-xm37-g63h).
func (s *Signer) Sign(typ string, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	header := jws.NewHeaders()
	for _, one := range []struct{ name, value string }{{jws.KeyIDKey, s.kid}, {jws.TypeKey, typ}} {
		if one.value == "" {
			continue
		}
		if err := header.Set(one.name, one.value); err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
	}
	raw, err := jws.Sign(payload, jws.WithKey(jwa.SignatureAlgorithm(s.alg.name), s.key, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return string(raw), nil
}

// PublicJWKS returns the key set (RFC 7517) that proves this signer's tokens.
func (s *Signer) PublicJWKS() ([]byte, error) { return PublicJWKS(s) }

// PublicJWKS returns one key set of the public keys of all signers, in their
// order. A signer with a secret has none, and is an error.
func PublicJWKS(signers ...*Signer) ([]byte, error) {
	keys := make([]jwk.Key, 0, len(signers))
	for _, s := range signers {
		if s.public == nil {
			return nil, errors.New("key set: a secret is not published")
		}
		key, err := jwk.FromRaw(s.public)
		if err != nil {
			return nil, fmt.Errorf("key set: %w", err)
		}
		for _, one := range []struct{ name, value string }{
			{jwk.KeyIDKey, s.kid}, {jwk.AlgorithmKey, s.alg.name}, {jwk.KeyUsageKey, string(jwk.ForSignature)},
		} {
			if one.value == "" {
				continue
			}
			if err := key.Set(one.name, one.value); err != nil {
				return nil, fmt.Errorf("key set: %w", err)
			}
		}
		keys = append(keys, key)
	}
	return json.Marshal(map[string]any{"keys": keys})
}
