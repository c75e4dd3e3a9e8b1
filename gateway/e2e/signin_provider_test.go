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
	t.Parallel()
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
		s.signOutInBrowser(browser)
		if got := send(t, client(t), http.MethodGet, s.url+path, cookie...); got.status != http.StatusUnauthorized {
			t.Errorf("the old cookie after sign-out: %d", got.status)
		}
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

// What the pages of the provider say.
const (
	providerAsks      = "Yes, sign me out"
	providerSignedOut = "Signed out of the provider"
)

// signOutInBrowser signs out here, and at the provider, which asks too where
// the gateway sends the browser there.
func (s *site) signOutInBrowser(browser *env.Browser) {
	browser.Open(s.url + "/.auth/logout")
	browser.Click(`form button`)
	if browser.WaitAny(providerAsks, "signed out") == providerAsks {
		browser.Click(`button[name="logout"]`)
		browser.WaitText("signed out")
		return
	}
	browser.Open(s.provider.Issuer + "/session/end")
	if browser.WaitAny(providerAsks, providerSignedOut) == providerAsks {
		browser.Click(`button[name="logout"]`)
		browser.WaitText(providerSignedOut)
	}
}
