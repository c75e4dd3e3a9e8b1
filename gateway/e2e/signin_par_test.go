//go:build e2e

package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestPushedAuthorizationRequests: where the provider offers to take requests
// beforehand (RFC 9126) every one is pushed, and the address that the browser is
// sent to says no more than which it is.
func TestPushedAuthorizationRequests(t *testing.T) {
	t.Parallel()
	for name, par := range map[string]string{"offered": env.PAROptional, "required": env.PARRequired} {
		t.Run(name, func(t *testing.T) {
			s := startSite(t, siteOptions{gateways: 2, provider: env.OIDCProviderOptions{PAR: par}})
			s.waitReady(t)
			before := s.provider.Counts()
			for _, account := range []string{"alice", "bob"} {
				p := s.person(t)
				p.wantAt(p.signIn("/pushed?q="+account, account), "/pushed?q="+account)
				for _, detail := range []string{"redirect_uri=", "state=", "scope=", "code_challenge=", "nonce="} {
					if at := p.lastURL(s.provider.Issuer + "/auth?"); strings.Contains(at, detail) {
						t.Errorf("%s is in the browser's address: %s", detail, at)
					}
				}
			}
			after := s.provider.Counts()
			if got := after.PAR - before.PAR; got != 2 || after.Codes() != 2 || after.S256-before.S256 < 2 {
				t.Errorf("before %+v\nafter %+v", before, after)
			}
		})
	}
}

// TestProviderThatTakesNoPushedRequestsNow: the endpoint of pushed requests is
// away with the provider: that is an outage, and no refusal.
func TestProviderThatTakesNoPushedRequestsNow(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{provider: env.OIDCProviderOptions{PAR: env.PAROptional}})
	s.waitReady(t)
	s.provider.Kill()
	p := s.person(t)
	if got := p.open("/"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	s.provider.Start()
	s.waitReady(t)
	again := s.person(t)
	again.wantAt(again.signIn("/", "alice"), "/")
}
