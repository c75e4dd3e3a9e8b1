//go:build e2e

package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestSilentRestart: the sign-in was forgotten overnight and there is no session
// either. The gateway asks the provider once more, without a word, and the person
// ends where he wanted; the code of the night is never redeemed.
func TestSilentRestart(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{gateways: 2})
	s.waitReady(t)
	for name, lose := range map[string]func(p *person, at page) page{
		"the login cookie expired": func(p *person, at page) page {
			p.forget("sp_login")
			return p.answer(at, "account", "alice")
		},
		"the callback was used, and the session ended": func(p *person, at page) page {
			p.wantAt(p.answer(at, "account", "alice"), "/overnight?x=1")
			p.forget("sp_login")
			p.forget("sp")
			return p.open(p.lastURL(s.url + "/.auth/callback/"))
		},
		"the address of the provider is a bookmark": func(p *person, at page) page {
			p.wantAt(p.answer(at, "account", "alice"), "/overnight?x=1")
			p.forget("sp_login")
			p.forget("sp")
			return p.open(p.lastURL(s.provider.Issuer + "/auth?"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, before := s.person(t), s.provider.Counts()
			at := p.open("/overnight?x=1")
			p.wantProvider(at)
			p.wantAt(lose(p, at), "/overnight?x=1")
			after := s.provider.Counts()
			if after.Login-before.Login != 1 {
				t.Errorf("the person had to sign in %d times", after.Login-before.Login)
			}
			if got, sessions := after.Codes()-before.Codes(), len(p.sessions()); got != sessions || len(after.Refused) != 0 {
				t.Errorf("%d codes were redeemed for %d sessions; refused %v", got, sessions, after.Refused)
			}
		})
	}
}

// TestBrowserThatKeepsNoCookies: one of the cookies never comes back. The
// circle ends by itself, soon, at a page that names the cookie and the request.
func TestBrowserThatKeepsNoCookies(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	for _, name := range []string{"sp", "sp_login"} {
		t.Run(name, func(t *testing.T) {
			p, before := s.person(t), s.provider.Counts()
			p.client.Jar = &leaky{p.jar, name}
			at := p.open("/circle")
			p.wantProvider(at)
			got := p.answer(at, "account", "alice")
			id := got.header.Get("X-Request-Id")
			if !strings.HasPrefix(got.url, s.url) || got.status == http.StatusFound || id == "" || !strings.Contains(got.body, id) || !strings.Contains(got.body, name) {
				t.Errorf("it ends at %s (%d), request %q:\n%s\nafter%s", got.url, got.status, id, got.body, p.trail())
			}
			if after := s.provider.Counts(); after.Authorization-before.Authorization > 2*3 {
				t.Errorf("round and round: before %+v, after %+v", before, after)
			}
		})
	}
}

// leaky is a jar that loses the cookies of one name.
type leaky struct {
	http.CookieJar

	name string
}

func (l *leaky) Cookies(u *url.URL) (kept []*http.Cookie) {
	for _, c := range l.CookieJar.Cookies(u) {
		if c.Name != l.name {
			kept = append(kept, c)
		}
	}
	return kept
}

// TestFragmentSurvivesASignIn: what stands behind # never reaches a server, and
// is there again after the sign-in. With pushed requests the way is another one.
func TestFragmentSurvivesASignIn(t *testing.T) {
	t.Parallel()
	for name, par := range map[string]string{"in the address": env.PAROff, "pushed": env.PAROptional} {
		t.Run(name, func(t *testing.T) {
			s := startSite(t, siteOptions{gateways: 2, provider: env.OIDCProviderOptions{PAR: par}})
			s.waitReady(t)
			browser := env.StartBrowser(t)
			for _, path := range []string{"/docs?q=a%20b#chapter-2", "/app#/orders/17?tab=%C3%BC&x=1", "/plain?no=fragment"} {
				browser.Open(s.url + path)
				browser.WaitText("Who are you?")
				browser.Click(`button[value="alice"]`)
				browser.WaitText("your application receives")
				browser.WaitURL(s.url + path)
				if at := browser.URL(); at != s.url+path {
					t.Errorf("at %s, want %s", at, path)
				}
				s.signOutInBrowser(browser)
			}
		})
	}
}
