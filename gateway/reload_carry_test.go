package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway/jose"
)

// TestAReloadAsksNobodyAnything: what is known of an issuer's keys and of a provider is
// carried over, and a token that was proven, or that a server has vouched for, stays so.
func TestAReloadAsksNobodyAnything(t *testing.T) {
	t.Parallel()
	signer, err := jose.NewSigner("ES256", "k2")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := signer.PublicJWKS()
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	mux := http.NewServeMux()
	op := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); mux.ServeHTTP(w, r) }))
	t.Cleanup(op.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.ReplaceAll(`{"issuer":"OP","authorization_endpoint":"OP/a","token_endpoint":"OP/t","jwks_uri":"OP/keys",
			"id_token_signing_alg_values_supported":["ES256"]}`, "OP", op.URL)))
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys) })
	mux.HandleFunc("/introspect", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"active":true,"sub":"opaque","aud":"` + tokenAudience + `","exp":4102444800}`))
	})
	s := newSite(t, plan{
		followed: true, adminToken: adminToken(t),
		providers: `- {name: corp, type: oidc, issuer: "` + op.URL + `", client_id: web, client_secret: "0123456789abcdef0123456789abcdef"}`,
		issuers:   `- {issuer: "` + op.URL + `", audiences: ["` + tokenAudience + `"], algorithms: [ES256]}`,
		tokens:    `introspection: [{name: opaque, endpoint: "` + op.URL + `/introspect", client_id: gw, client_secret: "0123456789abcdef0123456789abcdef", audiences: ["` + tokenAudience + `"], cache_ttl: 30s}]`,
		routes:    `- {name: opaque, paths: [/opaque/], upstream: "$UP", auth: [introspection], policy: authenticated}`,
	})
	s.signer = signer
	token := s.token(t, map[string]any{"iss": op.URL})
	get := func(target, token string) int {
		return s.raw(t, s.request("GET", target, "Authorization: Bearer "+token)).StatusCode
	}
	ready := func() bool {
		_, text := s.readiness(t)
		return !strings.Contains(text, `"name":"provider corp","status":"failing"`)
	}
	poll(t, "the provider to be known", ready)
	poll(t, "the token to be proven", func() bool { return get("/api/", token) == http.StatusOK })
	if got := get("/opaque/", "an-opaque-token"); got != http.StatusOK {
		t.Fatalf("the opaque token: %d", got)
	}
	before := asked.Load()
	for i := range 3 {
		s.reload(t, func(p *plan) { p.limits = "max_headers: " + []string{"90", "91", "92"}[i] })
		if a, b := get("/api/", token), get("/opaque/", "an-opaque-token"); a != http.StatusOK || b != http.StatusOK || !ready() {
			t.Errorf("after the reload: %d, %d, and the provider is ready: %v", a, b, ready())
		}
	}
	if now := asked.Load(); now != before {
		t.Errorf("they were asked %d times by reloads", now-before)
	}
}
