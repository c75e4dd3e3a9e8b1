package login

import (
	"net/http"

	"github.com/sallyport/sallyport/gateway/pages"
)

// strayCallback answers a callback that belongs to no attempt of this browser:
// a page that was open overnight, a bookmark, the back button, or another's
// code. Who is signed in goes where he wanted. Anybody else is sent to the
// provider once more, as if he had followed a link to the page that he wanted:
// what came with the callback is used for nothing else, and the code is never
// redeemed. That happens once for a page and a minute, noted in the login
// cookie and, for a browser that keeps none, in the new state.
//
// saysNo: the provider sent an error. Asking it again unasked could go on
// without end.
func (s *Service) strayCallback(w http.ResponseWriter, r *http.Request, p redirector, a *attempt, saysNo bool) error {
	live, _, err := s.live(r)
	if err != nil {
		return err
	}
	target := s.wayBack(a)
	if live != nil {
		if a != nil && a.hash {
			return s.arrive(w, r, a, target)
		}
		redirect(w, http.StatusFound, target)
		return nil
	}
	before := a != nil && a.Again
	if isPageLoad(r) && s.origin(r) != "" && !saysNo {
		under := s.readPending(r.Header)
		if !before && under.count(target, markAgain) == 0 {
			return s.leave(w, r, p, departure{target: target, again: true, hash: a != nil && a.hash})
		}
		if before && !hasCookie(r.Header, s.cookies.LoginName()) {
			return s.explainLoop(w, r, p.name(), &pages.LoopPage{
				Cookie: s.cookies.LoginName(), AgainURL: s.againURL(p.name(), target), Causes: s.lossCauses(r),
			})
		}
	}
	e := badRequest(ReasonInvalidState, "This sign-in took too long, or was started elsewhere. Start it again.", errState)
	e.LoginURL = s.againURL(p.name(), target)
	return s.failLogin(r, p.name(), e)
}
