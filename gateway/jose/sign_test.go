package jose_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/jose"
)

func TestWhatIsSignedIsProven(t *testing.T) {
	claims := map[string]any{
		"iss": "https://app.test/.auth", "sub": "ålice <&>", "exp": 4e9,
		// GHSA-4cf7-xm37-g63h: jwx writes this name as two claims.
		`x":0,"admin`: true,
		"nested":      map[string]any{"list": []any{"a", 1.5, nil}},
	}
	for _, alg := range allAlgorithms() {
		t.Run(alg, func(t *testing.T) {
			signer, err := jose.NewSigner(alg, "key/1")
			var set *jose.KeySet
			if keyFor(alg) != nil && alg[:2] == "HS" {
				if err == nil || signer != nil {
					t.Fatal("a secret was generated")
				}
				signer, set = must(jose.NewSecretSigner(alg, "key/1", secret)), must(jose.SecretKeySet(secret))
				if _, err := signer.PublicJWKS(); err == nil || signer.Public() != nil {
					t.Fatal("a secret was published")
				}
			} else {
				if err != nil {
					t.Fatal(err)
				}
				var dropped int
				set, dropped, err = jose.ParseKeySet(must(signer.PublicJWKS()))
				if err != nil || dropped != 0 || set.Len() != 1 || signer.Public() == nil {
					t.Fatal(dropped, err)
				}
			}
			raw, err := signer.Sign("at+jwt", claims)
			if err != nil {
				t.Fatal(err)
			}
			tok := must(jose.Parse(raw))
			if want := (jose.Header{Algorithm: alg, KeyID: "key/1", Type: "at+jwt"}); tok.Header != want {
				t.Errorf("got %+v", tok.Header)
			}
			if signer.Algorithm() != alg || signer.KeyID() != "key/1" {
				t.Error("the signer does not know itself")
			}
			c, err := prove(raw, set)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(claims, c.Raw); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOneKeySetOfSeveralSigners(t *testing.T) {
	a, b := must(jose.NewSigner("ES256", "a")), must(jose.NewSigner("EdDSA", "b"))
	body := must(jose.PublicJWKS(a, b))
	set, dropped, err := jose.ParseKeySet(body)
	if err != nil || dropped != 0 || set.Len() != 2 {
		t.Fatal(set.Len(), dropped, err)
	}
	if bytes.Contains(body, []byte(`"d"`)) {
		t.Error("a private key was published")
	}
	for _, s := range []*jose.Signer{a, b} {
		if _, err := prove(must(s.Sign("", map[string]any{"sub": "x"})), set); err != nil {
			t.Error(err)
		}
	}
	if body := must(jose.PublicJWKS()); string(body) != `{"keys":[]}` {
		t.Errorf("no signers: %s", body)
	}
}

func TestSigningWithKeysThatDoNotFit(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	for name, make := range map[string]func() (*jose.Signer, error){
		"none":                   func() (*jose.Signer, error) { return jose.NewSigner("none", "k") },
		"unknown algorithm":      func() (*jose.Signer, error) { return jose.NewKeySigner("RS257", "k", rsaKey()) },
		"RSA of 1024 bits":       func() (*jose.Signer, error) { return jose.NewKeySigner("RS256", "k", small) },
		"ES256 with P-384":       func() (*jose.Signer, error) { return jose.NewKeySigner("ES256", "k", p384()) },
		"ES256 with P-224":       func() (*jose.Signer, error) { return jose.NewKeySigner("ES256", "k", p224) },
		"RS256 with Ed25519":     func() (*jose.Signer, error) { return jose.NewKeySigner("RS256", "k", ed()) },
		"HS256 with a key":       func() (*jose.Signer, error) { return jose.NewKeySigner("HS256", "k", rsaKey()) },
		"HS512 with 32 bytes":    func() (*jose.Signer, error) { return jose.NewSecretSigner("HS512", "k", secret[:32]) },
		"RS256 with a secret":    func() (*jose.Signer, error) { return jose.NewSecretSigner("RS256", "k", secret) },
		"HS256 without a secret": func() (*jose.Signer, error) { return jose.NewSecretSigner("HS256", "k", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := make(); err == nil || s != nil {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
	if raw, err := must(jose.NewSigner("ES256", "")).Sign("", map[string]any{"f": func() {}}); err == nil || raw != "" {
		t.Errorf("claims that are no JSON: %q, %v", raw, err)
	}
}
