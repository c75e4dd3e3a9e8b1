package login

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// me is what Prefix/me says. Times are RFC 3339; auth_time is null when the
// provider did not tell.
type me struct {
	Issuer            string     `json:"issuer"`
	Subject           string     `json:"subject"`
	Email             string     `json:"email"`
	EmailVerified     bool       `json:"email_verified"`
	Name              string     `json:"name"`
	PreferredUsername string     `json:"preferred_username"`
	Groups            []string   `json:"groups"`
	Provider          string     `json:"provider"`
	AuthTime          *time.Time `json:"auth_time"`
	CreatedAt         time.Time  `json:"created_at"`
	IdleExpiresAt     time.Time  `json:"idle_expires_at"`
	AbsoluteExpiresAt time.Time  `json:"absolute_expires_at"`
	Locked            bool       `json:"locked,omitempty"` // by an operator: everything else refuses him
}

// Me is GET Prefix/me: who is signed in and for how long, never a token. Asking
// is no activity, so that a page that polls keeps nobody signed in.
func (s *Service) Me(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(http.MethodGet, http.MethodHead)
	}
	live, err := s.signedIn(r, false)
	if err != nil {
		return err
	}
	idle, absolute, err := s.sessions.Expiry(r.Context(), live)
	if err != nil {
		return s.noSession(err)
	}
	id := live.Identity
	answer := me{
		Issuer: id.Issuer, Subject: id.Subject, Email: id.Email, EmailVerified: id.EmailVerified,
		Name: id.Name, PreferredUsername: id.PreferredUsername,
		Groups: append([]string{}, id.Groups...), Provider: live.Provider,
		CreatedAt: wireTime(live.CreatedAt()), IdleExpiresAt: wireTime(idle), AbsoluteExpiresAt: wireTime(absolute),
	}
	answer.Locked = s.isLocked(r, live)
	if !id.AuthTime.IsZero() {
		at := wireTime(id.AuthTime)
		answer.AuthTime = &at
	}
	return writeJSON(w, r, http.StatusOK, answer)
}

// signedIn finds the session of the request. Its error is the answer where there is
// none: 401 with the reason, or 503 when the store can't tell. Only an active request
// keeps the session from being idle.
func (s *Service) signedIn(r *http.Request, active bool) (*session.Session, error) {
	candidates := s.cookies.Read(r.Header)
	live, err := s.sessions.Authenticate(r.Context(), &candidates, active)
	if err != nil {
		return nil, s.noSession(err)
	}
	return live, nil
}

// noSession is the answer to a request whose session did not count.
func (s *Service) noSession(err error) error {
	switch {
	case errors.Is(err, session.ErrNotFound):
		return s.signedOut(ReasonNoSession)
	case errors.Is(err, session.ErrIdle):
		return s.signedOut(ReasonSessionIdle)
	case errors.Is(err, session.ErrAmbiguous):
		return s.signedOut(ReasonAmbiguousSession)
	}
	return storeOutage(err)
}

func (s *Service) signedOut(reason string) error {
	e := refuse(http.StatusUnauthorized, reason, "Nobody is signed in.", nil)
	e.LoginURL = s.prefix + "/login"
	e.Header = http.Header{"Www-Authenticate": {fmt.Sprintf("Cookie realm=%q", s.public.Host)}} // RFC 9110, section 15.5.2
	return e
}

// wireTime is whole seconds of UTC.
func wireTime(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
