package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/jose"
)

// prover makes DPoP proofs.
type prover struct {
	key        *ecdsa.PrivateKey
	jwk        map[string]any
	thumbprint string
}

func newProver(t *testing.T) *prover {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewKeySigner("ES256", "", key)
	if err != nil {
		t.Fatal(err)
	}
	published, err := signer.PublicJWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(published, &set); err != nil {
		t.Fatal(err)
	}
	jwk := map[string]any{"kty": "EC", "crv": "P-256", "x": set.Keys[0]["x"], "y": set.Keys[0]["y"]}
	// RFC 7638, section 3; encoding/json sorts the members.
	canonical, err := json.Marshal(jwk)
	if err != nil {
		t.Fatal(err)
	}
	return &prover{key: key, jwk: jwk, thumbprint: digest(string(canonical))}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p *prover) proof(t *testing.T, url, token string) string {
	t.Helper()
	encode := func(v map[string]any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := encode(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": p.jwk}) + "." + encode(map[string]any{
		"jti": rand.Text(), "htm": "GET", "htu": url, "iat": time.Now().Unix(), "ath": digest(token),
	})
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(sig[:])
}

// TestStolenBoundTokens: a token that is bound to a key is worth nothing to
// whoever has the token alone, or a proof that he has seen.
func TestStolenBoundTokens(t *testing.T) {
	s := newSite(t, plan{})
	owner, thief := newProver(t), newProver(t)
	token := s.token(t, map[string]any{"cnf": map[string]any{"jkt": owner.thumbprint}})
	url := "http://" + s.host + "/api/"
	dpop := "Authorization: DPoP " + token

	seen := owner.proof(t, url, token)
	got := s.passed(t, s.as(t, "", "/api/?page=2", dpop, "DPoP: "+seen))
	got.isUser(t, "caller", "", "", "")
	for _, name := range []string{"Authorization", "DPoP"} {
		if v := got.header(name); len(v) > 0 {
			t.Errorf("the application reads %s: %v", name, v)
		}
	}
	for name, c := range map[string]struct {
		lines  []string
		reason string
	}{
		"the token alone":               {[]string{"Authorization: Bearer " + token}, "bound_token"},
		"the token without a proof":     {[]string{dpop}, "invalid_dpop_proof"},
		"a proof that was seen":         {[]string{dpop, "DPoP: " + seen}, "replayed_dpop_proof"},
		"a proof by the thief":          {[]string{dpop, "DPoP: " + thief.proof(t, url, token)}, "invalid_dpop_proof"},
		"a proof for another address":   {[]string{dpop, "DPoP: " + owner.proof(t, url+"x", token)}, "invalid_dpop_proof"},
		"two proofs":                    {[]string{dpop, "DPoP: " + owner.proof(t, url, token), "DPoP: " + owner.proof(t, url, token)}, "invalid_dpop_proof"},
		"a proof beside a bearer token": {[]string{"Authorization: Bearer " + token, "DPoP: " + owner.proof(t, url, token)}, "bound_token"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.as(t, "", "/api/", c.lines...)
			s.denied(t, a, http.StatusUnauthorized)
			if !strings.Contains(a.text, `"`+c.reason+`"`) {
				t.Errorf("the reason is in %s", a.text)
			}
			challenges := strings.Join(a.Header.Values("WWW-Authenticate"), "\n")
			if !strings.Contains(challenges, "DPoP realm=") || !strings.Contains(challenges, "algs=") {
				t.Errorf("the challenges are %s", challenges)
			}
		})
	}
	s.passed(t, s.as(t, "", "/api/", dpop, "DPoP: "+owner.proof(t, url, token)))
}
