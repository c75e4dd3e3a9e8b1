//go:build e2e

package e2e_test

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// committedConfig is the config.yaml of the repository, as a newcomer runs it.
func committedConfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNewcomerSignsInAndStaysSignedInAcrossARestart(t *testing.T) {
	t.Parallel()
	binary, dir, at := sallyport, t.TempDir(), env.Reserve(t)
	env.WriteFile(t, dir, "config.yaml", committedConfig(t))
	gateway := env.StartGateway(t, binary, dir, at)

	browser := env.StartBrowser(t)
	page := gateway.URL + "/reports/2026?q=a%20b&x=1&y=%C3%A9"
	browser.Open(page)
	browser.WaitText("alice@example.com")
	if at := browser.URL(); !strings.HasPrefix(at, gateway.URL+"/.auth/login") {
		t.Fatalf("a visitor without a session is at %s", at)
	}
	browser.Screenshot("sign-in")

	browser.Click(`button[value="alice"], form:has(input[value="alice"]) button`)
	browser.WaitText("X-Forwarded-User")
	if at := browser.URL(); at != page {
		t.Errorf("after signing in at %s, not at %s", at, page)
	}
	browser.WaitText("alice@example.com")
	browser.WaitText("staff,admin")
	browser.Screenshot("echo")
	if seen := browser.Script("document.cookie + ''"); seen != "" {
		t.Errorf("scripts can read %q", seen)
	}

	if code := gateway.Stop(); code != 0 {
		t.Errorf("exit code after SIGTERM: %d", code)
	}
	gateway = env.StartGateway(t, binary, dir, at)
	browser.Open(page)
	browser.WaitText("alice@example.com")
	if at := browser.URL(); at != page {
		t.Errorf("after a restart of the gateway at %s", at)
	}

	out := gateway.Output()
	for _, want := range []string{"listens on", "builtin:echo", "sign in as alice"} {
		if !strings.Contains(out, want) {
			t.Errorf("the start does not say %q:\n%s", want, out)
		}
	}
}

func TestPersonWhoMayNotIsToldWhoHeIsAndCanSwitch(t *testing.T) {
	t.Parallel()
	dir, at := t.TempDir(), env.Reserve(t)
	env.WriteFile(t, dir, "config.yaml", committedConfig(t))
	gateway := env.StartGateway(t, sallyport, dir, at)

	browser := env.StartBrowser(t)
	browser.Open(gateway.URL + "/")
	browser.Click(`form:has(input[value="carol"]) button`)
	browser.WaitText("Use another account")
	browser.WaitText("carol@example.com")
	browser.Screenshot("forbidden")
	browser.Click(`a[href*="switch=1"]`)
	browser.Click(`form:has(input[value="bob"]) button`)
	browser.WaitText("X-Forwarded-User")
	browser.WaitText("bob@example.com")
	if at := browser.URL(); at != gateway.URL+"/" {
		t.Errorf("after switching the account at %s", at)
	}
}

func TestProgramsGetStatusesAndBrowsersRedirects(t *testing.T) {
	t.Parallel()
	dir, at := t.TempDir(), env.Reserve(t)
	env.WriteFile(t, dir, "config.yaml", committedConfig(t))
	gateway := env.StartGateway(t, sallyport, dir, at)

	got := send(t, client(t), "GET", gateway.URL+"/x")
	if got.status != http.StatusUnauthorized || got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("curl without credentials: %d %s", got.status, got.header.Get("Content-Type"))
	}
	for _, want := range []string{`"reason":"no_credential"`, `"request_id":"`, `"login_url":"`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the problem lacks %s: %s", want, got.body)
		}
	}
	if got.header.Get("WWW-Authenticate") == "" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("headers of the 401: %v", got.header)
	}

	got = send(t, client(t), "GET", gateway.URL+"/x?a=b", "Sec-Fetch-Mode", "navigate")
	if got.status != http.StatusFound || got.header.Get("Location") != "/.auth/login?return_to="+url.QueryEscape("/x?a=b") {
		t.Errorf("a navigation: %d %s", got.status, got.header.Get("Location"))
	}

	// Scripts can sign in, and out.
	c := client(t)
	got = sendBody(t, c, "POST", gateway.URL+"/.auth/login", "provider=dev&username=alice&return_to=/x", "Content-Type", "application/x-www-form-urlencoded")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/x" {
		t.Fatalf("sign-in by a script: %d %s %s", got.status, got.header.Get("Location"), got.body)
	}
	cookie := got.header.Get("Set-Cookie")
	if got = send(t, c, "GET", gateway.URL+"/x", "X-Forwarded-User", "root", "X_Forwarded_User", "root"); got.status != http.StatusOK ||
		!strings.Contains(got.body, `["X-Forwarded-User","alice"]`) || strings.Contains(got.body, "root") || strings.Contains(got.body, "Cookie") {
		t.Errorf("with the session: %d %s", got.status, got.body)
	}
	if got = send(t, c, "GET", gateway.URL+"/.auth/me"); got.status != http.StatusOK || !strings.Contains(got.body, `"idle_expires_at"`) {
		t.Errorf("me: %d %s", got.status, got.body)
	}
	if got = send(t, c, "POST", gateway.URL+"/.auth/logout"); got.status != http.StatusForbidden {
		t.Errorf("sign-out without a proof of origin: %d", got.status)
	}
	if got = send(t, c, "POST", gateway.URL+"/.auth/logout", "Sec-Fetch-Site", "same-origin"); got.status != http.StatusSeeOther {
		t.Errorf("sign-out: %d %s", got.status, got.body)
	}
	name, value, _ := strings.Cut(cookie, "=")
	value, _, _ = strings.Cut(value, ";")
	if got = send(t, client(t), "GET", gateway.URL+"/x", "Cookie", name+"="+value); got.status != http.StatusUnauthorized {
		t.Errorf("the old cookie after sign-out: %d", got.status)
	}

	if got = send(t, client(t), "GET", gateway.AdminURL+"/readyz"); got.status != http.StatusOK {
		t.Errorf("readyz: %d %s", got.status, got.body)
	}
	got = send(t, client(t), "GET", gateway.AdminURL+"/metrics")
	for _, want := range []string{
		`sallyport_requests_total{outcome="challenge",reason="no_credential",route="app"}`,
		`sallyport_credential_bytes_total{kind="session"}`, "sallyport_decision_seconds_bucket", "sallyport_sessions_active", "sallyport_build_info",
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	// Nothing administrative is on the public listener.
	if got = send(t, client(t), "GET", gateway.URL+"/metrics"); got.status != http.StatusUnauthorized {
		t.Errorf("/metrics on the public listener: %d", got.status)
	}
	if strings.Contains(gateway.Output(), value) {
		t.Error("the session cookie is in the log")
	}
	for _, event := range []string{"login", "logout"} {
		if !regexp.MustCompile(`"msg":"audit","event":"` + event + `","outcome":"ok","request_id":"[0-9a-f]{16}","client":"127.0.0.1"`).MatchString(gateway.Output()) {
			t.Errorf("no audit line of the %s names the request:\n%s", event, gateway.Output())
		}
	}
}
