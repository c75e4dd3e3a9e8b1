//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// TestLegacyAppBehindARealProvider is the main job, end to end: Radicale, a
// calendar server that believes a header, behind Sallyport, with the provider of
// zitadel/oidc and a real browser.
func TestLegacyAppBehindARealProvider(t *testing.T) {
	t.Parallel()
	binary, dir, at := sallyport, t.TempDir(), env.Reserve(t)
	issuer := oidctest.NewZitadel(t, "web", "secret", at.URL()+"/.auth/callback/corp")
	app := startRadicale(t)

	env.WriteFile(t, dir, "client-secret", "secret\n")
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
login:
  providers:
    - {name: corp, type: oidc, issuer: %q, client_id: web, client_secret_file: client-secret}
routes:
  - name: calendar
    upstream: %s
    policy: authenticated
    headers: [{name: X-Remote-User, claim: sub}]
    upstream_authorization: true # its page sends a Basic header of its own
`, issuer, app))
	gateway := env.StartGateway(t, binary, dir, at)

	browser := env.StartBrowser(t)
	browser.Open(gateway.URL + "/.web/?from=bookmark")
	browser.Type(`input[name="username"]`, "test-user@localhost")
	browser.Type(`input[name="password"]`, "verysecure")
	browser.Screenshot("provider")
	browser.Click(`button[type="submit"], input[type="submit"], button`)
	browser.WaitURL(gateway.URL + "/.web/?from=bookmark")
	browser.WaitText("Next") // on the first page of Radicale

	// Its page asks for a name too, but what counts is the header.
	browser.Type(`#loginscene input[type="text"]`, "somebody")
	browser.Type(`#loginscene input[type="password"]`, "anything")
	browser.Click(`#loginscene button`)
	browser.WaitText("Collections")
	browser.Screenshot("radicale")

	// Radicale says whom it takes the user for.
	who := browser.Script(`fetch("/", {method: "PROPFIND", headers: {Depth: "0", "X-Remote-User": "root"},
		body: '<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>'}).then(r => r.text())`)
	if !strings.Contains(who, "<href>/id1/</href>") {
		t.Errorf("Radicale takes the user for:\n%s", who)
	}
	me := browser.Script(`fetch("/.auth/me").then(r => r.text())`)
	if !strings.Contains(me, `"subject":"id1"`) {
		t.Errorf("me: %s", me)
	}

	cookie := browser.Cookie(gateway.URL, "sp")
	old := []string{"Cookie", "sp=" + cookie}
	if got := send(t, client(t), "GET", gateway.URL+"/.web/", old...); got.status != http.StatusOK {
		t.Fatalf("the browser's cookie, before sign-out: %d", got.status)
	}
	browser.Open(gateway.URL + "/.auth/logout")
	browser.Screenshot("sign-out")
	browser.Click(`form button`)
	browser.WaitText("signed out")
	browser.Screenshot("signed-out")
	if got := send(t, client(t), "GET", gateway.URL+"/.web/", old...); got.status != http.StatusUnauthorized {
		t.Errorf("the old cookie after sign-out: %d", got.status)
	}
	for _, secret := range []string{cookie, "verysecure"} {
		if strings.Contains(gateway.Output(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// startRadicale starts the calendar server of Debian, which takes its user from
// a header that the gateway sets.
func startRadicale(t *testing.T) (url string) {
	t.Helper()
	dir, port := t.TempDir(), porttest.Free(t)
	file := env.WriteFile(t, dir, "radicale.conf", fmt.Sprintf(`
[server]
hosts = 127.0.0.1:%d
[auth]
type = http_x_remote_user
[rights]
type = owner_only
[storage]
filesystem_folder = %s/collections
`, port, dir))
	url = fmt.Sprintf("http://127.0.0.1:%d", port)
	env.Start(t, dir, nil, "radicale", "--config", file).WaitHTTP(url + "/.web/")
	return url
}
