package login

import (
	"net/http"
	"net/url"

	"github.com/sallyport/sallyport/gateway/identity"
)

// SignInTarget judges an address that a sign-in is to lead to, as Login does. It is ""
// where the address is that of a sign-in or sign-out. The error is the answer: 400.
func (s *Service) SignInTarget(address string) (string, error) {
	return s.wishedReturn(url.Values{"return_to": {address}})
}

// SignOutTarget is SignInTarget for a sign-out, which may lead to login.logout_targets as well.
func (s *Service) SignOutTarget(address string) (string, error) {
	return s.wishedLogout(url.Values{"return_to": {address}})
}

// SignedIn returns whose session a request carries. Asking is no activity. The error
// is the answer: 401 with the reason, 403 where he is locked, or 503.
func (s *Service) SignedIn(r *http.Request) (*identity.Identity, error) {
	live, err := s.signedIn(r, false)
	if err != nil {
		return nil, err
	}
	if err := s.checkLocked(r, live.Identity); err != nil {
		return nil, err
	}
	return live.Identity, nil
}
