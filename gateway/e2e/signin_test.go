//go:build e2e

package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// TestBrowserComesBackToExactlyItsPage runs the pages around a sign-in in a real
// browser: fragments by every way to sign in, and a form that came without a
// session.
func TestBrowserComesBackToExactlyItsPage(t *testing.T) {
	t.Parallel()
	binary, dir, at := sallyport, t.TempDir(), env.Reserve(t)
	issuer := oidctest.NewZitadel(t, "web", "secret", at.URL()+"/.auth/callback/corp")
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>app</title><p>%s %s got [%s]</p>
<form method="post" action="/orders?draft=1"><input name="b" value="2"><textarea name="a"></textarea><input name="이름" value="홍길동"><button>order</button></form>`,
			r.Method, r.URL.Path, body)
	}))
	t.Cleanup(app.Close)
	env.WriteFile(t, dir, "client-secret", "secret\n")
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
login:
  providers:
    - {name: corp, type: oidc, issuer: %q, client_id: web, client_secret_file: client-secret}
    - {name: dev, type: dev, identities: [{subject: alice}]}
routes:
  - {name: app, upstream: %s, policy: authenticated}
`, issuer, app.URL))
	gateway := env.StartGateway(t, binary, dir, at)
	browser := env.StartBrowser(t)
	signOut := func() { browser.Script(`fetch("/.auth/logout", {method: "POST"}).then(r => r.text())`) }

	// By a provider elsewhere, from the page on which one chooses.
	page := gateway.URL + "/deep/(1)?q=(a)&b=%2F#part=%2F/two"
	browser.Open(page)
	browser.WaitText("Continue with corp")
	browser.Screenshot("chooser")
	browser.Click(`main a.button`)
	browser.Type(`input[name="username"]`, oidctest.ZitadelUser)
	browser.Type(`input[name="password"]`, oidctest.ZitadelPassword)
	browser.Click(`button[type="submit"], input[type="submit"], button`)
	browser.WaitText("GET /deep/(1)")
	if got := browser.URL(); got != page {
		t.Errorf("the browser ends at %s, want %s", got, page)
	}
	if left := browser.Script(`JSON.stringify(Object.keys(sessionStorage))`); left != "[]" {
		t.Errorf("left in the tab: %s", left)
	}
	signOut()

	// By a form of the gateway's own.
	page = gateway.URL + "/other#here"
	browser.Open(page)
	browser.Click(`button.person`)
	browser.WaitText("GET /other")
	if got := browser.URL(); got != page {
		t.Errorf("the browser ends at %s, want %s", got, page)
	}

	// A form that is sent when the session is over.
	browser.Type(`textarea`, "two\nlines & more")
	signOut()
	browser.Click(`form button`)
	browser.WaitText("Your session has ended")
	browser.Screenshot("resubmit")
	if link := browser.Script(`document.querySelector("a.button").target + " " + document.querySelector("a.button").pathname`); link != "_blank /.auth/login" {
		t.Errorf("the sign-in link: %s", link)
	}
	c := client(t)
	in := sendBody(t, c, "POST", gateway.URL+"/.auth/login", "provider=dev&username=alice", "Content-Type", "application/x-www-form-urlencoded")
	session, err := http.ParseSetCookie(in.header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	browser.SetCookie(gateway.URL, session.Name, session.Value)
	browser.Click(`form button`)
	browser.WaitText("POST /orders got [b=2&a=two%0D%0Alines+%26+more&%EC%9D%B4%EB%A6%84=%ED%99%8D%EA%B8%B8%EB%8F%99]")
	if got := browser.URL(); got != gateway.URL+"/orders?draft=1" {
		t.Errorf("the form was sent to %s", got)
	}
	browser.Open(gateway.URL + "/.auth/done")
	browser.WaitText("You are signed in")
	browser.Screenshot("done")
	for _, secret := range []string{"part=", "#here", "lines"} {
		if strings.Contains(gateway.Output(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// TestGatewayRestartsInMidLogin: the user is at the provider meanwhile, and
// notices nothing.
func TestGatewayRestartsInMidLogin(t *testing.T) {
	t.Parallel()
	binary, dir, at := sallyport, t.TempDir(), env.Reserve(t)
	op := oidctest.New(t)
	env.WriteFile(t, dir, "client-secret", oidctest.ClientSecret)
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
session: {embedded: {path: sessions.db}}
login:
  providers:
    - {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret_file: client-secret}
routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated}
`, op.Issuer, oidctest.ClientID))
	c := client(t)
	ready := func(g *env.Gateway) (location string) {
		env.WaitUntil(t, "the provider to be found", func() bool {
			got := send(t, c, "GET", g.URL+"/.auth/login?return_to=%2Fdeep", "Accept", "text/html")
			location = got.header.Get("Location")
			return got.status == http.StatusFound
		})
		return location
	}
	first := env.StartGateway(t, binary, dir, at)
	callback := send(t, c, "GET", ready(first)).header.Get("Location")
	if code := first.Stop(); code != 0 {
		t.Fatalf("the gateway ended with %d", code)
	}
	second := env.StartGateway(t, binary, dir, at)
	ready(second)
	got := send(t, c, "GET", callback, "Accept", "text/html")
	if got.status != http.StatusFound || got.header.Get("Location") != "/deep" {
		t.Fatalf("%d to %q\n%s", got.status, got.header.Get("Location"), got.body)
	}
	if me := send(t, c, "GET", second.URL+"/.auth/me"); me.status != http.StatusOK || !strings.Contains(me.body, `"subject":"alice"`) {
		t.Errorf("me: %d %s", me.status, me.body)
	}
}
