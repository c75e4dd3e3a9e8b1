package gateway_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/compat"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// migrated is a site of what an import makes of a configuration of oauth2-proxy, with
// the secrets where it wants them and nothing else changed. $ISSUER, $ID, $SECRET and
// $UP stand for the provider and the application.
func migrated(t *testing.T, text string) (*site, *oidctest.Provider) {
	t.Helper()
	op := oidctest.New(t)
	s := &site{upstream: newRecorder(t), sessions: map[string]string{}}
	text = strings.NewReplacer("$ISSUER", op.Issuer, "$ID", oidctest.ClientID, "$SECRET", oidctest.ClientSecret, "$UP", "http://"+s.upstream.addr).Replace(text)
	result, err := compat.ImportOAuth2Proxy([]compat.Source{{Name: "oauth2-proxy", Data: []byte(text)}}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !result.Complete() {
		t.Errorf("the import is not complete: %+v", result.Notes)
	}
	for _, secret := range result.Secrets {
		if err := os.WriteFile(secret.File, []byte(secret.Value.Reveal()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Parse("imported.yaml", result.Config, []string{"SALLYPORT_SESSION__EMBEDDED__PATH=", "SALLYPORT_ADMIN__LISTEN="})
	if err != nil {
		t.Fatalf("%v\n%s", err, result.Config)
	}
	s.start(t, cfg)
	return s, op
}

// throughProvider signs in by the address of oauth2-proxy, and returns the session's
// cookie and where the browser has landed.
func (s *site) throughProvider(t *testing.T, rd string) (cookie, landed string) {
	t.Helper()
	start := s.as(t, "", "/oauth2/start?rd="+rd)
	var begun answer
	poll(t, "the provider to be known", func() bool {
		begun = s.as(t, "", start.Header.Get("Location"))
		return begun.StatusCode == http.StatusFound
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, begun.Header.Get("Location"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	consented, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = consented.Body.Close()
	_, back, _ := strings.Cut(consented.Header.Get("Location"), s.host)
	if !strings.HasPrefix(back, "/oauth2/callback/") {
		t.Fatalf("the provider sends the browser to %s", back)
	}
	attempt := begun.Cookies()[0]
	done := s.as(t, "", back, "Cookie: "+attempt.Name+"="+attempt.Value)
	for _, ck := range done.Cookies() {
		if ck.Name == s.cookie {
			return ck.Name + "=" + ck.Value, done.Header.Get("Location")
		}
	}
	t.Fatalf("signing in at the provider: %d\n%s", done.StatusCode, done.text)
	return "", ""
}

// TestImportedProxyProtectsTheSameApplication: a configuration file in the shape of the
// example that comes with oauth2-proxy.
func TestImportedProxyProtectsTheSameApplication(t *testing.T) {
	s, op := migrated(t, `
## OAuth2 Proxy Config File
http_address = "127.0.0.1:0"
redirect_url = "http://localhost:8080/oauth2/callback"
upstreams = [
    "$UP/"
]
pass_basic_auth = true
pass_user_headers = true
pass_host_header = true
email_domains = [
    "example.com"
]
provider = "oidc"
oidc_issuer_url = "$ISSUER"
client_id = "$ID"
client_secret = "$SECRET"
scope = "openid email profile"
skip_auth_routes = [
  "GET=^/probe$",
  "^/metrics"
]
api_routes = [
  "^/api"
]
cookie_name = "_oauth2_proxy"
cookie_secret = "OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w="
cookie_expire = "168h"
cookie_secure = false
cookie_httponly = true
`)
	page := s.as(t, "", "/x?y=1", "Accept: text/html")
	if got := page.Header.Get("Location"); page.StatusCode != http.StatusFound || got != "/oauth2/login?return_to=%2Fx%3Fy%3D1" {
		t.Errorf("a browser without a session: %d to %q", page.StatusCode, got)
	}
	s.denied(t, s.as(t, "", "/api/x", "Accept: application/json"), http.StatusUnauthorized)

	s.passed(t, s.as(t, "", "/probe"))
	s.passed(t, s.as(t, "", "/metrics/of/mine"))
	for _, target := range []string{"/probed", "/probe/x", "/x/metrics", "/public/"} {
		s.denied(t, s.as(t, "", target), http.StatusUnauthorized)
	}
	s.denied(t, s.post(t, "/probe", nil), http.StatusUnauthorized)

	cookie, landed := s.throughProvider(t, "/x%3Fy%3D1")
	if landed != "/x?y=1" {
		t.Errorf("the browser landed on %q", landed)
	}
	got := s.passed(t, s.as(t, "", "/x", "Cookie: "+cookie))
	if email := got.header("X-Forwarded-Email"); len(email) != 1 || email[0] != "alice@example.com" {
		t.Errorf("the application was told %q", email)
	}
	op.Set(func(script *oidctest.Script) {
		script.Claims = map[string]any{"sub": "mallory", "email": "mallory@example.com.evil.test", "email_verified": true}
	})
	stranger, _ := s.throughProvider(t, "/x")
	a := s.as(t, "", "/x", "Cookie: "+stranger)
	if s.denied(t, a, http.StatusForbidden); !strings.Contains(a.text, "no_rule_matched") {
		t.Error(a.text)
	}
}

// TestImportedAuthServiceProtectsTheSameApplication: a Deployment that ingress-nginx
// asks, with its annotations as they were.
func TestImportedAuthServiceProtectsTheSameApplication(t *testing.T) {
	s, op := migrated(t, `
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
        - name: oauth2-proxy
          args:
            - --provider=oidc
            - --oidc-issuer-url=$ISSUER
            - --email-domain=example.com
            - --allowed-group=staff
            - --upstream=static://202
            - --http-address=127.0.0.1:0
            - --redirect-url=http://localhost:8080/oauth2/callback
            - --reverse-proxy=true
            - --set-xauthrequest
            - --skip-auth-route=^/healthz$
            - --cookie-secure=false
          env:
            - {name: OAUTH2_PROXY_CLIENT_ID, value: "$ID"}
            - {name: OAUTH2_PROXY_CLIENT_SECRET, value: "$SECRET"}
            - {name: OAUTH2_PROXY_COOKIE_SECRET, value: OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w=}
`)
	nobody := s.auth(t, "", "", s.original("/x", "Accept: text/html")...)
	if got := nobody.Header.Get("Location"); nobody.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(got, "http://localhost:8080/oauth2/login?") {
		t.Errorf("nobody: %d to %q", nobody.StatusCode, got)
	}
	if a := s.auth(t, "", "", s.original("/healthz")...); a.StatusCode != http.StatusAccepted {
		t.Errorf("a path that is skipped: %d", a.StatusCode)
	}
	op.Set(func(script *oidctest.Script) {
		script.Claims = map[string]any{"email": "alice@example.com", "email_verified": true, "groups": []string{"staff"}}
	})
	staff, _ := s.throughProvider(t, "/x")
	yes := s.auth(t, "", "", s.original("/x", "Cookie: "+staff)...)
	if yes.StatusCode != http.StatusAccepted || yes.Header.Get("X-Auth-Request-Email") != "alice@example.com" || yes.Header.Get("X-Auth-Request-Groups") != "staff" {
		t.Errorf("staff: %d %v", yes.StatusCode, yes.Header)
	}
	if a := s.auth(t, "", "?allowed_groups=board", s.original("/x", "Cookie: "+staff)...); a.StatusCode != http.StatusForbidden {
		t.Errorf("staff, where the annotation wants the board: %d", a.StatusCode)
	}
	for name, claims := range map[string]map[string]any{
		"another domain": {"sub": "m", "email": "m@evil.test", "email_verified": true, "groups": []string{"staff"}},
		"another group":  {"sub": "n", "email": "n@example.com", "email_verified": true},
		"not verified":   {"sub": "o", "email": "o@example.com", "email_verified": false, "groups": []string{"staff"}},
	} {
		op.Set(func(script *oidctest.Script) { script.Claims = claims })
		cookie, _ := s.throughProvider(t, "/x")
		if a := s.auth(t, "", "", s.original("/x", "Cookie: "+cookie)...); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d %v", name, a.StatusCode, a.Header)
		}
	}
}
