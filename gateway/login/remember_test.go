package login_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// offeredBy lists the providers of the sign-in page, in its order.
func offeredBy(page *answer, names ...string) []string {
	at := func(name string) int {
		return max(strings.Index(page.body, "provider="+name), strings.Index(page.body, `value="`+name+`"`))
	}
	list := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return at(name) < 0 })
	slices.SortFunc(list, func(a, b string) int { return at(a) - at(b) })
	return list
}

func twoProviders(t *testing.T) (*gateway, *oidctest.Provider) {
	t.Helper()
	op := oidctest.New(t)
	second := corp(op)
	second.Name, second.ClientID = "partner", oidctest.ClientID
	return newGateway(t, corp(op), second, devProvider()).waitReady(t), op
}

func TestSignInPageOffersTheProviderOfTheLastTimeFirst(t *testing.T) {
	g, _ := twoProviders(t)
	b := g.browser(t)
	order := func() string {
		return strings.Join(offeredBy(b.get("/.auth/login?switch=1"), "corp", "partner", "dev"), " ")
	}
	if got := order(); got != "corp partner dev" {
		t.Errorf("at first it offers %s", got)
	}
	// A sign-in that does not succeed is not remembered.
	b.get("/.auth/login?provider=partner")
	if got := order(); got != "corp partner dev" || b.cookie("sp_provider") != "" {
		t.Errorf("after a sign-in that was not finished it offers %s", got)
	}
	back := b.get(b.get(b.get("/.auth/login?provider=partner").location()).location())
	if got := order(); got != "partner corp dev" {
		t.Errorf("after a sign-in it offers %s", got)
	}
	for _, ck := range back.Cookies() {
		if ck.Name == "sp_provider" && (ck.Value != "partner" || !ck.HttpOnly || ck.Path != "/" || ck.SameSite != http.SameSiteLaxMode || ck.MaxAge <= 0) {
			t.Errorf("the cookie is %v", ck)
		}
	}
	for _, forged := range []string{"nobody", "", "<script>", "corp partner"} {
		b.setCookie("sp_provider", forged)
		if got := order(); got != "corp partner dev" {
			t.Errorf("with the cookie %q it offers %s", forged, got)
		}
	}
}

func TestOneProviderNeedsNoCookieToBeRemembered(t *testing.T) {
	op := oidctest.New(t)
	b := newGateway(t, corp(op)).waitReady(t).browser(t)
	b.signIn("/")
	if got := b.cookie("sp_provider"); got != "" {
		t.Errorf("the cookie is %q", got)
	}
}

func TestRememberedProviderOverTLSHasTheHostPrefix(t *testing.T) {
	g := newGatewayWith(t, options{providers: []config.Provider{devProvider(), usersProvider(t, cheapUsers)}, tls: true})
	got := g.browser(t).post("/.auth/login", map[string][]string{"provider": {"dev"}, "username": {"alice"}})
	for _, ck := range got.Cookies() {
		if !strings.HasPrefix(ck.Name, "__Host-") || !ck.Secure || !ck.HttpOnly || ck.Path != "/" || ck.Domain != "" || strings.Contains(ck.Value, "alice") {
			t.Errorf("the cookie is %v", ck)
		}
	}
	if n := len(got.Cookies()); got.StatusCode != http.StatusSeeOther || n != 2 {
		t.Errorf("answered with %d and %d cookies: %s", got.StatusCode, n, got.body)
	}
}

func TestSignInOffersOnlyTheProvidersThatItNames(t *testing.T) {
	g, op := twoProviders(t)
	b := g.browser(t)
	page := b.get("/.auth/login?return_to=/x&provider=partner&provider=dev")
	if got := strings.Join(offeredBy(page, "corp", "partner", "dev"), " "); got != "partner dev" {
		t.Errorf("it offers %s", got)
	}
	if got := b.get("/.auth/login?provider=partner&provider=partner"); !strings.HasPrefix(got.location(), op.Issuer) {
		t.Errorf("one provider is answered with %d to %q", got.StatusCode, got.location())
	}
	if got := b.get("/.auth/login?provider=corp&provider=nobody"); got.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown one is answered with %d", got.StatusCode)
	}
	// Who is signed in by another signs in once more.
	b.get(b.get(b.get("/.auth/login?provider=corp").location()).location())
	if got := b.get("/.auth/login?provider=corp&return_to=/x"); got.location() != "/x" {
		t.Errorf("who is signed in by it is sent to %q", got.location())
	}
	if got := b.get("/.auth/login?provider=partner&return_to=/x"); !strings.HasPrefix(got.location(), op.Issuer) {
		t.Errorf("who is signed in by another is sent to %q", got.location())
	}
}

func TestOfferingNarrowsAnyLoginURL(t *testing.T) {
	for _, tt := range []struct {
		url, want string
		names     []string
		another   bool
	}{
		{"/.auth/login", "/.auth/login", nil, false},
		{"/.auth/login", "/.auth/login?provider=a&provider=b", []string{"a", "b"}, false},
		{"/.auth/login?return_to=%2Fx", "/.auth/login?return_to=%2Fx&provider=a&switch=1", []string{"a"}, true},
	} {
		if got := login.Offering(tt.url, tt.names, tt.another); got != tt.want {
			t.Errorf("%s became %s", tt.url, got)
		}
	}
}
