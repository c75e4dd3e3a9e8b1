package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/jose"
)

// FuzzParse compares Parse with a reader of our own that is slow and simple:
// they accept the same tokens and see the same in them. What is proven in the
// end, go-jose must prove as well.
func FuzzParse(f *testing.F) {
	for _, alg := range allAlgorithms() {
		f.Add(genuine(alg))
	}
	for _, raw := range wycheproofTokens(f) {
		f.Add(raw)
	}
	for _, seed := range []string{
		"", "..", "e30.e30.e30", b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".", b64(`{"alg":"RS256","crit":["x"]}`) + ".e30.e30",
		b64(`{"alg":"ES256","kid":"\ud83d\ude00","typ":"JWT"}`) + "." + b64(`{"a":[1,-0.5e3,"\u00e9",null,{"b":{}}]}`) + ".e30",
	} {
		f.Add(seed)
	}
	sets := []*jose.KeySet{published("RS256"), published("HS256")}
	known := jose.Reasons()
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := jose.Parse(raw)
		header, acceptable, sure := referenceToken(raw)
		if err != nil {
			wantRefused(t, err, "")
			reason, _, _ := strings.Cut(err.Error(), ":")
			if tok != nil || !slices.Contains(known, jose.Reason(reason)) {
				t.Fatalf("a token %v beside %v", tok, err)
			}
			if acceptable && sure {
				t.Fatalf("%q is good, and was refused: %v", raw, err)
			}
			return
		}
		if sure && (!acceptable || tok.Header != header) {
			t.Fatalf("%q was read as %+v, by the reference as %+v (acceptable: %v)", raw, tok.Header, header, acceptable)
		}
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
			if c != nil {
				t.Fatalf("claims %v beside %v", c, err)
			}
		}
	})
}

func wycheproofTokens(f *testing.F) []string {
	f.Helper()
	var all []string
	for _, file := range []string{"json_web_signature", "json_web_crypto", "json_web_key"} {
		for _, g := range vectorsOf(f, file) {
			for _, v := range g.Tests {
				var raw string
				if json.Unmarshal(slices.Concat(v.JWS, v.JWE), &raw) == nil {
					all = append(all, raw)
				}
			}
		}
	}
	return all
}

// FuzzClaims compares the strict reader of JSON with encoding/json, in both
// directions: nothing is read in another way, and nothing good is refused.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		aliceClaims, tenClaims, `{"a":[1,-0.5e3,"\u00e9\ud83d\ude00",null,{"b":{}},true]}`, `{"n":9007199254740993,"m":1e999,"z":-0,"y":0.0}`,
		`{"a":1,"\u0061":2}`, `{"a":"\ud800"}`, `{"iss":"x","iss" :1}`, "{\"a\":\"\x00\"}", `{"":{"":{"":[]}}}`, ` { } `, `{"a":01}`, `{"preferred_username":"x","nonce\u0000":1}`,
		`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, err := jose.DecodeObject(data)
		theirs, acceptable, sure := referenceObject(data)
		switch {
		case err != nil && ours != nil:
			t.Fatal("members beside the error")
		case err == nil && !acceptable && sure:
			t.Fatalf("%q is not good, and was read as %v", data, ours)
		case err != nil && acceptable && sure:
			t.Fatalf("%q is good, and was refused: %v", data, err)
		case err == nil && sure && !reflect.DeepEqual(theirs, ours): // cmp takes exponential time on deep nesting
			t.Fatalf("%q was read as %v, by the reference as %v", data, ours, theirs)
		}
	})
}

// FuzzKeySet: whatever a key set says, its usable keys are sound, and none of
// them is a secret or makes the verifier panic.
func FuzzKeySet(f *testing.F) {
	f.Add(jwks())
	f.Add(jwks(publicJWK(rsaKey().Public(), nil), publicJWK(p256().Public(), map[string]any{"alg": "ES256"}), publicJWK(ed().Public(), nil)))
	f.Add(jwks(map[string]any{"kty": "oct", "k": "eA"}, map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "eA"}))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"` + strings.Repeat("A", 400) + `","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""},{"kty":"RSA","n":"AQ","e":"-"}],"keys":[]}`))
	for _, file := range []string{"json_web_signature", "json_web_crypto", "json_web_key"} {
		for _, g := range vectorsOf(f, file) {
			for _, key := range []json.RawMessage{g.Public, g.Private} {
				f.Add([]byte(`{"keys":[` + string(key) + `]}`))
				f.Add([]byte(key))
			}
		}
	}
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
		var list struct{ Keys []json.RawMessage }
		if err := json.Unmarshal(data, &list); err != nil || set.Len() > 200 {
			t.Fatalf("%d keys, %v", set.Len(), err)
		}
		// encoding/json folds "KEYS": then its list may be another one.
		if n := set.Len() + dropped; strings.Count(strings.ToLower(string(data)), "keys") == 1 && n != len(list.Keys) {
			t.Fatalf("%d keys are used or dropped, there are %d", n, len(list.Keys))
		}
		for _, m := range set.Material() {
			soundKey(t, m)
		}
		for alg, tok := range tokens {
			for _, kid := range []string{"", "k"} {
				k, ok := set.Find(kid, alg)
				if !ok {
					continue
				}
				if strings.HasPrefix(alg, "HS") || !k.Allows(alg) {
					t.Fatalf("a published key is for %s", alg)
				}
				if c, err := tok.Verify(k); (err == nil) != (c != nil) {
					t.Fatal("claims beside the error")
				}
			}
		}
	})
}

func soundKey(t *testing.T, material any) {
	t.Helper()
	switch k := material.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 || bits > 8192 || k.N.Bit(0) == 0 || k.E < 3 || k.E%2 == 0 {
			t.Fatalf("RSA of %d bits with the exponent %d", bits, k.E)
		}
	case *ecdsa.PublicKey:
		if _, err := k.ECDH(); err != nil {
			t.Fatal("not a point of the curve:", err)
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			t.Fatalf("Ed25519 of %d bytes", len(k))
		}
	default:
		t.Fatalf("a %T in a published set", k)
	}
}

// FuzzJudgeProof: whatever comes as a DPoP proof, it is refused without a panic,
// or it is a proof with a key, an id and a time that is near.
func FuzzJudgeProof(f *testing.F) {
	for _, seed := range []string{
		"", "a.b.c", "e30.e30.e30",
		forge("ES256", p256(), `{"alg":"ES256","typ":"dpop+jwt"}`, `{"jti":"x","htm":"GET","htu":"https://a.test/","iat":1800000000}`),
		forge("ES256", p256(), `{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`, `{"jti":"x","htm":"GET","htu":"https://a.test/","iat":1800000000,"ath":"x"}`),
		forge("ES256", p256(), `{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"oct","k":"AA"}}`, `{"htu":"%zz"}`),
	} {
		f.Add(seed, "https://a.test/")
	}
	f.Fuzz(func(t *testing.T, raw, url string) {
		rules := jose.ProofRules{Method: "GET", URL: url, AccessToken: "token", MaxAge: time.Minute}
		p, err := jose.JudgeProof(raw, rules, now)
		if err != nil {
			if _, ok := errors.AsType[*jose.Invalid](err); !ok || p != nil {
				t.Errorf("%v, %v", p, err)
			}
			return
		}
		if len(p.Thumbprint) != 43 || p.ID == "" || p.IssuedAt.Sub(now).Abs() > time.Minute {
			t.Errorf("%+v", p)
		}
	})
}
