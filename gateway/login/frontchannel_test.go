package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// TestFrontChannelSignsOutTheOneWhomItMeans: the request comes from another site
// and proves nothing, so it must name what only the provider knows.
func TestFrontChannelSignsOutTheOneWhomItMeans(t *testing.T) {
	p := oidctest.New(t)
	g := newGateway(t, corp(p), devProvider()).waitReady(t)
	b, phone := g.browser(t), g.browser(t)
	b.signInWith(t, "corp")
	phone.signInWith(t, "corp")
	q := func(iss, sid string) string {
		return "/.auth/frontchannel-logout/corp?" + url.Values{"iss": {iss}, "sid": {sid}}.Encode()
	}
	for name, c := range map[string]struct {
		method, target string
		status         int
	}{
		"nothing":                 {"GET", "/.auth/frontchannel-logout/corp", 400},
		"a sid alone":             {"GET", "/.auth/frontchannel-logout/corp?sid=" + aliceSID, 400},
		"an issuer alone":         {"GET", "/.auth/frontchannel-logout/corp?iss=" + url.QueryEscape(p.Issuer), 400},
		"an empty sid":            {"GET", q(p.Issuer, ""), 400},
		"two sids":                {"GET", q(p.Issuer, aliceSID) + "&sid=x", 400},
		"another sid":             {"GET", q(p.Issuer, "guess"), 200},
		"another issuer":          {"GET", q("https://evil.test", aliceSID), 200},
		"POST":                    {"POST", q(p.Issuer, aliceSID), 405},
		"another provider":        {"GET", strings.Replace(q(p.Issuer, aliceSID), "/corp", "/dev", 1), 404},
		"a provider that is none": {"GET", strings.Replace(q(p.Issuer, aliceSID), "/corp", "/nobody", 1), 404},
	} {
		t.Run(name, func(t *testing.T) {
			got := b.do(c.method, c.target, nil)
			if got.StatusCode != c.status || len(got.Header["Set-Cookie"]) != 0 || !alive(t, b) {
				t.Errorf("%d, cookies %v, still signed in: %v", got.StatusCode, got.Header["Set-Cookie"], alive(t, b))
			}
		})
	}
	// Without the cookie there is nothing to end, whoever knows the sid.
	if got := g.program(t).get(q(p.Issuer, aliceSID)); got.StatusCode != http.StatusOK || !alive(t, b) || !alive(t, phone) {
		t.Errorf("without a cookie: %d", got.StatusCode)
	}
	g.Store.setReadOnly(true)
	if got := b.get(q(p.Issuer, aliceSID)); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with the store down: %d", got.StatusCode)
	}
	g.Store.setReadOnly(false)

	got := b.get(q(p.Issuer, aliceSID))
	if ck := got.setCookie("sp"); got.StatusCode != http.StatusOK || ck == nil || ck.MaxAge >= 0 || alive(t, b) {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	if csp := got.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors "+p.Issuer) || strings.Contains(csp, "*") {
		t.Errorf("the policy is %q", csp)
	}
	if got.Header.Get("X-Frame-Options") != "" {
		t.Error("no browser would show it in the provider's frame")
	}
	if !alive(t, phone) {
		t.Error("another browser was signed out as well")
	}
}

func (b *browser) signInWith(t *testing.T, provider string) {
	t.Helper()
	if got := b.get(b.beginLoginWith(provider)); got.StatusCode != http.StatusFound {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
}

// beginLoginWith is beginLogin where there is a choice.
func (b *browser) beginLoginWith(provider string) (callback string) {
	b.t.Helper()
	start := b.get("/.auth/login?provider=" + provider)
	consent := b.get(start.location())
	if consent.StatusCode != http.StatusFound {
		b.t.Fatalf("the provider answered %d: %s", consent.StatusCode, consent.body)
	}
	return consent.location()
}
