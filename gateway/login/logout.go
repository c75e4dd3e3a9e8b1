package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// Logout is GET and POST Prefix/logout. GET asks and never acts, because any
// page can make a browser send one. POST ends every session that the browser
// has here, on every gateway, and then the one at the provider: see signedOutHere.
func (s *Service) Logout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return s.askLogout(w, r)
	case http.MethodPost:
		return s.endSession(w, r)
	}
	return notAllowed(http.MethodGet, http.MethodHead, http.MethodPost)
}

func (s *Service) askLogout(w http.ResponseWriter, r *http.Request) error {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badRequest(ReasonMalformed, "", err)
	}
	target, err := s.wishedLogout(q)
	if err != nil {
		return err
	}
	candidates := s.cookies.Read(r.Header)
	if candidates.Len() == 0 {
		return s.pages.SignedOut(w, r)
	}
	page := pages.LogoutPage{ReturnTo: target}
	live, err := s.sessions.Authenticate(r.Context(), &candidates, false)
	switch {
	case err == nil:
		page.Who, page.FormToken = who(live), s.formToken(live.Identity.Ref[:])
	case errors.Is(err, session.ErrAmbiguous):
		// Signing out is the way out of this, so the page is shown.
		page.FormToken = s.formToken([]byte(s.formAttempt(w, r.Header)))
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrIdle):
		return s.pages.SignedOut(w, r)
	default:
		return storeOutage(err)
	}
	return s.pages.ConfirmLogout(w, r, page)
}

func (s *Service) endSession(w http.ResponseWriter, r *http.Request) error {
	// 1. Read the form, where there is one, and who sent it.
	form := url.Values{}
	if r.Header.Get("Content-Type") != "" {
		var err error
		if form, err = readForm(w, r); err != nil {
			if same, _ := s.sameOrigin(r); !same {
				return crossSite()
			}
			return err
		}
	}
	if err := s.checkLogoutForm(r, form.Get("csrf")); err != nil {
		return err
	}
	// 2. Judge where to go before anything ends.
	wish := form
	if !form.Has("return_to") && !form.Has("rd") {
		var err error
		if wish, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return badRequest(ReasonMalformed, "", err)
		}
	}
	target, err := s.wishedLogout(wish)
	if err != nil {
		return err
	}
	// 3. End the sessions. Only then is the cookie deleted: with the store down
	// the session lives, and the user must be able to try again.
	// Whose session it is is for the record and the provider alone: one that can't
	// be read can be ended nevertheless.
	live, candidates, _ := s.live(r)
	ended := s.takeTokens(r, live)
	if err := s.sessions.End(r.Context(), &candidates); err != nil {
		return storeOutage(err)
	}
	s.auditLogout(r, live)
	s.revokeLater(ended)
	// 4. Go on, by way of the provider where it has a session of its own.
	return s.signedOutHere(w, r, ended, form, target)
}

// who is how a session's user is shown to himself.
func who(s *session.Session) string { return nameOf(s.Identity) }

func nameOf(id *identity.Identity) string {
	for _, name := range []string{id.Email, id.PreferredUsername, id.Name} {
		if name != "" {
			return name
		}
	}
	return id.Subject
}
