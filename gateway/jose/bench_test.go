package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/jose"
)

const tenClaims = `{"iss":"https://op1.test","sub":"248289761001","aud":["api://app"],"exp":4000000000,"iat":1700000000,` +
	`"jti":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0","scope":"openid email profile","email":"alice@example.test","email_verified":true,"groups":["staff","admin"]}`

// rawVerify is the least that proving a signature costs, with nothing of a
// token around it.
func rawVerify(alg string, input, sig []byte) bool {
	switch alg {
	case "EdDSA":
		return ed25519.Verify(ed().Public().(ed25519.PublicKey), input, sig)
	case "HS256":
		m := hmac.New(sha256.New, secret)
		m.Write(input)
		return hmac.Equal(m.Sum(nil), sig)
	}
	sum := sha256.Sum256(input)
	switch alg {
	case "RS256":
		return rsa.VerifyPKCS1v15(&rsaKey().PublicKey, crypto.SHA256, sum[:], sig) == nil
	case "PS256":
		return rsa.VerifyPSS(&rsaKey().PublicKey, crypto.SHA256, sum[:], sig, nil) == nil
	}
	return ecdsa.Verify(&p256().PublicKey, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}

// BenchmarkVerify is all that a token costs that was never seen before: read it,
// find its key, prove the signature, judge the claims. BenchmarkVerify/raw is the
// same proof by crypto/* alone.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA", "HS256"} {
		raw := forge(alg, keyFor(alg), `{"alg":"`+alg+`","kid":"k","typ":"at+jwt"}`, tenClaims)
		set := published(alg)
		rules := jose.Rules{Issuer: "https://op1.test", Audiences: []string{"api://app"}, Algorithms: []string{alg}}
		now := time.Unix(1_700_000_100, 0)
		b.Run(strings.ToLower(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t, err := jose.Parse(raw)
				if err != nil {
					b.Fatal(err)
				}
				k, _ := set.Find(t.Header.KeyID, t.Header.Algorithm)
				c, err := t.Verify(k)
				if err != nil {
					b.Fatal(err)
				}
				if err := rules.JudgeAccess(t, c, now); err != nil {
					b.Fatal(err)
				}
			}
		})
		cut := strings.LastIndexByte(raw, '.')
		input, sig := []byte(raw[:cut]), must(base64.RawURLEncoding.DecodeString(raw[cut+1:]))
		b.Run("raw/"+strings.ToLower(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !rawVerify(alg, input, sig) {
					b.Fatal("bad signature")
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	raw := forge("RS256", rsaKey(), `{"alg":"RS256","kid":"k","typ":"at+jwt"}`, tenClaims)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jose.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAllocationsStayBounded(t *testing.T) {
	for alg, most := range map[string]float64{"RS256": 60, "ES256": 72, "EdDSA": 50, "HS256": 56} {
		raw := forge(alg, keyFor(alg), `{"alg":"`+alg+`","kid":"k","typ":"at+jwt"}`, tenClaims)
		set := published(alg)
		if n := testing.AllocsPerRun(200, func() { _, _ = prove(raw, set) }); n > most {
			t.Errorf("%s: %v allocations, at most %v were settled", alg, n, most)
		}
		if n := testing.AllocsPerRun(200, func() { _, _ = jose.Parse(raw) }); n > 42 {
			t.Errorf("%s: reading alone: %v allocations", alg, n)
		}
	}
}
