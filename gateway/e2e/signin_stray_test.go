//go:build e2e

package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestOvernightLoginPage: the provider's page stood open until the sign-in was
// forgotten; meanwhile the person signed in in another tab. The form leads to
// the page that was asked for, and its code is not redeemed.
func TestOvernightLoginPage(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	p := s.person(t)
	night := p.open("/overnight?x=1")
	p.wantProvider(night)
	p.forget("sp_login") // it outlives no night
	p.wantAt(p.signIn("/morning", "alice"), "/morning")
	before := s.provider.Counts()
	session := p.cookie("sp")

	p.wantAt(p.answer(night, "account", "alice"), "/overnight?x=1")
	if after := s.provider.Counts(); after.Codes() != before.Codes() || len(after.Refused) != 0 {
		t.Errorf("the code was redeemed: before %+v, after %+v", before, after)
	}
	if p.cookie("sp") != session {
		t.Error("the session is another one")
	}
}

// TestBookmarkedProviderPage: somebody has bookmarked the address of the
// provider, with a sign-in of long ago in it.
func TestBookmarkedProviderPage(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	p := s.person(t)
	p.wantAt(p.signIn("/first?day=1", "alice"), "/first?day=1")
	bookmark := p.lastURL(s.provider.Issuer + "/auth?")
	before := s.provider.Counts()

	// The provider still knows him and sends him back with a fresh code.
	p.wantAt(p.open(bookmark), "/first?day=1")
	p.wantAt(p.open(bookmark), "/first?day=1")
	if after := s.provider.Counts(); after.Codes() != before.Codes() || after.Login != before.Login {
		t.Errorf("a code was redeemed: before %+v, after %+v", before, after)
	}
}

// TestBackButtonToACallback: a callback that was used is opened again, which
// the back button does, and by a page that was reloaded.
func TestBackButtonToACallback(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	p := s.person(t)
	p.wantAt(p.signIn("/here?a=b", "alice"), "/here?a=b")
	used := p.lastURL(s.url + "/.auth/callback/")
	before := s.provider.Counts()
	for range 3 {
		p.wantAt(p.open(used), "/here?a=b")
	}

	// In another browser the same URL signs nobody in, and asks nobody.
	other := s.person(t)
	at := other.open(used)
	if len(other.sessions()) != 0 {
		t.Errorf("another browser got a session from a used callback: %s (%d)", at.url, at.status)
	}
	if status, _ := other.me(); status != http.StatusUnauthorized {
		t.Errorf("me in another browser: %d", status)
	}
	if after := s.provider.Counts(); after.Codes() != before.Codes() || len(after.Refused) != 0 {
		t.Errorf("the code was sent again: before %+v, after %+v", before, after)
	}
	if p.wantNoError(); strings.Contains(s.output(), "invalid_grant") {
		t.Errorf("the log speaks of invalid_grant:\n%s", s.output())
	}
}

// TestCancelledAtTheProvider: who cancels is told so once, and can start again.
func TestCancelledAtTheProvider(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	p := s.person(t)
	at := p.open("/private")
	p.wantProvider(at)
	before := s.provider.Counts()
	refused := p.answer(at, "cancel", "1")
	if refused.status != http.StatusForbidden || !strings.HasPrefix(refused.url, s.url+"/.auth/callback/corp") {
		t.Errorf("after cancelling: %s (%d)", refused.url, refused.status)
	}
	if after := s.provider.Counts(); after.Codes() != 0 || after.Authorization > before.Authorization+1 {
		t.Errorf("it was started again by itself: before %+v, after %+v", before, after)
	}
	if got := p.signIn("/private", "bob"); got.url != s.url+"/private" || got.status != http.StatusOK {
		t.Errorf("the second try: %s (%d)", got.url, got.status)
	}
}
