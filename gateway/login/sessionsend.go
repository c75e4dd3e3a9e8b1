package login

import (
	"net/http"

	"github.com/sallyport/sallyport/gateway/session"
)

// ReasonUnknownSession says that the user has no such session.
const ReasonUnknownSession = "unknown_session"

// The values of which.
const (
	whichOthers = "others"
	whichAll    = "all"
)

// EndSessions is POST Prefix/sessions/end: it ends one of the user's sessions (id,
// as Sessions tells it), all others (which=others) or all (which=all), on every
// gateway. The rules against other sites' pages are those of the sign-out.
func (s *Service) EndSessions(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if r.Method != http.MethodPost {
		return notAllowed(http.MethodPost)
	}
	// 1. Read the form, and who sent it.
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if form.Has("proof") {
		return s.endByProof(w, r, form)
	}
	if err := s.checkLogoutForm(r, form.Get("csrf")); err != nil {
		return err
	}
	live, err := s.signedIn(r, false)
	if err != nil {
		return err
	}
	listed, err := s.ownSessions(r, live)
	if err != nil {
		return err
	}
	// 2. Find what is to end. An id is looked for among the user's own alone.
	id, which := form.Get("id"), form.Get("which")
	var end []session.Listed
	switch {
	case which == "" && id != "":
		for _, l := range listed {
			if l.Key().String() == id {
				end = append(end, l)
			}
		}
		if len(end) == 0 {
			return refuse(http.StatusNotFound, ReasonUnknownSession, "You have no such session. It may be over already.", nil)
		}
	case id == "" && which == whichOthers:
		end = listed[1:]
	case id == "" && which == whichAll:
		end = listed
	default:
		return badRequest(ReasonMalformed, "Say which session is to end: id, or which with others or all.", nil)
	}
	// 3. End it. Where this browser's own is among them, it is a sign-out like any
	// other.
	here := len(end) > 0 && end[0].Key() == live.Key()
	ended := s.takeTokens(r, live)
	if err := s.endListed(r, end); err != nil {
		return err
	}
	if which == whichAll {
		// Those that began meanwhile, too.
		if _, err := s.sessions.EndSubject(r.Context(), live.Identity.Issuer, live.Identity.Subject); err != nil {
			return storeOutage(err)
		}
	}
	if !here {
		redirect(w, http.StatusSeeOther, s.prefix+"/sessions")
		return nil
	}
	return s.signedOutHere(w, r, ended, form, "")
}

// endListed ends sessions on every gateway, and asks their providers to revoke
// their tokens.
func (s *Service) endListed(r *http.Request, listed []session.Listed) error {
	kept, keys := make([]endedSession, len(listed)), make([]session.Key, len(listed))
	for i, l := range listed {
		kept[i], keys[i] = s.takeTokens(r, l.Session), l.Key()
	}
	if _, err := s.sessions.EndKeys(r.Context(), keys...); err != nil {
		return storeOutage(err)
	}
	for _, e := range kept {
		s.auditLogout(r, e.session)
		s.revokeLater(e)
	}
	return nil
}
