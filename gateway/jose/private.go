package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Thumbprint is the RFC 7638 thumbprint of a public key (SHA-256, base64url): a
// kid that everybody derives alike.
func Thumbprint(public crypto.PublicKey) (string, error) {
	key, err := jwk.FromRaw(public)
	if err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// NewThumbprintSigner signs with a key that exists already, by the algorithm
// that its kind implies, under its thumbprint.
func NewThumbprintSigner(key crypto.Signer) (*Signer, error) {
	alg, err := algorithmFor(key.Public())
	if err != nil {
		return nil, err
	}
	kid, err := Thumbprint(key.Public())
	if err != nil {
		return nil, err
	}
	return NewKeySigner(alg, kid, key)
}

// algorithmFor is the one algorithm of an elliptic curve, and the customary one
// of RSA.
func algorithmFor(public crypto.PublicKey) (string, error) {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return "ES256", nil
		case elliptic.P384():
			return "ES384", nil
		case elliptic.P521():
			return "ES512", nil
		}
	case ed25519.PublicKey:
		return "EdDSA", nil
	case *rsa.PublicKey:
		return "RS256", nil
	}
	return "", errors.New("signing key: no algorithm for this kind of key")
}

// ParsePrivateKey reads the first private key of a PEM file: PKCS#8, SEC 1 (EC)
// or PKCS#1 (RSA), unencrypted. Errors show nothing of the content.
func ParsePrivateKey(data []byte) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errors.New("holds no PEM private key")
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("holds an encrypted private key")
		default:
			continue // `openssl ecparam` writes the curve's name before the key
		}
		if err != nil {
			return nil, errors.New("holds a private key that can't be read")
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, errors.New("holds a private key that can't sign")
		}
		return signer, nil
	}
}
