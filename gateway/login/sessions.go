package login

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// ownSession is a session as Prefix/sessions tells its user of it. Times are RFC
// 3339; what is not known is empty.
type ownSession struct {
	ID         string    `json:"id"` // the first 16 digits of the hash of its id: worth nothing as a cookie
	Current    bool      `json:"current"`
	Provider   string    `json:"provider"`
	Device     string    `json:"device"`
	Address    string    `json:"address"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"` // whatever the activity
}

// Sessions is GET Prefix/sessions: the user's own sessions, as a page for people
// and as JSON for programs. Asking is no activity.
func (s *Service) Sessions(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(http.MethodGet, http.MethodHead)
	}
	live, err := s.signedIn(r, false)
	if err != nil {
		if httperr.As(err).Code == http.StatusUnauthorized && httperr.IsNavigation(r) {
			redirect(w, http.StatusFound, s.prefix+"/login?return_to="+url.QueryEscape(s.prefix+"/sessions"))
			return nil
		}
		return err
	}
	listed, err := s.ownSessions(r, live)
	if err != nil {
		return err
	}
	w.Header().Add("Vary", "Accept, Sec-Fetch-Mode")
	if httperr.WantsPage(r) {
		return s.sessionsPage(w, r, live, listed)
	}
	return s.sessionsJSON(w, r, live, listed)
}

// ownSessions lists the sessions of the user of live, that one first. It is in
// the list even where an index does not have it yet.
func (s *Service) ownSessions(r *http.Request, live *session.Session) ([]session.Listed, error) {
	listed, err := s.sessions.Sessions(r.Context(), live.Identity.Issuer, live.Identity.Subject)
	if err != nil {
		return nil, storeOutage(err)
	}
	own := []session.Listed{{Session: live}}
	for _, l := range listed {
		if l.Key() == live.Key() {
			own[0].LastSeen = l.LastSeen
			continue
		}
		own = append(own, l)
	}
	return own, nil
}

func (s *Service) sessionsPage(w http.ResponseWriter, r *http.Request, live *session.Session, listed []session.Listed) error {
	page := pages.SessionsPage{Who: who(live), FormToken: s.formToken(live.Identity.Ref[:])}
	for _, l := range listed {
		one := pages.SessionView{
			ID: l.Key().String(), Current: l.Key() == live.Key(), Provider: s.providerTitle(l.Provider),
			Browser: l.Client.Browser(), System: l.Client.System(), Began: l.CreatedAt(), Used: l.LastSeen,
		}
		if a := l.Client.Address(); a.IsValid() {
			one.Address = a.String()
		}
		page.Sessions = append(page.Sessions, one)
	}
	return s.pages.Sessions(w, r, page)
}

func (s *Service) sessionsJSON(w http.ResponseWriter, r *http.Request, live *session.Session, listed []session.Listed) error {
	answer := struct {
		Sessions []ownSession `json:"sessions"`
	}{make([]ownSession, 0, len(listed))}
	for _, l := range listed {
		one := ownSession{
			ID: l.Key().String(), Current: l.Key() == live.Key(), Provider: l.Provider, Device: deviceName(l.Client),
			CreatedAt: wireTime(l.CreatedAt()), LastSeenAt: wireTime(l.LastSeen), ExpiresAt: wireTime(l.ExpiresAt()),
		}
		if a := l.Client.Address(); a.IsValid() {
			one.Address = a.String()
		}
		answer.Sessions = append(answer.Sessions, one)
	}
	return writeJSON(w, r, http.StatusOK, answer)
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	body = append(body, '\n')
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone
	}
	return nil
}

// providerTitle is what people call a provider; one that is gone has its name.
func (s *Service) providerTitle(name string) string {
	if p := s.provider(name); p != nil {
		if title := p.choice().Title; title != "" {
			return title
		}
	}
	return name
}
