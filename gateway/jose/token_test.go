package jose_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/jose"
)

func allAlgorithms() []string {
	return slices.Concat(jose.AsymmetricAlgorithms(), jose.SecretAlgorithms())
}

func TestGenuineTokensAreProvenUnderEveryAlgorithm(t *testing.T) {
	for _, alg := range allAlgorithms() {
		t.Run(alg, func(t *testing.T) {
			c, err := prove(genuine(alg), published(alg))
			if err != nil {
				t.Fatal(err)
			}
			if c.Subject != "alice" || c.Issuer != "https://op1.test" {
				t.Errorf("got %+v", c)
			}
		})
	}
}

// RFC 8725 section 3.2, CVE-2015-9235, CVE-2026-28802: a token that says it
// needs no signature.
func TestUnsignedTokens(t *testing.T) {
	payload := b64(aliceClaims)
	for _, alg := range []string{`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `" none"`, `""`, `null`, `["RS256"]`, `256`, `{"alg":"RS256"}`} {
		header := b64(`{"alg":` + alg + `}`)
		for name, raw := range map[string]string{
			"no signature":        header + "." + payload + ".",
			"no signature no dot": header + "." + payload,
			"some signature":      header + "." + payload + "." + b64("signature"),
		} {
			t.Run(alg+" "+name, func(t *testing.T) {
				_, err := jose.Parse(raw)
				wantRefused(t, err, "")
			})
		}
	}
	t.Run("alg missing", func(t *testing.T) {
		_, err := jose.Parse(b64(`{"typ":"JWT"}`) + "." + payload + "." + b64("x"))
		wantRefused(t, err, jose.MalformedToken)
	})
}

// CVE-2016-10555, CVE-2023-48223, CVE-2026-34950: the public key, which
// everybody has, taken for the secret of an HMAC.
func TestPublicKeyIsNeverAnHMACSecret(t *testing.T) {
	pub := &rsaKey().PublicKey
	pkix, pkcs1 := must(x509.MarshalPKIXPublicKey(pub)), x509.MarshalPKCS1PublicKey(pub)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}))
	secrets := map[string][]byte{
		"PKIX PEM":               []byte(text),
		"PKIX PEM, no newline":   []byte(strings.TrimSpace(text)),
		"PKIX PEM, CRLF":         []byte(strings.ReplaceAll(text, "\n", "\r\n")),
		"PKIX PEM after a space": []byte(" " + text),
		"PKCS1 PEM":              pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
		"DER":                    pkix,
		"JWK":                    must(json.Marshal(publicJWK(pub, nil))),
		"modulus":                pub.N.Bytes(),
		"empty":                  {},
	}
	set := published("RS256")
	rs, ok := set.Find("k", "RS256")
	if !ok {
		t.Fatal("the genuine key is missing")
	}
	for name, s := range secrets {
		for _, alg := range jose.SecretAlgorithms() {
			t.Run(name+" "+alg, func(t *testing.T) {
				raw := forge(alg, s, `{"alg":"`+alg+`","kid":"k"}`, aliceClaims)
				_, err := prove(raw, set)
				wantRefused(t, err, jose.UnknownKey)
				// Also where a caller hands over the key regardless.
				_, err = must(jose.Parse(raw)).Verify(rs)
				wantRefused(t, err, jose.AlgorithmNotAllowed)
			})
		}
	}
}

// CVE-2018-0114, CVE-2025-24976, RFC 8725 section 3.10: the attacker brings his
// own key, or an address to fetch it from.
func TestKeyMaterialInsideTheToken(t *testing.T) {
	var fetched int
	listener := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched++ }))
	defer listener.Close()
	own := must(jose.NewSigner("RS256", "k"))
	var ownKeys struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(must(own.PublicJWKS()), &ownKeys); err != nil {
		t.Fatal(err)
	}
	attacker := must(rsaGenerate())
	for name, member := range map[string]string{
		"jwk":                     `"jwk":` + string(ownKeys.Keys[0]),
		"x5c":                     `"x5c":["` + base64.StdEncoding.EncodeToString(selfSigned(attacker)) + `"]`,
		"x5t":                     `"x5t":"dGh1bWJwcmludA","x5t#S256":"dGh1bWJwcmludA"`,
		"jku":                     `"jku":"` + listener.URL + `/jwks.json"`,
		"jku with a user part":    `"jku":"https://op1.test@` + listener.Listener.Addr().String() + `/"`,
		"jku to a file":           `"jku":"file:///etc/passwd"`,
		"x5u":                     `"x5u":"` + listener.URL + `/cert.pem"`,
		"jku and a hostile kid":   `"jku":"` + listener.URL + `","kid":"k"`,
		"x5u and a jwk and a kid": `"x5u":"` + listener.URL + `","jwk":` + string(ownKeys.Keys[0]),
	} {
		t.Run(name, func(t *testing.T) {
			header := `{"alg":"RS256","kid":"k",` + strings.ReplaceAll(member, `,"kid":"k"`, "") + `}`
			_, err := prove(forge("RS256", attacker, header, aliceClaims), published("RS256"))
			wantRefused(t, err, jose.BadSignature)
		})
	}
	if fetched != 0 {
		t.Errorf("the token made us connect %d times", fetched)
	}
}

func TestHostileKeyIDs(t *testing.T) {
	for name, kid := range map[string]string{
		"path":       `"../../../../dev/null"`,
		"SQL":        `"' OR 1=1--"`,
		"URL":        `"http://listener/"`,
		"too long":   `"` + strings.Repeat("k", jose.MaxKeyIDBytes+1) + `"`,
		"empty":      `""`,
		"NUL":        `"\u0000"`,
		"line end":   `"k\n"`,
		"C1 control": `"k\u0085"`,
		"number":     `1`,
		"list":       `["k"]`,
		"object":     `{"k":"k"}`,
		"null":       `null`,
		"prototype":  `"__proto__"`,
		"other case": `"K"`,
	} {
		t.Run(name, func(t *testing.T) {
			// Signed with the genuine key: even so, the id alone refuses it.
			raw := forge("RS256", rsaKey(), `{"alg":"RS256","kid":`+kid+`}`, aliceClaims)
			_, err := prove(raw, published("RS256"))
			wantRefused(t, err, jose.UnknownKey)
		})
	}
}

// CVE-2022-21449 ("psychic signatures"): signatures of zeros, and of the
// order of the curve, fit every message where a verifier forgets to look.
func TestDegenerateECDSASignatures(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "ES512"} {
		key := keyFor(alg)
		params := map[string]*big.Int{}
		curve := map[string]func() *big.Int{
			"ES256": func() *big.Int { return p256().Params().N },
			"ES384": func() *big.Int { return p384().Params().N },
			"ES512": func() *big.Int { return p521().Params().N },
		}[alg]
		size := len(sign(alg, key, "x")) / 2
		params["0"], params["1"], params["n"] = big.NewInt(0), big.NewInt(1), curve()
		params["n-1"] = new(big.Int).Sub(curve(), big.NewInt(1))
		params["n+1"] = new(big.Int).Add(curve(), big.NewInt(1))
		params["ff"] = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*size)), big.NewInt(1))
		input := b64(`{"alg":"`+alg+`","kid":"k"}`) + "." + b64(aliceClaims)
		for rName, r := range params {
			for sName, s := range params {
				t.Run(fmt.Sprintf("%s r=%s s=%s", alg, rName, sName), func(t *testing.T) {
					sig := append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
					_, err := prove(input+"."+base64.RawURLEncoding.EncodeToString(sig), published(alg))
					wantRefused(t, err, jose.BadSignature)
				})
			}
		}
		good := sign(alg, key, input)
		for name, sig := range map[string][]byte{
			"cut short":         good[:len(good)-1],
			"one byte longer":   append(slices.Clone(good), 0),
			"zeros between":     slices.Concat([]byte{0}, good[:size], []byte{0}, good[size:]),
			"ASN.1":             append([]byte{0x30, byte(len(good))}, good...),
			"half":              good[:size],
			"r and s exchanged": slices.Concat(good[size:], good[:size]),
		} {
			t.Run(alg+" "+name, func(t *testing.T) {
				_, err := prove(input+"."+base64.RawURLEncoding.EncodeToString(sig), published(alg))
				wantRefused(t, err, jose.BadSignature)
			})
		}
	}
}

// RFC 7515 section 4.1.11, RFC 7797, CVE-2025-59420, CVE-2026-32597: jwx v2
// itself accepts critical extensions that it does not know.
func TestCriticalHeaderParameters(t *testing.T) {
	for _, members := range []string{
		`"crit":["x"],"x":1`, `"crit":[]`, `"crit":["alg"]`, `"crit":"x"`, `"crit":["absent"]`, `"crit":null`,
		`"crit":["b64"],"b64":false`, `"b64":false`, `"b64":true`, `"zip":"DEF"`,
	} {
		t.Run(members, func(t *testing.T) {
			_, err := jose.Parse(forge("RS256", rsaKey(), `{"alg":"RS256","kid":"k",`+members+`}`, aliceClaims))
			wantRefused(t, err, jose.UnsupportedHeader)
		})
	}
}

// CVE-2022-39227, CVE-2024-21664: other serialisations, which some libraries
// read with other rules.
func TestNotACompactJWS(t *testing.T) {
	valid := genuine("RS256")
	part := strings.Split(valid, ".")
	flat := fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, part[0], part[1], part[2])
	for name, raw := range map[string]string{
		"empty":                    "",
		"flattened JSON":           flat,
		"general JSON":             fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q},{"signature":"eA"}]}`, part[1], part[0], part[2]),
		"polyglot":                 fmt.Sprintf(`{"%s.%s.%s":1,"payload":%q}`, part[0], part[1], part[2], part[1]),
		"1 part":                   part[0],
		"2 parts":                  part[0] + "." + part[1],
		"4 parts":                  valid + ".x",
		"5 parts, as a JWE has":    valid + ".eA.eA",
		"6 parts":                  valid + ".eA.eA.eA",
		"leading dot":              "." + valid,
		"trailing dot":             valid + ".",
		"leading space":            " " + valid,
		"trailing space":           valid + " ",
		"trailing newline":         valid + "\n",
		"trailing NUL":             valid + "\x00",
		"two with a comma":         valid + "," + valid,
		"two with a space":         valid + " " + valid,
		"padded":                   part[0] + "=." + part[1] + "." + part[2],
		"padded signature":         valid + "==",
		"standard base64":          part[0] + "." + part[1] + ".+" + part[2][1:],
		"line end inside":          part[0] + "." + part[1][:8] + "\r\n" + part[1][8:] + "." + part[2],
		"line end in signature":    part[0] + "." + part[1] + "." + part[2][:8] + "\n" + part[2][8:],
		"empty header":             "." + part[1] + "." + part[2],
		"empty payload":            part[0] + ".." + part[2],
		"empty signature":          part[0] + "." + part[1] + ".",
		"only dots":                "..",
		"header is a list":         b64(`[{"alg":"RS256"}]`) + "." + part[1] + "." + part[2],
		"header is a string":       b64(`"alg"`) + "." + part[1] + "." + part[2],
		"header then more":         b64(`{"alg":"RS256"}{}`) + "." + part[1] + "." + part[2],
		"header with a BOM":        b64("\ufeff"+`{"alg":"RS256"}`) + "." + part[1] + "." + part[2],
		"header in broken UTF-8":   b64("{\"alg\":\"RS256\",\"x\":\"\xff\"}") + "." + part[1] + "." + part[2],
		"header with half a pair":  b64(`{"alg":"RS256","x":"\ud800"}`) + "." + part[1] + "." + part[2],
		"typ is a number":          b64(`{"alg":"RS256","typ":1}`) + "." + part[1] + "." + part[2],
		"header nested very deep":  b64(`{"alg":"RS256","x":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+`}`) + "." + part[1] + "." + part[2],
		"one character, no octets": "e." + part[1] + "." + part[2],
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jose.Parse(raw)
			wantRefused(t, err, jose.MalformedToken)
		})
	}
}

// One signature must have one spelling: caches and revocation lists know a
// token by its text.
func TestNonCanonicalBase64IsAnotherToken(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	raw := genuine("RS256") // 256 octets: the last character has four unused bits
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	_, err := jose.Parse(raw[:len(raw)-1] + string(alphabet[last|1]))
	wantRefused(t, err, jose.MalformedToken)
}

func TestTamperedAndRecombinedParts(t *testing.T) {
	set := published("ES256")
	alice := genuine("ES256")
	root := forge("ES256", p256(), `{"alg":"ES256","kid":"k"}`, strings.Replace(aliceClaims, "alice", "root", 1))
	if _, err := prove(alice, set); err != nil {
		t.Fatal(err)
	}
	a, r := strings.Split(alice, "."), strings.Split(root, ".")
	for name, raw := range map[string]string{
		"root's payload, alice's signature":  a[0] + "." + r[1] + "." + a[2],
		"alice's payload, root's signature":  a[0] + "." + a[1] + "." + r[2],
		"another algorithm of the same key":  b64(`{"alg":"ES384","kid":"k"}`) + "." + a[1] + "." + a[2],
		"header written in another way":      b64(`{"kid":"k","alg":"ES256"}`) + "." + a[1] + "." + a[2],
		"payload with a space more":          a[0] + "." + b64(aliceClaims+" ") + "." + a[2],
		"header and payload of another type": r[0] + "." + r[1] + "." + b64(strings.Repeat("s", 64)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := prove(raw, set)
			wantRefused(t, err, jose.BadSignature)
		})
	}
	// Every single character exchanged for another one.
	for i := range len(alice) {
		if alice[i] == '.' {
			continue
		}
		other := byte('A')
		if alice[i] == 'A' {
			other = 'B'
		}
		if c, err := prove(alice[:i]+string(other)+alice[i+1:], set); err == nil {
			t.Fatalf("character %d exchanged: accepted as %+v", i, c)
		}
	}
	if _, err := prove(alice, set); err != nil {
		t.Error("the genuine token is refused after its forgeries:", err)
	}
}

// CVE-2026-29000, CVE-2023-51774: being able to decrypt a token proves nothing.
func TestEncryptedTokensAreRefused(t *testing.T) {
	for _, alg := range []string{"RSA-OAEP", "RSA-OAEP-256", "RSA1_5", "dir", "A128KW", "ECDH-ES", "PBES2-HS256+A128KW"} {
		header := b64(`{"alg":"` + alg + `","enc":"A128GCM","cty":"JWT"}`)
		_, err := jose.Parse(header + ".eA.eA.eA.eA")
		wantRefused(t, err, jose.MalformedToken)
		_, err = jose.Parse(header + "." + b64(aliceClaims) + "." + b64("signature"))
		wantRefused(t, err, jose.AlgorithmNotAllowed)
	}
	for _, alg := range []string{"ES256K", "RS1", "HS1", "Ed25519", "Ed448", "ES521", "rs256", "RS256 ", "ML-DSA-44"} {
		_, err := jose.Parse(b64(`{"alg":"`+alg+`"}`) + "." + b64(aliceClaims) + "." + b64("signature"))
		wantRefused(t, err, jose.AlgorithmNotAllowed)
	}
}

// CVE-2025-30204, CVE-2025-27144: the cost of refusing must not grow with what
// is sent.
func TestHugeTokensCostNothing(t *testing.T) {
	for name, raw := range map[string]string{
		"random":         strings.Repeat("kJ3_x", 180_000),
		"dots":           strings.Repeat(".", 900_000),
		"header":         strings.Repeat("A", 900_000) + ".e30.e30",
		"payload":        b64(`{"alg":"RS256"}`) + "." + strings.Repeat("A", 800_000) + ".e30",
		"just too large": strings.Repeat("A", jose.MaxTokenBytes+1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jose.Parse(raw)
			wantRefused(t, err, jose.TokenTooLarge)
			if n := testing.AllocsPerRun(100, func() { _, _ = jose.Parse(raw) }); n > 5 {
				t.Errorf("%v allocations", n)
			}
		})
	}
	if _, err := jose.Parse(strings.Repeat(".", jose.MaxTokenBytes)); err == nil {
		t.Error("dots are a token")
	}
}

// Providers hand ID tokens over themselves, and put every group of a user in them.
func TestIDTokensMayBeLongerThanTokensOfStrangers(t *testing.T) {
	long := b64(`{"alg":"RS256"}`) + "." + b64(`{"groups":["`+strings.Repeat("a", 2*jose.MaxTokenBytes)+`"]}`) + "." + b64("signature")
	if _, err := jose.ParseID(long); err != nil {
		t.Error(err)
	}
	_, err := jose.Parse(long)
	wantRefused(t, err, jose.TokenTooLarge)
	_, err = jose.ParseID(strings.Repeat("A", jose.MaxIDTokenBytes+1))
	wantRefused(t, err, jose.TokenTooLarge)
}

func TestIssuerIsReadBeforeProof(t *testing.T) {
	for payload, want := range map[string]struct {
		iss    string
		reason jose.Reason
	}{
		`{"iss":"https://op1.test"}`:       {iss: "https://op1.test"},
		`{"Iss":"https://op1.test"}`:       {reason: jose.MissingClaim},
		`{}`:                               {reason: jose.MissingClaim},
		`{"iss":["https://op1.test"]}`:     {reason: jose.MalformedClaims},
		`{"iss":1}`:                        {reason: jose.MalformedClaims},
		`{"iss":null}`:                     {reason: jose.MalformedClaims},
		`{"iss":"https://op1.test\u0000"}`: {iss: "https://op1.test\x00"},
	} {
		t.Run(payload, func(t *testing.T) {
			tok := must(jose.Parse(b64(`{"alg":"RS256"}`) + "." + b64(payload) + "." + b64("x")))
			iss, err := tok.UnverifiedIssuer()
			if iss != want.iss {
				t.Errorf("got %q", iss)
			}
			if want.reason != "" {
				wantRefused(t, err, want.reason)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVerifyWithoutAKeyRefuses(t *testing.T) {
	tok := must(jose.Parse(genuine("RS256")))
	_, err := tok.Verify(nil)
	wantRefused(t, err, jose.UnknownKey)
	_, err = tok.Verify(&jose.Key{})
	wantRefused(t, err, jose.AlgorithmNotAllowed)
	_, err = new(jose.Token).Verify(&jose.Key{})
	wantRefused(t, err, jose.AlgorithmNotAllowed)
}

func TestHeaderIsReported(t *testing.T) {
	tok := must(jose.Parse(forge("RS256", rsaKey(), ` {"typ" : "at+jwt", "alg":"RS256","kid":"k/1=\u00e9"} `, aliceClaims)))
	if want := (jose.Header{Algorithm: "RS256", KeyID: "k/1=é", Type: "at+jwt"}); tok.Header != want {
		t.Errorf("got %+v, want %+v", tok.Header, want)
	}
}
