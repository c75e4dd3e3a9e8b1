//go:build e2e

package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestSignInAndOutInABrowser signs in at a certified provider in Chromium, from
// the first page and from a link with a query, and out again.
func TestSignInAndOutInABrowser(t *testing.T) {
	s := startSite(t, siteOptions{provider: env.OIDCProviderOptions{PAR: env.PAROptional}})
	s.waitReady(t)
	browser := env.StartBrowser(t)
	for _, path := range []string{"/", "/reports/2026?q=a%20b&tag=x+y&empty=&tag=%C3%BC"} {
		browser.Open(s.url + path)
		browser.WaitText("Who are you?")
		browser.Click(`button[value="alice"]`)
		browser.WaitText("your application receives") // on the page of the echo application
		if at := browser.URL(); at != s.url+path {
			t.Errorf("at %s, want %s", at, path)
		}
		browser.Open(s.url + "/.auth/me")
		me := browser.Script(`document.body.innerText`)
		for _, want := range []string{`"subject":"alice"`, `"email":"alice@example.com"`, `"staff"`} {
			if !strings.Contains(me, want) {
				t.Errorf("me lacks %s: %s", want, me)
			}
		}

		cookie := []string{"Cookie", "sp=" + browser.Cookie(s.url, "sp")}
		browser.Open(s.url + "/.auth/logout")
		browser.Click(`form button`)
		env.WaitUntil(t, "the old cookie is refused", func() bool {
			return send(t, client(t), http.MethodGet, s.url+path, cookie...).status == http.StatusUnauthorized
		})
		s.signOutAtTheProvider(browser)
	}
	// Every sign-in had PKCE: the provider takes none without.
	got := s.provider.Counts()
	if got.Codes() != 2 || got.S256 < 2 || len(got.Refused) != 0 {
		t.Errorf("the provider has seen %+v", got)
	}
	if strings.Contains(s.output(), clientSecret) {
		t.Error("the secret of the client is in the log")
	}
}

// signOutAtTheProvider ends the browser's session there, so that the next
// sign-in asks who it is.
func (s *site) signOutAtTheProvider(browser *env.Browser) {
	browser.Open(s.provider.Issuer + "/session/end")
	if text := browser.Script(`document.body.innerText`); strings.Contains(text, "Sign out") {
		browser.Click(`button[name="logout"]`)
	}
	browser.WaitText("Signed out of the provider")
}
