//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// corp is the entry of login.providers for a provider of a test.
func corp(p *oidctest.Provider) string {
	return fmt.Sprintf("- {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret: %s}", p.Issuer, oidctest.ClientID, oidctest.ClientSecret)
}

// atCorp signs in at the provider corp, as whom its script says, once a gateway
// knows it. It returns the cookie and the status of the callback.
func (f *fleet) atCorp(t *testing.T, g *env.Gateway) (cookie string, status int) {
	t.Helper()
	var begun answer
	env.WaitUntil(t, "the provider is known", func() bool {
		begun = send(t, f.client, http.MethodGet, g.URL+"/.auth/login?provider=corp")
		return begun.status == http.StatusFound
	})
	attempt := begun.cookies()[0]
	consented := send(t, f.client, http.MethodGet, begun.header.Get("Location"))
	done := send(t, f.client, http.MethodGet, consented.header.Get("Location"), "Cookie", attempt.Name+"="+attempt.Value)
	for _, ck := range done.cookies() {
		if ck.Name == "sp" {
			return ck.Name + "=" + ck.Value, done.status
		}
	}
	return "", done.status
}
