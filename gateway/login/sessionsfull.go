package login

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// ReasonTooManySessions says that a user has as many sessions as he may.
const ReasonTooManySessions = "too_many_sessions"

// proofLifetime is how long the page that says so can stay open.
const proofLifetime = attemptLifetime

// proofBound is the associated data of a sealed proof, so that nothing that was
// sealed for another use can pass for one.
const proofBound = "who was just proven"

// startSession starts the session of a sign-in that succeeded. The error is the
// answer: an outage, or *fullError.
func (s *Service) startSession(r *http.Request, in session.SignIn) (*session.Session, *http.Cookie, error) {
	in.Client = s.client(r)
	candidates := s.cookies.Read(r.Header)
	started, cookie, err := s.sessions.Start(r.Context(), in, &candidates)
	switch {
	case errors.Is(err, session.ErrTooMany):
		return nil, nil, &fullError{
			answer: refuse(http.StatusConflict, ReasonTooManySessions, "You have as many sessions as one person may have here. Sign out elsewhere first.", nil),
			who:    in.Identity, provider: in.Provider,
		}
	case err != nil:
		return nil, nil, storeOutage(err)
	}
	return started, cookie, nil
}

// fullError is a sign-in for which there was no room. It knows who was proven.
type fullError struct {
	answer   *httperr.Error
	who      *identity.Identity
	provider string
}

// Error returns the answer's words.
func (e *fullError) Error() string { return e.answer.Error() }

// Unwrap returns the answer.
func (e *fullError) Unwrap() error { return e.answer }

// failSignIn is failLogin for what startSession may have refused: a person gets
// a page from which he can make room.
func (s *Service) failSignIn(w http.ResponseWriter, r *http.Request, provider, target string, err error) error {
	err = s.failLogin(r, provider, err)
	full, ok := errors.AsType[*fullError](err)
	if !ok || !httperr.WantsPage(r) {
		return err
	}
	proof, sealErr := s.sealProof(full)
	if sealErr != nil {
		return err
	}
	return s.pages.TooManySessions(w, r, pages.TooManyPage{
		Who: nameOf(full.who), Proof: proof, ReturnTo: target,
	})
}

// proof shows who was just proven, without a session. Whoever has it can end that
// user's sessions which began before it, and nothing else.
type proof struct {
	Issuer   string `json:"i"`
	Subject  string `json:"s"`
	Provider string `json:"p"`
	Made     int64  `json:"t"` // Unix seconds
}

func (s *Service) sealProof(full *fullError) (string, error) {
	return s.seal(session.PurposeForm, proofBound, proof{full.who.Issuer, full.who.Subject, full.provider, time.Now().Unix()})
}

func (s *Service) openProof(text string) (*proof, bool) {
	p := new(proof)
	if !s.open(session.PurposeForm, proofBound, text, p) || p.Subject == "" {
		return nil, false
	}
	age := time.Since(time.Unix(p.Made, 0))
	return p, age < proofLifetime && age > -time.Minute
}

// endByProof ends the sessions of who was just proven and had no room, and sends
// him to sign in again. The proof is worth more than a form token, since only the
// page for that user holds it; another site's page has none.
func (s *Service) endByProof(w http.ResponseWriter, r *http.Request, form url.Values) error {
	if same, stated := s.sameOrigin(r); stated && !same {
		return crossSite()
	}
	p, ok := s.openProof(form.Get("proof"))
	if !ok || form.Get("which") != whichAll {
		return crossSite()
	}
	target, err := s.wishedReturn(form)
	if err != nil {
		return err
	}
	listed, err := s.sessions.Sessions(r.Context(), p.Issuer, p.Subject)
	if err != nil {
		return storeOutage(err)
	}
	// Those that began since were made by somebody who had room.
	made := time.Unix(p.Made+1, 0)
	listed = slices.DeleteFunc(listed, func(l session.Listed) bool { return l.CreatedAt().After(made) })
	if err := s.endListed(r, listed); err != nil {
		return err
	}
	again := url.Values{"provider": {p.Provider}}
	if target != "" {
		again.Set("return_to", target)
	}
	redirect(w, http.StatusSeeOther, s.prefix+"/login?"+again.Encode())
	return nil
}
