//go:build e2e

package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestDuplicateAndStaleCookies: browsers send cookies of one name that nobody
// can see or delete: of a parent domain, of staging, of last year. They lock
// nobody out, and none of them signs in.
func TestDuplicateAndStaleCookies(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{gateways: 2})
	s.waitReady(t)
	old := s.person(t)
	old.wantAt(old.signIn("/", "bob"), "/")
	stale := "sp=" + old.cookie("sp") // signed out in a moment
	if status := s.signOut(t, stale); status != http.StatusSeeOther {
		t.Fatalf("sign-out: %d", status)
	}
	p := s.person(t)
	p.wantAt(p.signIn("/", "alice"), "/")
	live := "sp=" + p.cookie("sp")

	staging := "sp=" + strings.Repeat("A", len(live)-len("sp=")) // well formed, and made with other keys
	for name, cookies := range map[string][]string{
		"garbage":                         {"sp=garbage"},
		"an empty one":                    {"sp="},
		"one of another installation":     {staging},
		"one whose session has ended":     {stale},
		"all of them":                     {"sp=garbage", staging, stale, "sp=", "app=1"},
		"the live one a second time":      {live},
		"cookies of names that look like": {"SP=x", "__Host-sp=x", "sp_0=x"},
	} {
		others := strings.Join(cookies, "; ")
		for order, header := range map[string]string{"before": others + "; " + live, "after": live + "; " + others} {
			t.Run(name+", "+order, func(t *testing.T) {
				for range s.gateways { // each in turn
					got := send(t, client(t), http.MethodGet, s.url+"/", "Cookie", header)
					if got.status != http.StatusOK || len(got.header["Set-Cookie"]) != 0 {
						t.Errorf("status %d, cookies %q", got.status, got.header["Set-Cookie"])
					}
				}
			})
		}
		if got := send(t, client(t), http.MethodGet, s.url+"/", "Cookie", others); !strings.Contains(others, live) && got.status != http.StatusUnauthorized {
			t.Errorf("%s alone: %d", name, got.status)
		}
	}

	// After signing out with all of them nothing is left that works.
	if status := s.signOut(t, "sp=garbage; "+stale+"; "+live); status != http.StatusSeeOther {
		t.Errorf("sign-out with several cookies: %d", status)
	}
	for range s.gateways {
		if got := send(t, client(t), http.MethodGet, s.url+"/", "Cookie", stale+"; "+live); got.status != http.StatusUnauthorized {
			t.Errorf("after sign-out: %d", got.status)
		}
	}
}

// TestDuplicateCookiesAtTheCallback: stale cookies of both names stand beside
// the current ones when a person comes back from the provider.
func TestDuplicateCookiesAtTheCallback(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	for name, order := range map[string]func(current, stale string) string{
		"before": func(current, stale string) string { return stale + "; " + current },
		"after":  func(current, stale string) string { return current + "; " + stale },
	} {
		t.Run(name, func(t *testing.T) {
			p := s.person(t)
			at := p.open("/deep?link=1")
			p.wantProvider(at)
			current := "sp_login=" + p.cookie("sp_login")
			callback := p.callback(at)
			got := send(t, client(t), http.MethodGet, callback,
				"Cookie", order(current, "sp_login=AAAAAAAAAAAA.BBBBBBBBBBBB; sp_login=%; sp=garbage; sp="+strings.Repeat("B", 34)), "Accept", "text/html")
			if got.status != http.StatusFound || got.header.Get("Location") != "/deep?link=1" {
				t.Fatalf("the callback: %d to %q\n%s", got.status, got.header.Get("Location"), got.body)
			}
			var session string
			for _, line := range got.header["Set-Cookie"] {
				if c, err := http.ParseSetCookie(line); err == nil && c.Name == "sp" {
					session = c.Name + "=" + c.Value
				}
			}
			page := send(t, client(t), http.MethodGet, s.url+"/deep?link=1", "Cookie", "sp=garbage; "+session)
			if page.status != http.StatusOK {
				t.Errorf("the page after it: %d", page.status)
			}
		})
	}
}

// callback signs alice in at the provider's page and returns the URL of the site
// that she would be sent to, which is not asked.
func (p *person) callback(at page) string {
	p.t.Helper()
	follow := p.client.CheckRedirect
	defer func() { p.client.CheckRedirect = follow }()
	var back string
	p.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), p.site.url+"/.auth/callback/") {
			back = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	p.answer(at, "account", "alice")
	if back == "" {
		p.t.Fatalf("the provider never sent her back:%s", p.trail())
	}
	return back
}

// signOut sends what the button of the sign-out page does, and returns the
// status.
func (s *site) signOut(t *testing.T, cookies string) int {
	t.Helper()
	return sendBody(t, client(t), http.MethodPost, s.url+"/.auth/logout", url.Values{}.Encode(),
		"Cookie", cookies, "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded").status
}
