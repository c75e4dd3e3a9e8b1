//go:build e2e

package e2e_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/jose"
)

func signer(t *testing.T, alg, kid string) *jose.Signer {
	t.Helper()
	s, err := jose.NewSigner(alg, kid)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokensOfAConfiguredIssuer(t *testing.T) {
	t.Parallel()
	trusted, stranger := signer(t, "RS256", "k1"), signer(t, "RS256", "k1")
	keys, err := jose.PublicJWKS(trusted)
	if err != nil {
		t.Fatal(err)
	}
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys)
	}))
	defer issuer.Close()

	dir, at := t.TempDir(), env.Reserve(t)
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
tokens:
  issuers:
    - {issuer: https://id.example.test, audiences: [api], jwks_url: %s/jwks.json}
routes:
  - {name: api, upstream: "builtin:echo", auth: [bearer], policy: authenticated}
`, issuer.URL))
	gateway := env.StartGateway(t, sallyport, dir, at)

	good := map[string]any{
		"iss": "https://id.example.test", "aud": "api", "sub": "alice", "email": "alice@example.com", "email_verified": true,
		"groups": []string{"staff", "admin"}, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	token := func(s *jose.Signer, change map[string]any) string {
		claims := maps.Clone(good)
		maps.Copy(claims, change)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		raw, err := s.Sign("at+jwt", claims)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	unsigned := func() string {
		parts := strings.Split(token(trusted, nil), ".")
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	}

	got := send(t, client(t), "GET", gateway.URL+"/v1", "Authorization", "Bearer "+token(trusted, nil))
	if got.status != http.StatusOK {
		t.Fatalf("a good token: %d %s\n%s", got.status, got.body, gateway.Output())
	}
	for _, want := range []string{`["X-Forwarded-User","alice"]`, `["X-Forwarded-Email","alice@example.com"]`, `["X-Forwarded-Groups","staff,admin"]`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the app did not get %s: %s", want, got.body)
		}
	}
	if strings.Contains(got.body, "Authorization") {
		t.Error("the token reached the app")
	}

	for name, raw := range map[string]string{
		"alg none":         unsigned(),
		"another key":      token(stranger, nil),
		"another audience": token(trusted, map[string]any{"aud": "other"}),
		"another issuer":   token(trusted, map[string]any{"iss": "https://evil.example.test"}),
		"expired":          token(trusted, map[string]any{"exp": time.Now().Add(-2 * time.Minute).Unix()}),
		"without exp":      token(trusted, map[string]any{"exp": nil}),
		"an ID token":      token(trusted, map[string]any{"nonce": "n"}),
		"no token at all":  "x",
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, client(t), "GET", gateway.URL+"/v1", "Authorization", "Bearer "+raw)
			if got.status != http.StatusUnauthorized || got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %s %s", got.status, got.header.Get("Content-Type"), got.body)
			}
			if strings.Contains(gateway.Output(), raw) && len(raw) > 1 {
				t.Error("the token is in the log")
			}
		})
	}
}

func TestKeysThatNobodyCouldFetchAreAnOutage(t *testing.T) {
	t.Parallel()
	down := httptest.NewServer(http.NotFoundHandler())
	url := down.URL
	down.Close()
	dir, at := t.TempDir(), env.Reserve(t)
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
tokens: {issuers: [{issuer: https://id.example.test, audiences: [api], jwks_url: %s/jwks.json}]}
routes: [{name: api, upstream: "builtin:echo", auth: [bearer], policy: authenticated}]
`, url))
	gateway := env.StartGateway(t, sallyport, dir, at)
	raw, err := signer(t, "ES256", "k1").Sign("at+jwt", map[string]any{
		"iss": "https://id.example.test", "aud": "api", "sub": "alice", "exp": time.Now().Add(time.Minute).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := send(t, client(t), "GET", gateway.URL+"/", "Authorization", "Bearer "+raw)
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
}
