package jose_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/sallyport/sallyport/gateway/jose"
)

// RFC 7518 section 3.5: the salt of a PSS signature is as long as the hash. A
// verifier that finds out the length by itself, as crypto/rsa does unless told,
// accepts more than one form of signature for a token.
func TestSaltOfAnotherLength(t *testing.T) {
	input := b64(`{"alg":"PS256","kid":"k"}`) + "." + b64(aliceClaims)
	digest := sha256.Sum256([]byte(input))
	for _, salt := range []int{1, 20, 31, 32, 33, 64, 222} {
		t.Run(fmt.Sprint(salt), func(t *testing.T) {
			sig := must(rsa.SignPSS(rand.Reader, rsaKey(), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt}))
			_, err := prove(input+"."+base64.RawURLEncoding.EncodeToString(sig), published("PS256"))
			if salt == sha256.Size {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, err, jose.BadSignature)
		})
	}
}
