package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
)

// TestAlgorithmsThatAreNotForTheKey (RFC 8725 sections 3.1 and 3.2,
// CVE-2026-22817, CVE-2026-48523): all are signed correctly.
func TestAlgorithmsThatAreNotForTheKey(t *testing.T) {
	s := newTokenSite(t)
	// The issuer is configured for RS256 alone.
	for _, alg := range []string{"RS384", "RS512", "PS256", "PS384", "PS512"} {
		s.refused(t, jwtSigned(t, alg, s.rsa, `{"alg":"`+alg+`","kid":"k1"}`, jwtClaims(t, rsaIssuer, nil)), "algorithm_not_allowed")
	}
	s.refused(t, jwtSigned(t, "ES256", s.p256, `{"alg":"ES256","kid":"k1"}`, jwtClaims(t, rsaIssuer, nil)), "algorithm_not_allowed")
	s.refused(t, jwtSigned(t, "HS256", []byte(hmacSecret), `{"alg":"HS256","kid":"k1"}`, jwtClaims(t, rsaIssuer, nil)), "algorithm_not_allowed")
	// The algorithm is configured, and the key is for something else.
	for _, kid := range []string{"ps256", "enc", "ops", "oaep", "hs", "good"} {
		s.refused(t, jwtSigned(t, "RS256", s.rsa, `{"alg":"RS256","kid":"`+kid+`"}`, jwtClaims(t, mixedIssuer, nil)), "unknown_key")
	}
	for _, kid := range []string{"p384", "label"} {
		s.refused(t, jwtSigned(t, "ES256", s.p384, `{"alg":"ES256","kid":"`+kid+`"}`, jwtClaims(t, mixedIssuer, nil)), "unknown_key")
	}
	// The secret is long enough for all three, and one is configured.
	for _, alg := range []string{"HS384", "HS512"} {
		s.refused(t, jwtSigned(t, alg, []byte(hmacSecret), `{"alg":"`+alg+`"}`, jwtClaims(t, secretIssuer, nil)), "algorithm_not_allowed")
	}
	s.refused(t, jwtSigned(t, "RS256", s.rsa, `{"alg":"RS256"}`, jwtClaims(t, secretIssuer, nil)), "algorithm_not_allowed")
	// No algorithm of that name, whoever signed it.
	for _, alg := range []string{"rs256", "RS256 ", "RS1", "ES256K", "ES521", "HS1", "Ed25519", "ML-DSA-44"} {
		s.refused(t, s.rs256(t, `{"alg":"`+alg+`","kid":"k1"}`, jwtClaims(t, rsaIssuer, nil)), "algorithm_not_allowed")
	}
}

// TestCriticalExtensions (RFC 7515 section 4.1.11, RFC 7797, CVE-2025-59420,
// CVE-2026-32597, CVE-2026-35042): all are signed correctly.
func TestCriticalExtensions(t *testing.T) {
	s := newTokenSite(t)
	for _, members := range []string{
		`"crit":["x"],"x":1`, `"crit":[]`, `"crit":["alg"]`, `"crit":"x"`, `"crit":["absent"]`, `"crit":null`, `"crit":["exp"],"exp":1`,
		`"crit":["b64"],"b64":false`, `"b64":false`, `"b64":true`, `"zip":"DEF"`,
	} {
		s.refused(t, s.rs256(t, `{"alg":"RS256","kid":"k1",`+members+`}`, jwtClaims(t, rsaIssuer, nil)), "unsupported_header")
	}
	// What is not critical and not known has no effect (section 4).
	s.accepted(t, s.rs256(t, `{"alg":"RS256","kid":"k1","x":1,"jku":"https://elsewhere.test"}`, jwtClaims(t, rsaIssuer, nil)))
}

// TestTokensThatAreNoCompactJWS (CVE-2022-39227, CVE-2024-21664, RFC 7515 section
// 7.2): other serialisations are read by other rules.
func TestTokensThatAreNoCompactJWS(t *testing.T) {
	s := newTokenSite(t)
	valid := s.rs256(t, `{"alg":"RS256","kid":"k1"}`, jwtClaims(t, rsaIssuer, nil))
	part := strings.Split(valid, ".")
	for _, token := range []string{
		fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, part[0], part[1], part[2]),
		fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q},{"protected":%q,"signature":"eA"}]}`, part[1], part[0], part[2], part[0]),
		fmt.Sprintf(`{"payload":%q,"header":{"alg":"RS256"},"signature":%q}`, part[1], part[2]),
		fmt.Sprintf(`{"%s":1,"payload":%q}`, valid, part[1]),
		fmt.Sprintf(`{"%s.":1,"protected":%q,"payload":%q,"signature":%q}`, valid, part[0], part[1], part[2]),
		part[0],
		part[0] + "." + part[1],
		valid + ".x",
		valid + ".eA.eA",
		valid + ".eA.eA.eA",
		"." + valid,
		valid + ".",
		"." + part[0] + "." + part[1],
		".." + part[2],
		"..",
		part[0] + ".." + part[2],
		valid + "," + valid,
		valid + " " + valid,
		valid + "%00",
		valid + "=",
		part[0] + "=." + part[1] + "." + part[2],
		part[0] + "." + part[1] + ".+" + part[2][1:],
		part[0] + "." + part[1] + "." + part[2][:8] + " " + part[2][8:],
		part[0] + "." + part[1] + "." + part[2][:8] + "\t" + part[2][8:],
		segment(`[{"alg":"RS256"}]`) + "." + part[1] + "." + part[2],
		segment(`{"alg":"RS256"}{}`) + "." + part[1] + "." + part[2],
		segment("\ufeff"+`{"alg":"RS256"}`) + "." + part[1] + "." + part[2],
		segment(`{"alg":"RS256","x":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+`}`) + "." + part[1] + "." + part[2],
		"e." + part[1] + "." + part[2],
	} {
		s.refused(t, token, "malformed_token", "unsupported_credential")
	}
	s.refused(t, part[0]+"."+part[1]+"."+strings.Repeat("A", 20<<10), "token_too_large")
	s.accepted(t, valid)
}

// TestRepeatedNamesAndTheirVariants (RFC 7515 section 4, RFC 8259 section 4): two
// readers of one token must not see two users.
func TestRepeatedNamesAndTheirVariants(t *testing.T) {
	s := newTokenSite(t)
	const header = `{"alg":"RS256","kid":"k1"}`
	// with adds members to good claims, as text.
	with := func(members string) string {
		return strings.TrimSuffix(jwtClaims(t, rsaIssuer, nil), "}") + "," + members + "}"
	}
	for _, members := range []string{
		`"sub":"root"`, `"\u0073ub":"root"`, `"aud":"api://app"`, `"exp":4000000000`, `"iss":"https://rsa.test"`, `"groups":["admin"]`,
		`"realm_access":{"roles":[],"roles":["admin"]}`, `"x":[{"a":1,"a":2}]`,
	} {
		s.refused(t, s.rs256(t, header, with(members)), "malformed_claims")
	}
	for _, h := range []string{
		`{"alg":"none","alg":"RS256","kid":"k1"}`, `{"alg":"RS256","alg":"none","kid":"k1"}`, `{"alg":"RS256","kid":"k1","\u0061lg":"none"}`,
		`{"alg":"RS256","kid":"k1","ALG":"none"}`, `{"alg":"RS256","kid":"k1","\u212aid":"k1"}`, `{"alg":"RS256","kid":"k1","Crit":["x"]}`,
		`{"alg":"RS256","kid":"k1","jwk":{"kty":"RSA","kty":"EC"}}`,
	} {
		s.refused(t, s.rs256(t, h, jwtClaims(t, rsaIssuer, nil)), "malformed_token")
	}
	for _, payload := range []string{`[]`, `"x"`, `null`, `{}{}`, ``, `{"a":}`, "{\"sub\":\"\xff\"}", `{"sub":"\ud800"}`, `{"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`} {
		s.refused(t, s.rs256(t, header, payload), "malformed_claims", "malformed_token")
	}

	// Variants in case are other claims. They give nothing ...
	s.accepted(t, s.rs256(t, header, with(`"GROUPS":["admin"],"SUB":"root","Groups":["root"]`))).isUser(t, "alice", "", "users", "")
	// ... and make up for nothing.
	for name, reason := range map[string]string{"aud": "wrong_audience", "iss": "unknown_issuer"} {
		variant := strings.ToUpper(name[:1]) + name[1:]
		good := map[string]string{"aud": tokenAudience, "iss": rsaIssuer}[name]
		s.refused(t, s.rs256(t, header, jwtClaims(t, rsaIssuer, map[string]any{name: "other", variant: good})), reason)
		s.refused(t, s.rs256(t, header, jwtClaims(t, rsaIssuer, map[string]any{name: nil, variant: good})), "missing_claim")
	}
}

// TestTamperedAndRecombinedTokens (RFC 7515 section 5.2), each right after the
// genuine ones, so that no memory of those helps.
func TestTamperedAndRecombinedTokens(t *testing.T) {
	s := newTokenSite(t)
	const header = `{"alg":"RS256","kid":"k1"}`
	alice := s.rs256(t, header, jwtClaims(t, rsaIssuer, nil))
	root := s.rs256(t, header, jwtClaims(t, rsaIssuer, map[string]any{"sub": "root"}))
	a, r := strings.Split(alice, "."), strings.Split(root, ".")
	bad := []string{
		a[0] + "." + r[1] + "." + a[2],
		a[0] + "." + a[1] + "." + r[2],
		segment(`{"kid":"k1","alg":"RS256"}`) + "." + a[1] + "." + a[2],
		a[0] + "." + segment(jwtClaims(t, rsaIssuer, map[string]any{"groups": []string{"admin"}})) + "." + a[2],
		a[0] + "." + a[1] + "." + a[2][:len(a[2])-8],
		a[0] + "." + a[1] + "." + segment(strings.Repeat("\x00", 256)),
	}
	for i := 0; i < len(alice); i += 1 + len(alice)/60 { // a character exchanged, all over the token
		if alice[i] == '.' {
			continue
		}
		other := "A"
		if alice[i] == 'A' {
			other = "B"
		}
		bad = append(bad, alice[:i]+other+alice[i+1:])
	}
	for _, token := range bad {
		s.accepted(t, alice)
		s.accepted(t, root)
		s.refused(t, token, "bad_signature", "malformed_token", "malformed_claims", "algorithm_not_allowed", "unknown_key", "unknown_issuer",
			"missing_claim", "unsupported_header")
	}
}

// TestEncryptedTokens (CVE-2026-29000, CVE-2023-51774): anybody can encrypt to a
// public key, and that a token can be decrypted proves nothing.
func TestEncryptedTokens(t *testing.T) {
	s := newTokenSite(t)
	attacker := newRSA(t)
	root := jwtClaims(t, rsaIssuer, map[string]any{"sub": "root"})
	nested := segment(`{"alg":"none"}`) + "." + segment(root) + "."
	inner := []string{root, nested, jwtSigned(t, "RS256", attacker, `{"alg":"RS256","kid":"k1"}`, root), s.rs256(t, `{"alg":"RS256","kid":"k1"}`, root)}
	encrypt := func(alg gojose.KeyAlgorithm, key any, text string) string {
		options := (&gojose.EncrypterOptions{}).WithContentType("JWT").WithHeader("kid", "k1")
		e, err := gojose.NewEncrypter(gojose.A128GCM, gojose.Recipient{Algorithm: alg, Key: key}, options)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := e.Encrypt([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		compact, err := sealed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return compact
	}
	for alg, key := range map[gojose.KeyAlgorithm]any{
		gojose.RSA_OAEP: &s.rsa.PublicKey, gojose.RSA_OAEP_256: &s.rsa.PublicKey, gojose.ECDH_ES: &s.p256.PublicKey,
		gojose.DIRECT: []byte(hmacSecret)[:16], gojose.A128KW: []byte(hmacSecret)[:16],
	} {
		for _, text := range inner {
			jwe := encrypt(alg, key, text)
			s.refused(t, jwe, "malformed_token", "unsupported_credential")
			// Three of its parts are not a JWS either.
			part := strings.Split(jwe, ".")
			s.refused(t, part[0]+"."+segment(root)+"."+part[4], "algorithm_not_allowed")
		}
	}
	deep := root
	for range 20 {
		deep = encrypt(gojose.DIRECT, []byte(hmacSecret)[:16], deep)
	}
	a := s.as(t, "", "/api/", "Authorization: Bearer "+deep)
	s.denied(t, a, 0, http.StatusUnauthorized, http.StatusRequestHeaderFieldsTooLarge)
	// A signed token whose payload is a token is no set of claims.
	s.refused(t, s.rs256(t, `{"alg":"RS256","kid":"k1","cty":"JWT"}`, inner[3]), "malformed_claims")
}
