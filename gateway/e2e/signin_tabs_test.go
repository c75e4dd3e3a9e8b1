//go:build e2e

package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestTenTabsInAnyOrder: ten tabs are restored without a session, the person
// signs in in the seventh, and later sends the provider's form in all others, in
// some order. Each tab ends at its own URL, and one session remains.
func TestTenTabsInAnyOrder(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{gateways: 2})
	s.waitReady(t)
	const tabs, first = 10, 6
	seed := uint64(time.Now().UnixNano())
	t.Logf("orders from seed %d", seed)
	for name, order := range map[string][]int{
		"as they stand": {0, 1, 2, 3, 4, 5, 7, 8, 9},
		"backwards":     {9, 8, 7, 5, 4, 3, 2, 1, 0},
		"in any order": slices.DeleteFunc(rand.New(rand.NewPCG(seed, 0)).Perm(tabs),
			func(n int) bool { return n == first }),
	} {
		t.Run(name, func(t *testing.T) {
			before, p := s.provider.Counts(), s.person(t)
			open := make([]page, tabs)
			for n := range open {
				open[n] = p.open(tabPath(n))
				p.wantProvider(open[n])
			}
			for _, n := range append([]int{first}, order...) {
				p.wantAt(p.answer(open[n], "account", "alice"), tabPath(n))
			}
			// The callback of no tab made another one go to the provider again.
			if after := s.provider.Counts(); after.Login-before.Login != tabs || after.Authorization-before.Authorization > 2*tabs {
				t.Errorf("before %+v\nafter %+v", before, after)
			}
			s.wantOneLive(t, p)
			p.wantSmallCookies()
		})
	}
}

// TestMoreTabsThanABrowserCanRemember: the sign-ins of the oldest tabs are
// forgotten. Where somebody is signed in by the time they come back, they lead
// to their own pages all the same, and their codes are left alone.
func TestMoreTabsThanABrowserCanRemember(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	p := s.person(t)
	const tabs, remembered = 20, 16
	open := make([]page, tabs)
	for n := range open {
		open[n] = p.open(tabPath(n))
		p.wantProvider(open[n])
		p.wantSmallCookies()
	}
	for n := tabs - 1; n >= 0; n-- {
		p.wantAt(p.answer(open[n], "account", "alice"), tabPath(n))
	}
	if got := s.provider.Counts().Codes(); got != remembered {
		t.Errorf("%d codes were redeemed, want those of the %d newest tabs", got, remembered)
	}
	s.wantOneLive(t, p)
}

func tabPath(n int) string { return fmt.Sprintf("/tab/%d?of=ten&n=%d", n, n) }

// wantSmallCookies fails when what sign-ins leave in the browser grows.
func (p *person) wantSmallCookies() {
	p.t.Helper()
	if size := len("sp_login=") + len(p.cookie("sp_login")); size > 512 {
		p.t.Fatalf("the login cookie has %d bytes", size)
	}
}

// wantOneLive fails unless the newest of a person's sessions is the only one
// that works, at every gateway.
func (s *site) wantOneLive(t *testing.T, p *person) {
	t.Helper()
	all := p.sessions()
	if len(all) == 0 {
		t.Fatal("there was never a session")
	}
	for n := range s.gateways {
		for i, value := range all {
			want := http.StatusUnauthorized
			if i == len(all)-1 {
				want = http.StatusOK
			}
			env.WaitUntil(t, fmt.Sprintf("session %d of %d answers %d", i+1, len(all), want), func() bool {
				return send(t, client(t), http.MethodGet, s.at[n].URL()+"/", "Cookie", "sp="+value).status == want
			})
		}
	}
}
