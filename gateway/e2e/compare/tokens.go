//go:build e2e && linux

package compare

import (
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/jose"
)

const issuerName = "https://id.example.com"

// issuer signs the tokens of the comparison, with a key of 2048 bits.
type issuer struct {
	signer *jose.Signer
	keys   []byte // its JWKS
}

func newIssuer(tb testing.TB) *issuer {
	tb.Helper()
	signer, err := jose.NewSigner("RS256", "k1")
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := signer.PublicJWKS()
	if err != nil {
		tb.Fatal(err)
	}
	return &issuer{signer, keys}
}

// token signs one access token with ten claims, none of which another has.
func (i *issuer) token(n int) (string, error) {
	now := time.Now()
	return i.signer.Sign("at+jwt", map[string]any{
		"iss": issuerName, "aud": "api", "sub": "8c7f6d1e-alice", "iat": now.Unix(), "exp": now.Add(6 * time.Hour).Unix(),
		"groups": []string{"users", "staff"}, "email": "alice@example.com", "email_verified": true, "scope": "read write", "jti": strconv.Itoa(n),
	})
}

// tokens signs many, on every core.
func (i *issuer) tokens(tb testing.TB, count int) []string {
	tb.Helper()
	all := make([]string, count)
	workers := runtime.NumCPU()
	var signing sync.WaitGroup
	for w := range workers {
		signing.Go(func() {
			for n := w; n < count; n += workers {
				token, err := i.token(n)
				if err != nil {
					tb.Error(err)
					return
				}
				all[n] = token
			}
		})
	}
	signing.Wait()
	return all
}
