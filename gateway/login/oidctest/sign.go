package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// keys are the provider's own and one that it does not publish. They are made
// with another library than the gateway's, so that the two check each other.
type keys struct{ own, foreign jose.JSONWebKey }

func newKeys(tb testing.TB) keys {
	tb.Helper()
	var made [2]jose.JSONWebKey
	for i := range made {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		made[i] = jose.JSONWebKey{Key: key, KeyID: "key-1", Algorithm: "ES256", Use: "sig"}
	}
	return keys{made[0], made[1]}
}

func (k keys) public() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.own.Public()}}
}

// Sign makes a token with the provider's key.
func (p *Provider) Sign(claims map[string]any) string {
	return sign(jose.ES256, p.keys.own, claims)
}

// SignForeign makes a token with the right kid and the wrong key.
func (p *Provider) SignForeign(claims map[string]any) string {
	return sign(jose.ES256, p.keys.foreign, claims)
}

// SignSecret makes an HS256 token with the client's secret: what every client of
// the provider could do for itself.
func SignSecret(claims map[string]any) string {
	return sign(jose.HS256, jose.JSONWebKey{Key: []byte(ClientSecret), KeyID: "key-1"}, claims)
}

// Unsigned makes a token with the algorithm "none".
func Unsigned(claims map[string]any) string {
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none","kid":"key-1","typ":"JWT"}`)) + "." + enc.EncodeToString(payload(claims)) + "."
}

func sign(alg jose.SignatureAlgorithm, key jose.JSONWebKey, claims map[string]any) string {
	return signTyped("JWT", alg, key, claims)
}

func signTyped(typ string, alg jose.SignatureAlgorithm, key jose.JSONWebKey, claims map[string]any) string {
	options := &jose.SignerOptions{}
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		return "no signer: " + err.Error()
	}
	signed, err := signer.Sign(payload(claims))
	if err != nil {
		return "no signature: " + err.Error()
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		return "no token: " + err.Error()
	}
	return raw
}

func payload(claims map[string]any) []byte {
	data, err := json.Marshal(claims)
	if err != nil {
		return []byte("{}")
	}
	return data
}
