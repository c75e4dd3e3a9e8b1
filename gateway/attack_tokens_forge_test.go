package gateway_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/jose"
)

// The tests write tokens with the standard library, to say what no library for
// tokens would.

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// jwtSigned makes a compact JWS of a header and a payload exactly as they are
// written. The key is a private key or the bytes of a secret.
func jwtSigned(t *testing.T, alg string, key any, header, payload string) string {
	t.Helper()
	input := segment(header) + "." + segment(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(jwtSignature(t, alg, key, input))
}

func jwtSignature(t *testing.T, alg string, key any, input string) []byte {
	t.Helper()
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	var digest []byte
	if hash != 0 {
		h := hash.New()
		h.Write([]byte(input))
		digest = h.Sum(nil)
	}
	var sig []byte
	var err error
	switch key := key.(type) {
	case []byte:
		m := hmac.New(hash.New, key)
		m.Write([]byte(input))
		return m.Sum(nil)
	case ed25519.PrivateKey:
		return ed25519.Sign(key, []byte(input))
	case *rsa.PrivateKey:
		var opts crypto.SignerOpts = hash
		if alg[0] == 'P' {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		}
		sig, err = key.Sign(rand.Reader, digest, opts)
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, key, digest)
		if err = signErr; err == nil {
			size := (key.Params().BitSize + 7) / 8
			sig = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	default:
		t.Fatalf("no signature with %T", key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// jwtClaims is the payload of a good token of an issuer, about alice. Claims of the
// argument replace the good ones; nil removes them.
func jwtClaims(t *testing.T, issuer string, over map[string]any) string {
	t.Helper()
	all := map[string]any{
		"iss": issuer, "aud": tokenAudience, "sub": "alice", "groups": []string{"users"},
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(all, over)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return jsonText(t, all)
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// jwkOf is the published half of a key. Members of the argument replace
// those that it has; nil removes them.
func jwkOf(t *testing.T, alg, kid string, key crypto.Signer, over map[string]any) map[string]any {
	t.Helper()
	signer, err := jose.NewKeySigner(alg, kid, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signer.PublicJWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	member := set.Keys[0]
	maps.Copy(member, over)
	maps.DeleteFunc(member, func(_ string, v any) bool { return v == nil })
	return member
}

func jwksOf(t *testing.T, keys ...map[string]any) string {
	t.Helper()
	return jsonText(t, map[string]any{"keys": keys})
}

func fileWith(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// accepted asserts that a token gets to the application, and returns what came
// there.
func (s *site) accepted(t *testing.T, token string) received {
	t.Helper()
	return s.passed(t, s.as(t, "", "/api/", "Authorization: Bearer "+token))
}

// refused asserts all that a client sees of a bad token: the status, the
// challenge, one of the reasons, and nothing of the token.
func (s *site) refused(t *testing.T, token string, reasons ...string) {
	t.Helper()
	a := s.as(t, "", "/api/", "Authorization: Bearer "+token)
	s.denied(t, a, http.StatusUnauthorized)
	checkRefusal(t, a.Header, a.text, token, reasons...)
}

func checkRefusal(t *testing.T, h http.Header, body, token string, reasons ...string) {
	t.Helper()
	var problem struct{ Reason string }
	if err := json.Unmarshal([]byte(body), &problem); err != nil || h.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the answer is no problem document: %v\n%.300s", err, body)
	}
	if !slices.Contains(reasons, problem.Reason) {
		t.Errorf("the reason is %q, want one of %q", problem.Reason, reasons)
	}
	challenge := h.Get("WWW-Authenticate")
	if !strings.HasPrefix(challenge, "Bearer realm=") {
		t.Errorf("WWW-Authenticate is %q", challenge)
	}
	// RFC 6750 section 3.1. What has not three parts is not judged as a JWT at all.
	if isJWT := strings.Count(token, ".") == 2; strings.Contains(challenge, `error="invalid_token"`) != isJWT {
		t.Errorf("WWW-Authenticate is %q", challenge)
	}
	for part := range strings.FieldsFuncSeq(token, func(r rune) bool { return strings.ContainsRune(`. ,":{}[]`, r) }) {
		if len(part) < 8 {
			continue
		}
		if strings.Contains(body, part) || strings.Contains(challenge, part) {
			t.Errorf("the answer repeats %.40q of the token", part)
		}
	}
}
