package jose_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/jose"
)

func FuzzParse(f *testing.F) {
	sets := make([]*jose.KeySet, 0, 2)
	for _, alg := range allAlgorithms() {
		f.Add(genuine(alg))
	}
	for _, alg := range []string{"RS256", "HS256"} {
		sets = append(sets, published(alg))
	}
	known := map[string]bool{}
	for _, r := range jose.Reasons() {
		known[string(r)] = true
	}
	for _, seed := range []string{
		"", "..", "e30.e30.e30", b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".", b64(`{"alg":"RS256","crit":["x"]}`) + ".e30.e30",
		b64(`{"alg":"ES256","kid":"\ud83d\ude00","typ":"JWT"}`) + "." + b64(`{"a":[1,-0.5e3,"\u00e9",null,{"b":{}}]}`) + ".e30",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := jose.Parse(raw)
		if err != nil {
			wantRefused(t, err, "")
			if tok != nil {
				t.Fatal("a token beside the error")
			}
			return
		}
		if len(raw) > jose.MaxTokenBytes || strings.Count(raw, ".") != 2 {
			t.Fatal("not a compact JWS of an allowed size")
		}
		samePayload(t, raw)
		if iss, err := tok.UnverifiedIssuer(); err != nil && iss != "" {
			t.Fatal("an issuer beside the error")
		}
		for _, set := range sets {
			k, ok := set.Find(tok.Header.KeyID, tok.Header.Algorithm)
			if !ok {
				continue
			}
			c, err := tok.Verify(k)
			if err == nil {
				agree(t, tok.Header.Algorithm, raw, c)
				continue
			}
			wantRefused(t, err, "")
			if reason, _, _ := strings.Cut(err.Error(), ":"); !known[reason] || c != nil {
				t.Fatalf("claims %v beside %v", c, err)
			}
		}
	})
}

// samePayload compares our reading of the claims with that of encoding/json,
// by way of a signature with a key of our own.
func samePayload(t *testing.T, raw string) {
	t.Helper()
	payload := must(base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1]))
	c, err := claimsOf(string(payload))
	if err != nil {
		return
	}
	var theirs map[string]any
	if err := json.Unmarshal(payload, &theirs); err != nil {
		var ours map[string]any
		dec := json.NewDecoder(strings.NewReader(string(payload)))
		dec.UseNumber() // 1e999 is JSON, but no float64
		if dec.Decode(&ours) != nil {
			t.Fatalf("encoding/json does not read %q: %v", payload, err)
		}
		return
	}
	number := cmp.FilterValues(func(x, y any) bool {
		_, a := x.(json.Number)
		_, b := y.(json.Number)
		return a || b
	}, cmp.Comparer(func(_, _ any) bool { return true }))
	if diff := cmp.Diff(theirs, c.Raw, number); diff != "" {
		t.Fatalf("%q: %s", payload, diff)
	}
}

func FuzzKeySet(f *testing.F) {
	f.Add(jwks())
	f.Add(jwks(publicJWK(rsaKey().Public(), nil), publicJWK(p256().Public(), map[string]any{"alg": "ES256"}), publicJWK(ed().Public(), nil)))
	f.Add(jwks(map[string]any{"kty": "oct", "k": "eA"}, map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "eA"}))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"` + strings.Repeat("A", 400) + `","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""},{"kty":"RSA","n":"AQ","e":"-"}],"keys":[]}`))
	tokens := map[string]*jose.Token{}
	for _, alg := range allAlgorithms() {
		tokens[alg] = must(jose.Parse(genuine(alg)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, dropped, err := jose.ParseKeySet(data)
		if err != nil {
			wantRefused(t, err, jose.MalformedKeys)
			if set != nil || dropped != 0 {
				t.Fatal("results beside the error")
			}
			return
		}
		if set.Len() > 200 {
			t.Fatal("too many keys")
		}
		for alg, tok := range tokens {
			for _, kid := range []string{"", "k"} {
				k, ok := set.Find(kid, alg)
				if !ok {
					continue
				}
				if strings.HasPrefix(alg, "HS") {
					t.Fatal("a published key proves secrets")
				}
				// No key makes the verifier panic.
				if c, err := tok.Verify(k); err != nil && c != nil {
					t.Fatal("claims beside the error")
				}
			}
		}
	})
}
