package gateway_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestDiscoveryOfAnotherIssuer (OpenID Connect Discovery 1.0 section 4.3): one
// provider must not speak for another, so nothing of the document is used.
func TestDiscoveryOfAnotherIssuer(t *testing.T) {
	key := newSigner(t, "k1")
	set := keySet(t, key)
	for name, document := range map[string]func(issuer string) string{
		"a slash more": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer+"/", issuer+"/keys")
		},
		"another path": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer+"/x", issuer+"/keys")
		},
		"another host": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":"https://op1.test","jwks_uri":%q}`, issuer+"/keys")
		},
		"another case": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, "HTTP"+issuer[4:], issuer+"/keys")
		},
		"no issuer": func(issuer string) string { return fmt.Sprintf(`{"jwks_uri":%q}`, issuer+"/keys") },
		"a list": func(issuer string) string {
			return fmt.Sprintf(`[{"issuer":%q,"jwks_uri":%q}]`, issuer, issuer+"/keys")
		},
		"issuer, capitalised": func(issuer string) string { return fmt.Sprintf(`{"Issuer":%q,"jwks_uri":%q}`, issuer, issuer+"/keys") },
		"a file for keys": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":%q,"jwks_uri":"file:///etc/passwd"}`, issuer)
		},
		"gopher for keys": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":%q,"jwks_uri":"gopher://127.0.0.1/keys"}`, issuer)
		},
		"HTML": func(string) string { return "<!doctype html>" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := newKeyServer(t)
			issuer := keys.server.URL
			text, good := document(issuer), fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, issuer+"/keys")
			var asked atomic.Int32
			serve := func(document string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/keys" {
						asked.Add(1)
						answering(http.StatusOK, set)(w, r)
						return
					}
					answering(http.StatusOK, document)(w, r)
				}
			}
			keys.answer(serve(text))
			s := &keySite{newSite(t, plan{issuers: fmt.Sprintf(`- {issuer: %q, audiences: [%q], algorithms: [ES256]}`, issuer, tokenAudience)}), keys}
			token := goodToken(t, key, issuer)
			poll(t, "discovery", func() bool { return keys.fetches() > 0 })
			if a := s.ask(t, token); a.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("the answer is %d", a.StatusCode)
			}
			if n := asked.Load(); n != 0 {
				t.Errorf("the keys of the document were fetched %d times", n)
			}
			keys.answer(serve(good))
			s.becomes(t, token, http.StatusServiceUnavailable, http.StatusOK)
		})
	}
}

// TestKeysFromAnImpostor: whoever gets between the gateway and the issuer has no
// certificate of its name, and so no keys to offer.
func TestKeysFromAnImpostor(t *testing.T) {
	t.Parallel()
	key, attacker := newSigner(t, "k1"), newSigner(t, "k1")
	ours, theirs := selfSigned(t), selfSigned(t)
	ourSet, theirSet := keySet(t, key), keySet(t, attacker)
	var impostor atomic.Bool
	var refused atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // a new handshake each time
		if impostor.Load() {
			answering(http.StatusOK, theirSet)(w, r)
			return
		}
		answering(http.StatusOK, ourSet)(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		certificate := ours
		if impostor.Load() {
			refused.Add(1)
			certificate = theirs
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := fileWith(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.Certificate[0]})))
	s := &keySite{newSite(t, plan{issuers: fmt.Sprintf(`- {issuer: %q, audiences: [%q], algorithms: [ES256], jwks_url: %q, ca_file: %q, max_stale: 4s}`,
		keysIssuer, tokenAudience, server.URL, ca)}), nil}
	token, forged := goodToken(t, key, keysIssuer), goodToken(t, attacker, keysIssuer)
	s.becomes(t, token, http.StatusServiceUnavailable, http.StatusOK)

	impostor.Store(true)
	poll(t, "the impostor to be asked", func() bool { return refused.Load() > 0 })
	if a := s.ask(t, token); a.StatusCode != http.StatusOK {
		t.Errorf("the last good set does not serve: %d", a.StatusCode)
	}
	s.refused(t, forged, "bad_signature")
	s.becomes(t, token, http.StatusOK, http.StatusServiceUnavailable)
	if a := s.ask(t, forged); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a forged token: %d", a.StatusCode)
	}
	impostor.Store(false)
	s.becomes(t, token, http.StatusServiceUnavailable, http.StatusOK)
	if !strings.Contains(s.logText.String(), `"class":"tls"`) {
		t.Error("the log does not say what was wrong")
	}
}

// selfSigned is a certificate for this machine.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key := newEC(t, elliptic.P256())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
