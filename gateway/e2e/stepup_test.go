//go:build e2e

package e2e_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// TestPageThatWantsAStrongerSignIn goes to the provider once more and lands on
// the very page; a provider that ignores the wish ends on a page that says so.
func TestPageThatWantsAStrongerSignIn(t *testing.T) {
	t.Parallel()
	binary, dir, at := sallyport, t.TempDir(), env.Reserve(t)
	op := oidctest.New(t)
	signInAs := func(acr string) {
		op.Set(func(s *oidctest.Script) { s.Claims = map[string]any{"acr": acr, "auth_time": time.Now().Unix()} })
	}
	env.WriteFile(t, dir, "client-secret", oidctest.ClientSecret)
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
login:
  providers:
    - {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret_file: client-secret}
routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated}
  - {name: vault, paths: [/vault/], upstream: "builtin:echo", policy: authenticated, require: {acr: [mfa], max_age: 10m}}
`, op.Issuer, oidctest.ClientID))
	gateway := env.StartGateway(t, binary, dir, at)
	browser := env.StartBrowser(t)

	signInAs("pwd")
	browser.Open(gateway.URL + "/inbox")
	browser.WaitURL(gateway.URL + "/inbox")
	before := browser.Cookie(gateway.URL, "sp")

	// The provider ignores the wish.
	browser.Open(gateway.URL + "/vault/?drawer=1")
	browser.WaitText("did not make the sign-in that this page asks for")
	browser.Screenshot("step-up-not-met")
	if n := op.Calls(oidctest.Authorize); n != 2 {
		t.Errorf("the provider was asked %d times", n)
	}
	browser.Open(gateway.URL + "/inbox")
	browser.WaitURL(gateway.URL + "/inbox")
	if browser.Cookie(gateway.URL, "sp") != before {
		t.Error("the session was exchanged for one that is no better")
	}
	browser.Open(gateway.URL + "/.auth/me") // whose scripts may fetch
	script := browser.Script(`fetch("/vault/").then(async r => r.status + " " + r.headers.get("WWW-Authenticate") + " " + await r.text())`)
	for _, want := range []string{"401 ", `error="insufficient_user_authentication"`, `acr_values="mfa"`, `max_age="600"`, "login_url"} {
		if !strings.Contains(script, want) {
			t.Errorf("a script reads %s", script)
		}
	}

	// It grants it.
	signInAs("mfa")
	browser.Open(gateway.URL + "/vault/?drawer=1")
	browser.WaitURL(gateway.URL + "/vault/?drawer=1")
	after := browser.Cookie(gateway.URL, "sp")
	if after == before {
		t.Error("the session kept its id through a change of privilege")
	}
	if got := send(t, client(t), "GET", gateway.URL+"/inbox", "Cookie", "sp="+before); got.status != http.StatusUnauthorized {
		t.Errorf("the old id: %d", got.status)
	}
	if got := send(t, client(t), "GET", gateway.URL+"/vault/", "Cookie", "sp="+after); got.status != http.StatusOK {
		t.Errorf("the new one: %d", got.status)
	}
	if n := op.Calls(oidctest.Authorize); n != 3 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// TestPageThatWantsAFreshSignIn asks a provider of others to ask for the
// password once more, and believes what that says about it.
func TestPageThatWantsAFreshSignIn(t *testing.T) {
	t.Parallel()
	binary, dir, at := sallyport, t.TempDir(), env.Reserve(t)
	issuer := oidctest.NewZitadel(t, "web", "secret", at.URL()+"/.auth/callback/corp")
	env.WriteFile(t, dir, "client-secret", "secret")
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
login:
  providers:
    - {name: corp, type: oidc, issuer: %q, client_id: web, client_secret_file: client-secret}
routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated}
  - {name: fresh, paths: [/fresh/], upstream: "builtin:echo", policy: authenticated, require: {amr: [pwd], max_age: 8s}}
`, issuer))
	gateway := env.StartGateway(t, binary, dir, at)
	browser := env.StartBrowser(t)
	password := func() {
		browser.Type(`input[name="username"]`, "test-user@localhost")
		browser.Type(`input[name="password"]`, "verysecure")
		browser.Click(`button[type="submit"], input[type="submit"], button`)
	}
	browser.Open(gateway.URL + "/inbox")
	password()
	browser.WaitURL(gateway.URL + "/inbox")
	first := browser.Cookie(gateway.URL, "sp")

	programs := client(t)
	var got answer
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) && got.status != http.StatusUnauthorized {
		got = send(t, programs, "GET", gateway.URL+"/fresh/", "Cookie", "sp="+first)
		<-time.After(100 * time.Millisecond)
	}
	if !strings.Contains(got.header.Get("WWW-Authenticate"), `max_age="8"`) {
		t.Fatalf("the sign-in never grew old: %d %v", got.status, got.header)
	}
	browser.Open(gateway.URL + "/fresh/?x=1")
	password() // though he has a session there
	browser.WaitURL(gateway.URL + "/fresh/?x=1")
	if second := browser.Cookie(gateway.URL, "sp"); second == first {
		t.Error("the session kept its id")
	}
}

// TestApplicationInAFrameOfAnotherSite keeps people signed in by a partitioned
// cookie, which no other site's frame shares.
func TestApplicationInAFrameOfAnotherSite(t *testing.T) {
	t.Parallel()
	binary, dir, at := sallyport, t.TempDir(), env.Reserve(t)
	op, ca := oidctest.New(t), tlstest.New(t)
	pair := ca.Server("app.localhost")
	origin := strings.Replace(at.URL(), "http://localhost", "https://app.localhost", 1)
	env.WriteFile(t, dir, "client-secret", oidctest.ClientSecret)
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
server:
  public_url: %s
  tls: {cert_file: %s, key_file: %s}
session: {cookie: {same_site: none, partitioned: true}}
login:
  providers:
    - {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret_file: client-secret}
routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated}
`, origin, pair.CertFile, pair.KeyFile, op.Issuer, oidctest.ClientID))
	env.StartGateway(t, binary, dir, at, "SALLYPORT_SERVER__PUBLIC_URL="+origin)

	embedding := func(host string) string {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<title>embedding</title><iframe width="800" height="600" src="%s/.auth/login?return_to=/.auth/me"></iframe>`, origin)
		}))
		srv.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.Server(host).Load(t)}}
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return strings.Replace(srv.URL, "127.0.0.1", host, 1)
	}
	one, two := embedding("one.localhost"), embedding("two.localhost")
	browser := env.StartBrowser(t)
	browser.TrustAnyCertificate()
	browser.Open(one)
	waitPartitions(t, browser, origin, 1)
	browser.Open(two)
	waitPartitions(t, browser, origin, 2)
	browser.Screenshot("frame")
	if n := op.Calls(oidctest.Authorize); n != 2 {
		t.Errorf("the provider was asked %d times for two embedding sites", n)
	}
	browser.Open(one) // signed in there already
	waitPartitions(t, browser, origin, 2)
	if n := op.Calls(oidctest.Authorize); n != 2 {
		t.Errorf("the frame signed in again: %d", n)
	}
	browser.Open(origin + "/.auth/me")
	browser.WaitText("no_session")
}

// waitPartitions waits until the session cookie is there for so many sites.
func waitPartitions(t *testing.T, browser *env.Browser, origin string, want int) {
	t.Helper()
	var keys []string
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if keys = browser.Partitions("__Host-sp"); len(keys) == want {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("the cookie of %s is kept for %v, want %d", origin, keys, want)
}
