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

	"github.com/sallyport/sallyport/gateway/jose"
)

const tenClaims = `{"iss":"https://op1.test","sub":"248289761001","aud":["api://app"],"exp":4000000000,"iat":1700000000,` +
	`"jti":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0","scope":"openid email profile","email":"alice@example.test","email_verified":true,"groups":["staff","admin"]}`

// rawVerify is the least that proving a signature costs, with nothing of a
// token around it.
func rawVerify(alg string, input, sig []byte) bool {
	sum := sha256.Sum256(input)
	switch alg {
	case "RS256":
		return rsa.VerifyPKCS1v15(&rsaKey().PublicKey, crypto.SHA256, sum[:], sig) == nil
	case "ES256":
		return ecdsa.Verify(&p256().PublicKey, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case "EdDSA":
		return ed25519.Verify(ed().Public().(ed25519.PublicKey), input, sig)
	}
	m := hmac.New(sha256.New, secret)
	m.Write(input)
	return hmac.Equal(m.Sum(nil), sig)
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA", "HS256"} {
		raw := forge(alg, keyFor(alg), `{"alg":"`+alg+`","kid":"k","typ":"at+jwt"}`, tenClaims)
		set := published(alg)
		b.Run(strings.ToLower(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := prove(raw, set); err != nil {
					b.Fatal(err)
				}
			}
		})
		cut := strings.LastIndexByte(raw, '.')
		input, sig := []byte(raw[:cut]), must(base64.RawURLEncoding.DecodeString(raw[cut+1:]))
		b.Run(strings.ToLower(alg)+"/crypto", func(b *testing.B) {
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
	for alg, most := range map[string]float64{"RS256": 155, "ES256": 165, "EdDSA": 145, "HS256": 150} {
		raw := forge(alg, keyFor(alg), `{"alg":"`+alg+`","kid":"k","typ":"at+jwt"}`, tenClaims)
		set := published(alg)
		if n := testing.AllocsPerRun(200, func() { _, _ = prove(raw, set) }); n > most {
			t.Errorf("%s: %v allocations, at most %v were settled", alg, n, most)
		}
		if n := testing.AllocsPerRun(200, func() { _, _ = jose.Parse(raw) }); n > 60 {
			t.Errorf("%s: reading alone: %v allocations", alg, n)
		}
	}
}
