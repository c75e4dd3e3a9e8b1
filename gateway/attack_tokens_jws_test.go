package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	rsaIssuer    = "https://rsa.test"
	otherIssuer  = "https://rsa2.test" // its key has the same id
	secretIssuer = "https://hs.test"
	mixedIssuer  = "https://mixed.test" // its keys are for other things
	hmacSecret   = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// tokenSite is a site with issuers whose private keys the test has.
type tokenSite struct {
	*site
	rsa, other *rsa.PrivateKey
	p256, p384 *ecdsa.PrivateKey
	keys       *keyServer // publishes the set of rsaIssuer
}

func newTokenSite(t *testing.T) *tokenSite {
	t.Helper()
	s := &tokenSite{rsa: newRSA(t), other: newRSA(t), p256: newEC(t, elliptic.P256()), p384: newEC(t, elliptic.P384()), keys: newKeyServer(t)}
	noAlg := map[string]any{"alg": nil}
	s.keys.publish(jwksOf(t, jwkOf(t, "RS256", "k1", s.rsa, noAlg)))
	other := fileWith(t, jwksOf(t, jwkOf(t, "RS256", "k1", s.other, noAlg)))
	mixed := fileWith(t, jwksOf(t,
		jwkOf(t, "ES256", "good", s.p256, nil),
		jwkOf(t, "PS256", "ps256", s.rsa, nil),
		jwkOf(t, "RS256", "enc", s.rsa, map[string]any{"use": "enc"}),
		jwkOf(t, "RS256", "ops", s.rsa, map[string]any{"use": nil, "key_ops": []string{"sign"}}),
		jwkOf(t, "RS256", "oaep", s.rsa, map[string]any{"alg": "RSA-OAEP"}),
		jwkOf(t, "RS256", "hs", s.rsa, map[string]any{"alg": "HS256"}),
		jwkOf(t, "ES384", "p384", s.p384, noAlg),
		jwkOf(t, "ES384", "label", s.p384, map[string]any{"alg": "ES256"}),
	))
	s.site = newSite(t, plan{issuers: fmt.Sprintf(`
    - {issuer: %q, audiences: [%q], algorithms: [RS256], jwks_url: %q}
    - {issuer: %q, audiences: [%q], algorithms: [RS256], jwks_file: %q}
    - {issuer: %q, audiences: [%q], algorithms: [HS256], secret: %q}
    - {issuer: %q, audiences: [%q], algorithms: [RS256, ES256], jwks_file: %q}`,
		rsaIssuer, tokenAudience, s.keys.url(), otherIssuer, tokenAudience, other,
		secretIssuer, tokenAudience, hmacSecret, mixedIssuer, tokenAudience, mixed)})

	// Whatever is refused below is refused for what is wrong with it.
	for issuer, token := range map[string]string{
		rsaIssuer:    jwtSigned(t, "RS256", s.rsa, `{"alg":"RS256","kid":"k1"}`, jwtClaims(t, rsaIssuer, nil)),
		otherIssuer:  jwtSigned(t, "RS256", s.other, `{"alg":"RS256","kid":"k1"}`, jwtClaims(t, otherIssuer, nil)),
		secretIssuer: jwtSigned(t, "HS256", []byte(hmacSecret), `{"alg":"HS256"}`, jwtClaims(t, secretIssuer, nil)),
		mixedIssuer:  jwtSigned(t, "ES256", s.p256, `{"alg":"ES256","kid":"good"}`, jwtClaims(t, mixedIssuer, nil)),
	} {
		s.accepted(t, token).isUser(t, "alice", "", "users", "")
		if t.Failed() {
			t.Fatal("the good token of " + issuer + " is not accepted")
		}
	}
	return s
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEC(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rs256 signs claims as rsaIssuer does.
func (s *tokenSite) rs256(t *testing.T, header, payload string) string {
	t.Helper()
	return jwtSigned(t, "RS256", s.rsa, header, payload)
}

// TestTokensWithoutASignature (RFC 8725 section 3.2, CVE-2015-9235,
// CVE-2026-28802): none of them gets as far as the search for a key.
func TestTokensWithoutASignature(t *testing.T) {
	s := newTokenSite(t)
	payload := segment(jwtClaims(t, rsaIssuer, map[string]any{"sub": "root"}))
	before := s.keys.fetches()
	for _, alg := range []string{`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `" none"`, `""`, `null`, `["RS256"]`, `256`, `{}`} {
		header := segment(`{"alg":` + alg + `,"kid":"unknown"}`)
		for _, end := range []string{".", "", "." + segment("a signature")} {
			s.refused(t, header+"."+payload+end, "malformed_token", "algorithm_not_allowed", "unsupported_credential")
		}
	}
	s.refused(t, segment(`{"kid":"unknown"}`)+"."+payload+"."+segment("a signature"), "malformed_token")
	if n := s.keys.fetches() - before; n != 0 {
		t.Errorf("keys were looked for %d times", n)
	}
}

// TestPublicKeyAsASharedSecret (CVE-2015-9235, CVE-2016-10555, CVE-2023-48223,
// CVE-2026-34950): everybody has the public key, and could sign with it.
func TestPublicKeyAsASharedSecret(t *testing.T) {
	s := newTokenSite(t)
	pub := &s.rsa.PublicKey
	pkix, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, pub, s.rsa)
	if err != nil {
		t.Fatal(err)
	}
	var secrets [][]byte
	for kind, der := range map[string][]byte{"PUBLIC KEY": pkix, "RSA PUBLIC KEY": x509.MarshalPKCS1PublicKey(pub), "CERTIFICATE": certificate} {
		text := string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		secrets = append(secrets, der, []byte(text), []byte(strings.TrimSpace(text)), []byte(" "+text), []byte(strings.ReplaceAll(text, "\n", "\r\n")))
	}
	jwk := jwkOf(t, "RS256", "k1", s.rsa, nil)
	secrets = append(secrets, []byte(jsonText(t, jwk)), []byte(jwksOf(t, jwk)), []byte(jwk["n"].(string)), pub.N.Bytes(), nil)
	for _, secret := range secrets {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			root := jwtClaims(t, rsaIssuer, map[string]any{"sub": "root"})
			s.refused(t, jwtSigned(t, alg, secret, `{"alg":"`+alg+`","kid":"k1"}`, root), "algorithm_not_allowed")
			// Nor does it help to say so to an issuer that has a secret.
			root = jwtClaims(t, secretIssuer, map[string]any{"sub": "root"})
			s.refused(t, jwtSigned(t, alg, secret, `{"alg":"`+alg+`","kid":"k1"}`, root), "algorithm_not_allowed", "bad_signature")
		}
	}
}

// TestTokensThatBringTheirOwnKey (CVE-2018-0114, CVE-2025-24976, RFC 8725
// section 3.10): the listener sees no connection.
func TestTokensThatBringTheirOwnKey(t *testing.T) {
	s := newTokenSite(t)
	listener := newKeyServer(t)
	attacker := newRSA(t)
	own := jwkOf(t, "RS256", "k1", attacker, nil)
	listener.publish(jwksOf(t, own))
	s.keys.answer(func(w http.ResponseWriter, r *http.Request) { // an open redirect at the issuer
		http.Redirect(w, r, listener.url(), http.StatusFound)
	})
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, attacker.Public(), attacker)
	if err != nil {
		t.Fatal(err)
	}
	before := s.keys.fetches()
	host := strings.TrimPrefix(listener.server.URL, "http://")
	for _, members := range []string{
		`"jwk":` + jsonText(t, own),
		`"x5c":["` + base64.StdEncoding.EncodeToString(certificate) + `"]`,
		`"x5t":"dGh1bWJwcmludA","x5t#S256":"dGh1bWJwcmludA"`,
		`"jku":"` + listener.url() + `"`,
		`"x5u":"` + listener.url() + `"`,
		`"jku":"http://op1.test@` + host + `/"`,
		`"jku":"file:///etc/passwd"`,
		`"jku":"` + s.keys.server.URL + `/redirect"`,
		`"jku":"` + listener.url() + `","x5u":"` + listener.url() + `","jwk":` + jsonText(t, own),
	} {
		root := jwtClaims(t, rsaIssuer, map[string]any{"sub": "root"})
		s.refused(t, jwtSigned(t, "RS256", attacker, `{"alg":"RS256","kid":"k1",`+members+`}`, root), "bad_signature")
	}
	if n := listener.fetches(); n != 0 {
		t.Errorf("the token made the gateway ask the listener %d times", n)
	}
	if n := s.keys.fetches() - before; n != 0 {
		t.Errorf("the token made the gateway ask the issuer %d times", n)
	}
}

// TestHostileKeyIDs: a key id is looked up in the set and nowhere else.
func TestHostileKeyIDs(t *testing.T) {
	s := newTokenSite(t)
	listener := newKeyServer(t)
	for _, kid := range []string{
		`"../../../../dev/null"`, `"' OR 1=1--"`, `"` + listener.url() + `"`, `"` + strings.Repeat("k", 8000) + `"`, `""`, `"\u0000"`, `1`, `["k1"]`,
		`{"k1":"k1"}`, `null`, `"__proto__"`, `"K1"`, `"k1 "`, `"k1\u0000"`, `"unknown"`,
	} {
		// Signed with the genuine key: even so.
		s.refused(t, s.rs256(t, `{"alg":"RS256","kid":`+kid+`}`, jwtClaims(t, rsaIssuer, nil)), "unknown_key")
	}
	// One of a megabyte does not get past the limits of a request.
	huge := s.rs256(t, `{"alg":"RS256","kid":"`+strings.Repeat("k", 1<<20)+`"}`, jwtClaims(t, rsaIssuer, nil))
	s.denied(t, s.as(t, "", "/api/", "Authorization: Bearer "+huge), 0, http.StatusRequestHeaderFieldsTooLarge)
	if n := listener.fetches(); n != 0 {
		t.Errorf("a key id made the gateway ask the listener %d times", n)
	}
}

// TestKeysOfAnotherIssuer (RFC 8725 section 3.8), also where both call their
// key by the same name.
func TestKeysOfAnotherIssuer(t *testing.T) {
	s := newTokenSite(t)
	const header = `{"alg":"RS256","kid":"k1"}`
	s.refused(t, jwtSigned(t, "RS256", s.other, header, jwtClaims(t, rsaIssuer, nil)), "bad_signature")
	s.refused(t, jwtSigned(t, "RS256", s.rsa, header, jwtClaims(t, otherIssuer, nil)), "bad_signature")
	s.refused(t, jwtSigned(t, "RS256", s.rsa, header, jwtClaims(t, "", map[string]any{"iss": nil})), "missing_claim")
	s.refused(t, jwtSigned(t, "ES256", s.p256, `{"alg":"ES256","kid":"good"}`, jwtClaims(t, rsaIssuer, nil)), "algorithm_not_allowed")
	s.refused(t, jwtSigned(t, "ES256", s.p256, `{"alg":"ES256","kid":"good"}`, jwtClaims(t, tokenIssuer, nil)), "unknown_key")
}

// TestDegenerateECDSASignatures (CVE-2022-21449, "psychic signatures").
func TestDegenerateECDSASignatures(t *testing.T) {
	s := newTokenSite(t)
	n := elliptic.P256().Params().N
	ones := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	numbers := []*big.Int{big.NewInt(0), big.NewInt(1), n, new(big.Int).Sub(n, big.NewInt(1)), new(big.Int).Add(n, big.NewInt(1)), ones}
	input := segment(`{"alg":"ES256","kid":"good"}`) + "." + segment(jwtClaims(t, mixedIssuer, map[string]any{"sub": "root"}))
	for _, r := range numbers {
		for _, v := range numbers {
			sig := append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
			s.refused(t, input+"."+base64.RawURLEncoding.EncodeToString(sig), "bad_signature")
		}
	}
}
