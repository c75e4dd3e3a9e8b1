package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/jose"
)

func rsaGenerate() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }

func selfSigned(key crypto.Signer) []byte {
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}

// RFC 8725 section 3.1, CVE-2026-22817: what a key may be used for is the
// key's to say, never the token's.
func TestAlgorithmMustFitTheKey(t *testing.T) {
	with := func(pub crypto.PublicKey, also map[string]any) *jose.KeySet {
		set, _, err := jose.ParseKeySet(jwks(publicJWK(pub, also)))
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	rs, es := rsaKey().Public(), p256().Public()
	for name, tt := range map[string]struct {
		set  *jose.KeySet
		alg  string
		key  any
		good bool
	}{
		"RSA without alg does RS256":          {with(rs, nil), "RS256", rsaKey(), true},
		"RSA without alg does PS512":          {with(rs, nil), "PS512", rsaKey(), true},
		"RSA for PS256 refuses RS256":         {with(rs, map[string]any{"alg": "PS256"}), "RS256", rsaKey(), false},
		"RSA for RS256 refuses RS512":         {with(rs, map[string]any{"alg": "RS256"}), "RS512", rsaKey(), false},
		"RSA for RS256 refuses PS256":         {with(rs, map[string]any{"alg": "RS256"}), "PS256", rsaKey(), false},
		"RSA for encryption":                  {with(rs, map[string]any{"use": "enc"}), "RS256", rsaKey(), false},
		"RSA for use of a wrong type":         {with(rs, map[string]any{"use": 1}), "RS256", rsaKey(), false},
		"RSA for RSA-OAEP":                    {with(rs, map[string]any{"alg": "RSA-OAEP"}), "RS256", rsaKey(), false},
		"RSA for HS256":                       {with(rs, map[string]any{"alg": "HS256"}), "RS256", rsaKey(), false},
		"RSA for alg of a wrong type":         {with(rs, map[string]any{"alg": []string{"RS256"}}), "RS256", rsaKey(), false},
		"RSA to sign only":                    {with(rs, map[string]any{"key_ops": []string{"sign"}}), "RS256", rsaKey(), false},
		"RSA with key_ops of a wrong type":    {with(rs, map[string]any{"key_ops": "verify"}), "RS256", rsaKey(), false},
		"RSA to verify":                       {with(rs, map[string]any{"key_ops": []string{"verify"}, "use": "sig"}), "RS256", rsaKey(), true},
		"P-256 does ES256":                    {with(es, nil), "ES256", p256(), true},
		"P-256 for ES384":                     {with(es, map[string]any{"alg": "ES384"}), "ES384", p256(), false},
		"ES256 with a P-384 key":              {with(p384().Public(), nil), "ES256", p384(), false},
		"ES256 with a P-521 key":              {with(p521().Public(), nil), "ES256", p521(), false},
		"ES512 with a P-256 key":              {with(es, nil), "ES512", p256(), false},
		"an RSA key does no ES256":            {with(rs, nil), "ES256", p256(), false},
		"certificates beside a key are inert": {with(rs, map[string]any{"x5c": []string{"not a certificate"}, "x5t": 1}), "RS256", rsaKey(), true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := prove(forge(tt.alg, tt.key, `{"alg":"`+tt.alg+`","kid":"k"}`, aliceClaims), tt.set)
			if tt.good {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, err, jose.UnknownKey)
		})
	}
}

func TestOneBadKeyDoesNotSpoilTheSet(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	good := publicJWK(p256().Public(), map[string]any{"kid": "good"})
	rs, es, okp := rsaKey().Public(), p256().Public(), ed().Public()
	long := func(n int) string { return base64.RawURLEncoding.EncodeToString(make([]byte, n)) }
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	even := new(big.Int).Lsh(rsaKey().N, 1)
	for name, bad := range map[string]map[string]any{
		"post-quantum":             {"kty": "AKP", "alg": "ML-DSA-44", "pub": "eA", "kid": "k"},
		"no kty":                   {"kid": "k"},
		"kty in lower case":        publicJWK(rs, map[string]any{"kty": "rsa"}),
		"symmetric":                {"kty": "oct", "k": long(32), "kid": "k"},
		"symmetric without k":      {"kty": "oct", "kid": "k"},
		"private RSA":              publicJWK(rs, map[string]any{"d": "eA"}),
		"private RSA, d empty":     publicJWK(rs, map[string]any{"d": ""}),
		"private EC":               publicJWK(es, map[string]any{"d": long(32)}),
		"RSA of 1024 bits":         publicJWK(small.Public(), nil),
		"RSA of 16384 bits":        publicJWK(rs, map[string]any{"n": number(new(big.Int).SetBit(big.NewInt(1), 16383, 1))}),
		"RSA with an even modulus": publicJWK(rs, map[string]any{"n": number(even)}),
		"RSA modulus of zeros":     publicJWK(rs, map[string]any{"n": long(256)}),
		"RSA exponent 1":           publicJWK(rs, map[string]any{"e": "AQ"}),
		"RSA exponent 0":           publicJWK(rs, map[string]any{"e": "AA"}),
		"RSA exponent even":        publicJWK(rs, map[string]any{"e": "AQAA"}),
		"RSA exponent of 64 bits":  publicJWK(rs, map[string]any{"e": "AQAAAAAAAAAB"}),
		"RSA exponent negative":    publicJWK(rs, map[string]any{"e": "_____w"}),
		"RSA without e":            publicJWK(rs, map[string]any{"e": nil}),
		"RSA with n as a number":   publicJWK(rs, map[string]any{"n": 5}),
		"EC off the curve":         publicJWK(es, map[string]any{"y": long(32)}),
		"EC at infinity":           publicJWK(es, map[string]any{"x": long(32), "y": long(32)}),
		"EC coordinate too short":  publicJWK(es, map[string]any{"x": long(31)}),
		"EC coordinate too long":   publicJWK(es, map[string]any{"x": long(33)}),
		"EC without y":             publicJWK(es, map[string]any{"y": nil}),
		"EC on P-224":              publicJWK(p224.Public(), nil),
		"EC point of another one":  publicJWK(es, map[string]any{"crv": "P-384"}),
		"secp256k1":                publicJWK(es, map[string]any{"crv": "secp256k1"}),
		"Ed25519 too short":        publicJWK(okp, map[string]any{"x": long(31)}),
		"Ed25519 too long":         publicJWK(okp, map[string]any{"x": long(33)}),
		"X25519":                   publicJWK(okp, map[string]any{"crv": "X25519"}),
		"kid is a number":          publicJWK(rs, map[string]any{"kid": 1}),
		"kid too long":             publicJWK(rs, map[string]any{"kid": strings.Repeat("k", 257)}),
		"kid with a line end":      publicJWK(rs, map[string]any{"kid": "k\n"}),
		"nested very deep":         publicJWK(rs, map[string]any{"x": nest(100)}),
	} {
		t.Run(name, func(t *testing.T) {
			set, dropped, err := jose.ParseKeySet(jwks(bad, good))
			if err != nil {
				t.Fatal(err)
			}
			if set.Len() != 1 || dropped != 1 {
				t.Errorf("%d keys are left and %d dropped, want 1 and 1", set.Len(), dropped)
			}
			if _, ok := set.Find("good", "ES256"); !ok {
				t.Error("the good key is gone")
			}
		})
	}
	t.Run("a member twice", func(t *testing.T) {
		set, dropped, err := jose.ParseKeySet([]byte(`{"keys":[{"kty":"oct","kty":"RSA"},[],null,7,"k"]}`))
		if err != nil || set.Len() != 0 || dropped != 5 {
			t.Errorf("got %d keys, %d dropped, %v", set.Len(), dropped, err)
		}
	})
}

func nest(n int) any {
	var v any
	for range n {
		v = []any{v}
	}
	return v
}

func TestNotAKeySet(t *testing.T) {
	many := make([]map[string]any, 201)
	for i := range many {
		many[i] = map[string]any{"kty": "oct"}
	}
	for name, body := range map[string]string{
		"empty":                 "",
		"HTML":                  "<!doctype html><title>Sign in</title>",
		"cut off":               string(jwks(publicJWK(rsaKey().Public(), nil)))[:100],
		"a list":                `[{"kty":"RSA"}]`,
		"null":                  `null`,
		"a single key":          string(must(jwkJSON())),
		"keys missing":          `{}`,
		"keys is null":          `{"keys":null}`,
		"keys is an object":     `{"keys":{}}`,
		"Keys, capitalised":     `{"Keys":[]}`,
		"keys twice":            `{"keys":[],"keys":[]}`,
		"something after it":    `{"keys":[]} {"keys":[]}`,
		"201 keys":              string(jwks(many...)),
		"larger than the cap":   `{"keys":[]}` + strings.Repeat(" ", jose.MaxKeySetBytes),
		"nested a million deep": `{"keys":` + strings.Repeat("[", 1<<19),
	} {
		t.Run(name, func(t *testing.T) {
			set, dropped, err := jose.ParseKeySet([]byte(body))
			wantRefused(t, err, jose.MalformedKeys)
			if set != nil || dropped != 0 {
				t.Errorf("results beside the error: %v, %d", set, dropped)
			}
		})
	}
	if set, _, err := jose.ParseKeySet([]byte(`{"keys":[],"x":{"keys":[1]}}`)); err != nil || set.Len() != 0 {
		t.Errorf("an empty set: got %v, %v", set, err)
	}
}

func jwkJSON() ([]byte, error) {
	s := string(jwks(publicJWK(rsaKey().Public(), nil)))
	return []byte(strings.TrimSuffix(strings.TrimPrefix(s, `{"keys":[`), `]}`)), nil
}

func TestFindByKeyID(t *testing.T) {
	other := must(rsaGenerate())
	set, dropped, err := jose.ParseKeySet(jwks(
		publicJWK(rsaKey().Public(), map[string]any{"kid": "a"}),
		publicJWK(p256().Public(), map[string]any{"kid": "a"}), // same id, other kind
		publicJWK(other.Public(), map[string]any{"kid": "b"}),
		publicJWK(ed().Public(), map[string]any{"kid": nil}),
	))
	if err != nil || dropped != 0 || set.Len() != 4 {
		t.Fatal(set.Len(), dropped, err)
	}
	for name, tt := range map[string]struct {
		kid, alg string
		want     bool
	}{
		"by id":                              {"a", "RS256", true},
		"same id, other kind":                {"a", "ES256", true},
		"same id, kind that is not there":    {"a", "EdDSA", false},
		"unknown id":                         {"c", "RS256", false},
		"no id and two keys that fit":        {"", "RS256", false},
		"no id and one key that fits":        {"", "ES256", true},
		"no id, and neither has the key":     {"", "EdDSA", true},
		"an id that the only fit has not":    {"x", "EdDSA", false},
		"no id and an algorithm without key": {"", "HS256", false},
		"no algorithm":                       {"a", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			k, ok := set.Find(tt.kid, tt.alg)
			if ok != tt.want || (k != nil) != tt.want || ok && !k.Allows(tt.alg) {
				t.Errorf("got %v, %v", k, ok)
			}
		})
	}
	var none *jose.KeySet
	if k, ok := none.Find("a", "RS256"); ok || k != nil || none.Len() != 0 || none.Supports("RS256") {
		t.Error("the nil set has keys")
	}
}

// Two keys under one name: which one proves a token must not depend on luck.
func TestTwoKeysOfTheSameName(t *testing.T) {
	second := must(rsaGenerate())
	set, dropped, err := jose.ParseKeySet(jwks(publicJWK(rsaKey().Public(), nil), publicJWK(second.Public(), nil)))
	if err != nil || set.Len() != 1 || dropped != 1 {
		t.Fatal(set.Len(), dropped, err)
	}
	if _, err := prove(genuine("RS256"), set); err != nil {
		t.Error("the first is not the one:", err)
	}

	// A key that names its algorithm goes before one that is able to do it.
	set, dropped, err = jose.ParseKeySet(jwks(
		publicJWK(rsaKey().Public(), nil), publicJWK(second.Public(), map[string]any{"alg": "PS256"})))
	if err != nil || set.Len() != 2 || dropped != 0 {
		t.Fatal(set.Len(), dropped, err)
	}
	for alg, key := range map[string]*rsa.PrivateKey{"PS256": second, "RS256": rsaKey()} {
		if _, err := prove(forge(alg, key, fmt.Sprintf(`{"alg":%q,"kid":"k"}`, alg), aliceClaims), set); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestSecretsMustBeLongEnough(t *testing.T) {
	for n, want := range map[int]string{0: "", 31: "", 32: "HS256", 47: "HS256", 48: "HS256 HS384", 64: "HS256 HS384 HS512"} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			set, err := jose.SecretKeySet(secret[:n])
			if want == "" {
				wantRefused(t, err, jose.WeakKey)
				if set != nil {
					t.Error("a set beside the error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, alg := range allAlgorithms() {
				if _, ok := set.Find("any id", alg); ok != strings.Contains(want, alg) {
					t.Errorf("%s: found %v", alg, ok)
				}
			}
		})
	}
}

func TestKeysDoNotPrintThemselves(t *testing.T) {
	set := must(jose.SecretKeySet(secret))
	k, _ := set.Find("", "HS256")
	signer := must(jose.NewSecretSigner("HS256", "k", secret))
	for _, s := range []string{
		fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k),
		fmt.Sprint(signer), fmt.Sprintf("%+v", signer), fmt.Sprintf("%#v", signer),
	} {
		if strings.Contains(s, "0123") || strings.Contains(s, "48, 49") || strings.Contains(s, "[48 49") {
			t.Errorf("the secret is in %q", s)
		}
	}
}

func TestInvalidTellsItsCause(t *testing.T) {
	cause := errors.New("cause")
	err := error(&jose.Invalid{Reason: jose.WeakKey, Err: cause})
	if !errors.Is(err, cause) || err.Error() != "weak_key: cause" {
		t.Errorf("got %q", err)
	}
	if s := (&jose.Invalid{Reason: jose.WrongNonce}).Error(); s != "wrong_nonce" {
		t.Errorf("got %q", s)
	}
	seen := map[jose.Reason]bool{}
	for _, r := range jose.Reasons() {
		if seen[r] || r == "" {
			t.Errorf("%q is there twice or empty", r)
		}
		seen[r] = true
	}
}
