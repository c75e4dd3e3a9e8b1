//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// TestTwoRealProviders: one site has two providers of different make, and tells
// their users apart. What one of them answered is worth nothing at the callback
// of the other (mix-up, RFC 9700, section 4.4), and its code is sent nowhere.
func TestTwoRealProviders(t *testing.T) {
	t.Parallel()
	var other string // the issuer
	s := startSite(t, siteOptions{providers: func(s *site) string {
		other = oidctest.NewZitadel(t, "web", "secret", s.url+"/.auth/callback/other")
		return fmt.Sprintf(`- {name: other, type: oidc, issuer: %q, client_id: web, client_secret: secret}`, other)
	}})
	start := func(p *person, provider string) page {
		return p.open("/.auth/login?provider=" + provider + "&return_to=/mine?at=" + provider)
	}
	for _, provider := range []string{"corp", "other"} {
		waitSignIn(t, s, provider)
	}

	// Without a choice, the person is asked.
	if got := s.person(t).open("/mine"); got.status != http.StatusOK || !strings.HasPrefix(got.url, s.url+"/.auth/login") ||
		!strings.Contains(got.body, "corp") || !strings.Contains(got.body, "other") {
		t.Errorf("nobody is asked: %s (%d)", got.url, got.status)
	}

	alice, user := s.person(t), s.person(t)
	alice.wantAt(alice.answer(start(alice, "corp"), "account", "alice"), "/mine?at=corp")
	user.wantAt(user.password(start(user, "other")), "/mine?at=other")
	for p, want := range map[*person][2]string{alice: {s.provider.Issuer, "alice"}, user: {other, oidctest.ZitadelSubject}} {
		if _, me := p.me(); !strings.Contains(me, `"issuer":"`+want[0]+`"`) || !strings.Contains(me, `"subject":"`+want[1]+`"`) {
			t.Errorf("%v is taken for %s", want, me)
		}
	}

	// The answer of one at the callback of the other.
	p, before := s.person(t), s.provider.Counts()
	at := start(p, "corp")
	mixed := strings.Replace(p.callback(at), "/callback/corp?", "/callback/other?", 1)
	got := p.open(mixed)
	if status, _ := p.me(); status != http.StatusUnauthorized || len(p.sessions()) != 0 {
		t.Errorf("a mixed-up answer signed somebody in: %s (%d)", got.url, got.status)
	}
	if after := s.provider.Counts(); after.Codes() != before.Codes() || len(after.Refused) != 0 {
		t.Errorf("the code was sent: before %+v, after %+v", before, after)
	}
}

// password signs in on the page of the provider of zitadel/oidc.
func (p *person) password(at page) page {
	p.t.Helper()
	action, fields := at.form(p.t)
	fields.Set("username", oidctest.ZitadelUser)
	fields.Set("password", oidctest.ZitadelPassword)
	return p.navigate(http.MethodPost, action, fields.Encode())
}
