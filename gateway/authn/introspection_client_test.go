package authn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
)

// asked returns the form and the head of the one question that is asked under
// an entry.
func asked(t *testing.T, cfg config.Introspection) (url.Values, http.Header) {
	t.Helper()
	e := &endpoint{answer: says(`{"active":true,"sub":"alice"}`)}
	if _, err := introspection(introspectionServer(t, cfg, e)).Authenticate(t.Context(), opaque("opa+que/=")); err != nil {
		t.Fatal(err)
	}
	if len(e.calls) != 1 {
		t.Fatalf("asked %d times", len(e.calls))
	}
	return e.calls[0], e.heads[0]
}

func TestQuestionIsAFormThatIsProvenByTheClientSecret(t *testing.T) {
	form, head := asked(t, entry(func(c *config.Introspection) { c.ClientID, c.ClientSecret = "gate:way", "s3:cr et%ä" }))
	if diff := cmp.Diff(url.Values{"token": {"opa+que/="}, "token_type_hint": {"access_token"}}, form); diff != "" {
		t.Errorf("form: -want +got\n%s", diff)
	}
	r := &http.Request{Header: head}
	id, secret, ok := r.BasicAuth()
	if !ok || id != "gate%3Away" || secret != "s3%3Acr+et%25%C3%A4" {
		t.Errorf("client credentials %q, %q (RFC 6749, section 2.3.1 encodes them as a form)", id, secret)
	}
	if head.Get("Accept") != "application/json" || head.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("headers %v", head)
	}

	form, head = asked(t, entry(func(c *config.Introspection) { c.ClientAuth = config.ClientAuthPost }))
	want := url.Values{"token": {"opa+que/="}, "token_type_hint": {"access_token"}, "client_id": {"gateway"}, "client_secret": {"s3cret"}}
	if diff := cmp.Diff(want, form); diff != "" {
		t.Errorf("form of client_secret_post: -want +got\n%s", diff)
	}
	if head.Get("Authorization") != "" {
		t.Error("the secret is sent twice")
	}
}

func TestClientSecretIsReadAgainWhenItsFileChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	e := &endpoint{answer: says(`{"active":true,"sub":"alice"}`)}
	cfg := entry(func(c *config.Introspection) { c.ClientSecret, c.ClientSecretFile = "", file })
	i := introspection(introspectionServer(t, cfg, e))
	for n, text := range []string{"first", "second"} {
		write(text + "\n")
		if _, err := i.Authenticate(t.Context(), opaque(text)); err != nil {
			t.Fatal(err)
		}
		if _, secret, _ := (&http.Request{Header: e.heads[n]}).BasicAuth(); secret != text {
			t.Errorf("secret %q, want %q", secret, text)
		}
	}
	// Without its secret the gateway can't ask, which says nothing of the token.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	id, err := i.Authenticate(t.Context(), opaque("third"))
	if got := verdict(t, id, err); got != outage || e.asked() != 2 {
		t.Errorf("%s, asked %d times", got, e.asked())
	}
}

func keyFile(t *testing.T) (file string, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, key
}

func TestClientProvesItselfByAFreshAssertionOfItsKey(t *testing.T) {
	file, key := keyFile(t)
	verifier, err := jose.NewKeySigner("ES256", "", key)
	if err != nil {
		t.Fatal(err)
	}
	published, err := verifier.PublicJWKS()
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := jose.ParseKeySet(published)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for issuer, audience := range map[string]string{"": "https://id.example.test/introspect", "https://id.example.test": "https://id.example.test"} {
		form, head := asked(t, entry(func(c *config.Introspection) {
			c.ClientAuth, c.ClientSecret, c.ClientKeyFile, c.Issuer = config.ClientAuthPrivateKey, "", file, issuer
		}))
		if head.Get("Authorization") != "" || form.Get("client_id") != "gateway" ||
			form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			t.Errorf("form %v, headers %v", form, head)
		}
		token, err := jose.Parse(form.Get("client_assertion"))
		if err != nil {
			t.Fatal(err)
		}
		k, ok := set.Find(token.Header.KeyID, token.Header.Algorithm)
		if !ok {
			t.Fatalf("no key for %+v", token.Header)
		}
		claims, err := token.Verify(k)
		if err != nil {
			t.Fatal(err)
		}
		life := time.Until(claims.Expires)
		if claims.Issuer != "gateway" || claims.Subject != "gateway" || len(claims.Audience) != 1 || claims.Audience[0] != audience || life <= 0 || life > time.Minute {
			t.Errorf("claims %v", claims.Raw)
		}
		if claims.ID == "" || seen[claims.ID] {
			t.Errorf("the id %q is missing or used twice", claims.ID)
		}
		seen[claims.ID] = true
	}
}

func TestClientKeyThatCannotBeReadIsFoundAtTheStart(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"text": "secret", "empty": "", "certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := entry(func(c *config.Introspection) { c.ClientAuth, c.ClientKeyFile = config.ClientAuthPrivateKey, file })
		if _, err := authn.NewIntrospectionServer(cfg, &http.Client{}, zap.NewNop()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
