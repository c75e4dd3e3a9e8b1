package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	josev4 "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// clientKeyFile makes a key of private_key_jwt.
func clientKeyFile(t *testing.T) (file string, public *ecdsa.PublicKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), &key.PublicKey
}

// assertions judges as an authorization server should (RFC 7523, section 3).
func assertions(t *testing.T, issuer string, public *ecdsa.PublicKey) func(url.Values) bool {
	seen := map[string]bool{}
	return func(form url.Values) bool {
		if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Get("client_id") != oidctest.ClientID {
			t.Errorf("the form is %v", form)
			return false
		}
		token, err := jwt.ParseSigned(form.Get("client_assertion"), []josev4.SignatureAlgorithm{josev4.ES256})
		if err != nil {
			t.Error(err)
			return false
		}
		var c jwt.Claims
		if err := token.Claims(public, &c); err != nil {
			t.Error(err)
			return false
		}
		err = c.Validate(jwt.Expected{Issuer: oidctest.ClientID, Subject: oidctest.ClientID, AnyAudience: jwt.Audience{issuer}})
		if err != nil || len(c.Audience) != 1 || c.ID == "" || seen[c.ID] || time.Until(c.Expiry.Time()) > time.Minute {
			t.Errorf("the assertion says %+v: %v", c, err)
			return false
		}
		seen[c.ID] = true
		return true
	}
}

func TestClientProvesItselfByItsKeyWhereItHasOne(t *testing.T) {
	op := oidctest.New(t)
	file, public := clientKeyFile(t)
	judge := assertions(t, op.Issuer, public)
	op.Set(func(s *oidctest.Script) { s.Push, s.Assertion = true, judge })
	cfg := corp(op)
	cfg.ClientSecret, cfg.ClientKeyFile = "", file
	g := newGateway(t, cfg).waitReady(t)
	g.browser(t).signIn("/")
	if op.Calls(oidctest.Push) != 1 || op.Calls(oidctest.Token) != 1 {
		t.Errorf("%d requests were pushed, %d codes were redeemed", op.Calls(oidctest.Push), op.Calls(oidctest.Token))
	}
	if log := g.everythingLogged(); strings.Contains(log, op.Exchanges()[0].Get("client_assertion")) {
		t.Error("an assertion is in the log")
	}
}

// A second attempt by other means would burn the code.
func TestClientAuthenticationIsChosenOnceAndNeverTriedOut(t *testing.T) {
	tests := map[string]struct {
		configured string
		metadata   []string
		basic      bool
	}{
		"nothing is known":                  {basic: true},
		"the server takes both":             {metadata: []string{"client_secret_post", "client_secret_basic"}, basic: true},
		"the server takes post":             {metadata: []string{"private_key_jwt", "client_secret_post"}},
		"post is configured":                {configured: config.ClientAuthPost, metadata: []string{"client_secret_basic"}},
		"basic is configured":               {configured: config.ClientAuthBasic, metadata: []string{"client_secret_post"}, basic: true},
		"basic is configured, none is said": {configured: config.ClientAuthBasic, basic: true},
	}
	op := oidctest.New(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			op.Set(func(s *oidctest.Script) {
				s.Metadata = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = tt.metadata }
			})
			cfg := corp(op)
			cfg.ClientAuth = tt.configured
			g := newGateway(t, cfg).waitReady(t)
			g.browser(t).signIn("/")
			forms := op.Exchanges()
			if posted := forms[len(forms)-1].Has("client_secret"); posted == tt.basic {
				t.Errorf("the secret is in the form: %v", posted)
			}
			// Refused, it is not sent again in another way.
			b := g.browser(t)
			callback := b.beginLogin("/")
			before := op.Calls(oidctest.Token)
			op.Set(func(s *oidctest.Script) { s.TokenStatus, s.TokenError = http.StatusUnauthorized, "invalid_client" })
			defer op.Reset()
			if got := b.get(callback); got.StatusCode != http.StatusBadRequest || got.reason() != login.ReasonProviderError || b.session() != "" {
				t.Errorf("answered with %d %s", got.StatusCode, got.reason())
			}
			if n := op.Calls(oidctest.Token) - before; n != 1 {
				t.Errorf("the token endpoint was asked %d times", n)
			}
		})
	}
}

// RFC 6749, section 2.3.1: both halves are form-encoded before they are joined.
func TestSecretOfAnyCharactersArrivesWhole(t *testing.T) {
	const secret = `a:b%2F+ "ü\&=?`
	for _, method := range []string{config.ClientAuthBasic, config.ClientAuthPost} {
		s := newSocial(t, "")
		s.secret = secret
		cfg := s.provider("oauth2")
		cfg.ClientAuth, cfg.ClientSecret = method, ""
		cfg.ClientSecretFile = writeFile(t, secret+"\n")
		newGateway(t, cfg).browser(t).signIn("/")
	}
}
