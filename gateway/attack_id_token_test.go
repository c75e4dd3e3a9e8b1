package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// newIDTokenSite is a site whose users sign in at a provider. /id/ gets the ID
// token in a header of its own, /kube/ as a credential.
func newIDTokenSite(t *testing.T) (*site, *oidctest.Provider) {
	t.Helper()
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) {
		s.Claims = map[string]any{"email": "alice@example.test", "email_verified": true, "groups": []string{"users"}}
		s.Refresh.AccessLife = 2 * time.Second
	})
	return newSite(t, plan{
		adminToken: adminToken(t),
		session:    "refresh: {ahead: 1s, grace: 3s, min_remaining: 1s}",
		providers:  fmt.Sprintf("- {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret: %s}", op.Issuer, oidctest.ClientID, oidctest.ClientSecret),
		routes: `
  - name: id
    paths: [/id/]
    upstream: "$UP"
    auth: [session, bearer]
    policy: authenticated
    forward_id_token: x-id-token
    headers: [{name: X-Forwarded-Issuer, claim: iss}]
  - {name: kube, paths: [/kube/], upstream: "$UP", policy: users, forward_id_token: Authorization}`,
	}), op
}

// idToken is the one ID token that the application got, whichever way the header is
// spelt.
func idToken(t *testing.T, r received) string {
	t.Helper()
	values := r.header("X-Id-Token")
	if len(values) != 1 || strings.Count(values[0], ".") != 2 {
		t.Fatalf("the application got %q", values)
	}
	return values[0]
}

// TestTheIDTokenOfTheSessionAndNoOther: what a client sends in the header never
// arrives, on this route or on another.
func TestTheIDTokenOfTheSessionAndNoOther(t *testing.T) {
	t.Parallel()
	s, _ := newIDTokenSite(t)
	cookie := "Cookie: " + s.atProvider(t)
	forged := []string{"X-Id-Token: a.b.c", "x-id-token: a.b.d", "X_Id_Token: a.b.e", "XIdToken: a.b.f", "Connection: x-id-token", cookie}
	token := idToken(t, s.passed(t, s.as(t, "", "/id/", forged...)))
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Sub, Aud, Iss string }
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Sub != "alice" || claims.Aud != oidctest.ClientID {
		t.Errorf("it says %s", payload)
	}
	for _, target := range []string{"/app", "/public/"} {
		if got := s.passed(t, s.as(t, "", target, forged...)).header("X-Id-Token"); len(got) > 0 {
			t.Errorf("%s got %q", target, got)
		}
	}
	bearer := "Authorization: Bearer " + s.token(t, nil)
	if got := s.passed(t, s.as(t, "", "/id/", bearer, "X-Id-Token: a.b.c")).header("X-Id-Token"); len(got) > 0 {
		t.Errorf("who comes with a token brought the ID token %q", got)
	}
	if got := s.passed(t, s.as(t, "", "/kube/", cookie, "Connection: authorization")).header("Authorization"); len(got) != 1 || got[0] != "Bearer "+token {
		t.Errorf("as a credential: %q", got)
	}
	s.denied(t, s.as(t, "", "/kube/", cookie, "Authorization: Bearer mine"), http.StatusUnauthorized)

	a := s.as(t, "alice", "/id/") // of the dev provider
	if s.denied(t, a, http.StatusForbidden); !strings.Contains(a.text, `"no_id_token"`) {
		t.Errorf("the answer does not say why:\n%s", a.text)
	}
	if strings.Contains(s.logText.String(), strings.Split(token, ".")[2]) {
		t.Error("a token is in the log")
	}
}

// TestAForgedIDTokenInARefreshIsNotForwarded: the application gets the last one that
// was proven, and a new one as soon as one is.
func TestAForgedIDTokenInARefreshIsNotForwarded(t *testing.T) {
	t.Parallel()
	s, op := newIDTokenSite(t)
	cookie := "Cookie: " + s.atProvider(t)
	token := func() string { return idToken(t, s.passed(t, s.as(t, "", "/id/", cookie))) }
	first := token()

	op.Set(func(s *oidctest.Script) { s.Refresh.SignIDToken = oidctest.Unsigned })
	expire(t)
	if got := token(); got != first || op.Calls(oidctest.Refresh) == 0 {
		t.Errorf("after %d refreshes the application got\n%s, want\n%s", op.Calls(oidctest.Refresh), got, first)
	}
	op.Set(func(s *oidctest.Script) { s.Refresh.SignIDToken, s.Refresh.NoIDToken = nil, true })
	expire(t)
	if got := token(); got != first {
		t.Errorf("after a refresh without one the application got\n%s, want\n%s", got, first)
	}
	op.Set(func(s *oidctest.Script) { s.Refresh.NoIDToken = false })
	poll(t, "the new ID token", func() bool { return token() != first })
}
