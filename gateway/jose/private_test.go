package jose_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/jose"
)

// TestThumbprintOfTheExampleInRFC7638 is section 3.1 of the RFC.
func TestThumbprintOfTheExampleInRFC7638(t *testing.T) {
	n, err := base64.RawURLEncoding.DecodeString("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn" +
		"jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrd" +
		"kt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
	if err != nil {
		t.Fatal(err)
	}
	got, err := jose.Thumbprint(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537})
	if err != nil || got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("%s, %v", got, err)
	}
}

func pemOf(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestPrivateKeysOfEveryCustomaryFormSign(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key crypto.Signer) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return pemOf(t, "PRIVATE KEY", der, err)
	}
	sec1, err := x509.MarshalECPrivateKey(p256)
	ec := pemOf(t, "EC PRIVATE KEY", sec1, err)
	for name, c := range map[string]struct{ pem, alg string }{
		"PKCS#8, P-256":             {pkcs8(p256), "ES256"},
		"PKCS#8, Ed25519":           {pkcs8(ed), "EdDSA"},
		"PKCS#8, RSA":               {pkcs8(rsaKey), "RS256"},
		"PKCS#1":                    {pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), "RS256"},
		"SEC 1":                     {ec, "ES256"},
		"SEC 1 after its parameter": {pemOf(t, "EC PARAMETERS", []byte{6, 8, 42}, nil) + ec, "ES256"},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := jose.ParsePrivateKey([]byte(c.pem))
			if err != nil {
				t.Fatal(err)
			}
			signer, err := jose.NewThumbprintSigner(key)
			if err != nil {
				t.Fatal(err)
			}
			if signer.Algorithm() != c.alg || len(signer.KeyID()) != 43 {
				t.Errorf("%s %s", signer.Algorithm(), signer.KeyID())
			}
			published, err := signer.PublicJWKS()
			if err != nil || strings.Contains(string(published), `"d"`) || !json.Valid(published) {
				t.Errorf("%s, %v", published, err)
			}
		})
	}
}

func TestWhatIsNoPrivateKeyIsRefusedWithoutShowingIt(t *testing.T) {
	const content = "c2VjcmV0"
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(agreement)
	x25519 := pemOf(t, "PRIVATE KEY", der, err)
	for name, text := range map[string]string{
		"nothing":             "",
		"text":                content,
		"a certificate":       pemOf(t, "CERTIFICATE", []byte(content), nil),
		"a broken key":        pemOf(t, "PRIVATE KEY", []byte(content), nil),
		"a broken EC key":     pemOf(t, "EC PRIVATE KEY", []byte(content), nil),
		"an encrypted key":    pemOf(t, "ENCRYPTED PRIVATE KEY", []byte(content), nil),
		"a key that is cut":   "-----BEGIN PRIVATE KEY-----\n" + content,
		"a key agreement key": x25519,
	} {
		t.Run(name, func(t *testing.T) {
			key, err := jose.ParsePrivateKey([]byte(text))
			if err == nil || key != nil {
				t.Fatalf("%v, %v", key, err)
			}
			if strings.Contains(err.Error(), content) {
				t.Error("the error shows the content")
			}
		})
	}
}
