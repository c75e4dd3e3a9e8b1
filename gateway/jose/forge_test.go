package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/gateway/jose"
)

// The tests forge tokens with the standard library, so that they can say what
// the package under test would never write.

var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	ed     = sync.OnceValue(func() ed25519.PrivateKey {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return must(key, err)
	})
	secret = []byte(strings.Repeat("0123456789abcdef", 4))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// keyFor returns the key that the tests sign with under an algorithm.
func keyFor(alg string) any {
	switch alg {
	case "ES256":
		return p256()
	case "ES384":
		return p384()
	case "ES512":
		return p521()
	case "EdDSA":
		return ed()
	case "HS256", "HS384", "HS512":
		return secret
	}
	return rsaKey()
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// sign computes a JWS signature with whatever key fits the algorithm's family.
func sign(alg string, key any, input string) []byte {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	digest := func() []byte {
		h := hash.New()
		h.Write([]byte(input))
		return h.Sum(nil)
	}
	switch alg[:2] {
	case "RS":
		return must(rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), hash, digest()))
	case "PS":
		return must(rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), hash, digest(), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	case "HS":
		m := hmac.New(hash.New, key.([]byte))
		m.Write([]byte(input))
		return m.Sum(nil)
	case "Ed":
		return ed25519.Sign(key.(ed25519.PrivateKey), []byte(input))
	}
	priv := key.(*ecdsa.PrivateKey)
	r, s, err := ecdsa.Sign(rand.Reader, priv, digest())
	if err != nil {
		panic(err)
	}
	size := (priv.Curve.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

// forge signs a header and a payload exactly as they are written.
func forge(alg string, key any, header, payload string) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(alg, key, input))
}

const aliceClaims = `{"iss":"https://op1.test","sub":"alice","aud":"api://app","exp":4000000000}`

// genuine is a token of the algorithm as its issuer makes it.
func genuine(alg string) string {
	return forge(alg, keyFor(alg), fmt.Sprintf(`{"alg":%q,"kid":"k"}`, alg), aliceClaims)
}

// published is the key set of the issuer: every test key under the id "k", or
// the secret.
func published(alg string) *jose.KeySet {
	if strings.HasPrefix(alg, "HS") {
		return must(jose.SecretKeySet(secret))
	}
	set, dropped, err := jose.ParseKeySet(jwks(
		publicJWK(rsaKey().Public(), nil), publicJWK(p256().Public(), nil), publicJWK(p384().Public(), nil),
		publicJWK(p521().Public(), nil), publicJWK(ed().Public(), nil),
	))
	if err != nil || dropped != 0 {
		panic(fmt.Sprint(dropped, err))
	}
	return set
}

// publicJWK writes a key with the id "k" and what else is wanted; a nil value
// takes a member away.
func publicJWK(pub crypto.PublicKey, also map[string]any) map[string]any {
	enc := base64.RawURLEncoding.EncodeToString
	m := map[string]any{"kid": "k"}
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", enc(pub.N.Bytes()), "AQAB"
	case *ecdsa.PublicKey:
		point := must(pub.Bytes())[1:]
		m["kty"], m["crv"] = "EC", pub.Curve.Params().Name
		m["x"], m["y"] = enc(point[:len(point)/2]), enc(point[len(point)/2:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", enc(pub)
	}
	maps.Copy(m, also)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

func jwks(keys ...map[string]any) []byte {
	if keys == nil {
		keys = []map[string]any{}
	}
	return must(json.Marshal(map[string]any{"keys": keys}))
}

// prove takes a token through the steps of a caller: read it, find the key that
// it names, verify.
func prove(raw string, set *jose.KeySet) (*jose.Claims, error) {
	t, err := jose.Parse(raw)
	if err != nil {
		return nil, err
	}
	k, ok := set.Find(t.Header.KeyID, t.Header.Algorithm)
	if !ok {
		return nil, &jose.Invalid{Reason: jose.UnknownKey}
	}
	return t.Verify(k)
}

// wantRefused checks the reason of a refusal; an empty reason accepts any.
func wantRefused(t *testing.T, err error, reason jose.Reason) {
	t.Helper()
	bad, ok := errors.AsType[*jose.Invalid](err)
	if !ok {
		t.Fatalf("got %v, want it refused with %s", err, reason)
	}
	if reason != "" && bad.Reason != reason {
		t.Errorf("got %v, want %s", err, reason)
	}
}
