package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// DecodeObject reads exactly one JSON object as strictly as a token's claims
// are read: a member name that occurs twice, broken text and deep nesting are
// refused. The error is an *Invalid. Callers bound the size.
func DecodeObject(data []byte) (map[string]any, error) {
	object, err := decodeObject(data)
	if err != nil {
		return nil, &Invalid{MalformedClaims, err}
	}
	return object, nil
}

// ObjectClaims reads the registered claims of an object that DecodeObject has
// read and somebody else vouches for, such as the answer of an introspection
// endpoint. The error is an *Invalid. The object becomes Raw and must not be
// changed any more.
func ObjectClaims(object map[string]any) (*Claims, error) { return newClaims(object) }

var errPEM = errors.New("not one PEM private key (PKCS #8, PKCS #1 or SEC 1) without a passphrase")

// NewPEMSigner signs with the private key of a PEM file, by the algorithm that
// is customary for its kind: RS256, ES256, ES384 or ES512 by the curve, EdDSA.
// The error shows nothing of the key.
func NewPEMSigner(kid string, text []byte) (*Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errPEM
	}
	key, err := privateKey(block)
	if err != nil {
		return nil, errPEM // the parser's words may quote the file
	}
	for _, alg := range customary(key) {
		if s, err := NewKeySigner(alg, kid, key); err == nil {
			return s, nil
		}
	}
	return nil, errors.New("the private key is of a kind or size that no algorithm takes")
}

func privateKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errPEM
	}
	return signer, nil
}

func customary(key crypto.Signer) []string {
	switch key.(type) {
	case *rsa.PrivateKey:
		return []string{"RS256"}
	case *ecdsa.PrivateKey:
		return []string{"ES256", "ES384", "ES512"}
	case ed25519.PrivateKey:
		return []string{"EdDSA"}
	}
	return nil
}
