//go:build e2e

package e2e_test

import (
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestRestartInMidLogin: the gateway is restarted while people are at the
// provider. They come back as if it had not been.
func TestRestartInMidLogin(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	signedIn, p := s.person(t), s.person(t)
	signedIn.wantAt(signedIn.signIn("/", "bob"), "/")
	at := p.open("/mid/login?q=1")
	p.wantProvider(at)
	s.restart(t, 0)
	s.waitReady(t)
	p.wantAt(p.answer(at, "account", "alice"), "/mid/login?q=1")
	signedIn.wantAt(signedIn.open("/still/here"), "/still/here")
}

// TestGatewaySwitchInMidLogin: one gateway starts the sign-in, another finishes
// it, and a third serves the page.
func TestGatewaySwitchInMidLogin(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{gateways: 3})
	s.waitReady(t)
	p := s.person(t)
	s.only.Store(0)
	at := p.open("/mid/login?q=1")
	p.wantProvider(at)
	if code := s.gateways[0].Stop(); code != 0 { // it is gone for good
		t.Errorf("the gateway ended with %d", code)
	}
	s.only.Store(1)
	p.wantAt(p.answer(at, "account", "alice"), "/mid/login?q=1")
	s.only.Store(2)
	p.wantAt(p.open("/elsewhere"), "/elsewhere")
}

// TestKeyRotationInMidLogin: the sealing key is rotated, and the old one dropped
// later, while people are signed in and on their way. During the overlap nobody
// notices; what a dropped key has sealed counts as absent.
func TestKeyRotationInMidLogin(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{gateways: 2})
	s.waitReady(t)
	newer := sealingKey("newer")
	ring := func(files string) {
		for n := range s.gateways {
			env.WriteFile(t, s.dirs[n], "newer", newer)
			s.restart(t, n, "SALLYPORT_SESSION__KEYS_FILES="+files)
		}
		s.waitReady(t)
	}
	signedIn, p, late := s.person(t), s.person(t), s.person(t)
	signedIn.wantAt(signedIn.signIn("/", "bob"), "/")
	at, dropped := p.open("/rotate?n=1"), late.open("/late?n=2")
	p.wantProvider(at)
	late.wantProvider(dropped)

	ring("[key, newer]") // every gateway must open what the new key will seal,
	ring("[newer, key]") // before one seals with it
	p.wantAt(p.answer(at, "account", "alice"), "/rotate?n=1")
	signedIn.wantAt(signedIn.open("/overlap"), "/overlap")

	ring("[newer]")
	// Who has a session of the new key comes back, though nobody knows whereto.
	late.wantAt(late.signIn("/again", "alice"), "/again")
	late.wantAt(late.answer(dropped, "account", "alice"), "/")
	// A cookie of the old key counts as none: the provider is asked, who knows him.
	signedIn.wantAt(signedIn.open("/after"), "/after")
	p.wantAt(p.open("/after"), "/after")
}
