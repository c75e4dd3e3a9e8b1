package login

import (
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/session"
)

// Events and outcomes of an Audit.
const (
	EventLogin  = "login"
	EventLogout = "logout"
	// EventRevoke: a provider was asked to take the tokens of an ended session back.
	EventRevoke = "revoke_tokens"
	// EventProviderLogout: a provider said that a session or a user is signed out.
	EventProviderLogout = "provider_logout"

	OutcomeOK     = "ok"
	OutcomeFailed = "failed"
)

// Audit is one act that matters afterwards: somebody signed in, or did not, or
// signed out. It holds no secret. Request is for the client's address and the
// request id, and must not be kept; it is
// nil for what happens in the background.
type Audit struct {
	Event, Outcome, Reason string
	Provider               string
	Issuer, Subject        string // empty when nobody was proven
	Session                string // how the session appears in logs; empty without one
	Request                *http.Request
}

func (s *Service) auditLogin(r *http.Request, provider string, started *session.Session) {
	s.audit(Audit{
		Event: EventLogin, Outcome: OutcomeOK, Provider: provider,
		Issuer: started.Identity.Issuer, Subject: started.Identity.Subject, Session: started.Key().String(),
		Request: r,
	})
}

// failLogin records a sign-in that failed, and returns the error.
func (s *Service) failLogin(r *http.Request, provider string, err error) error {
	a := Audit{Event: EventLogin, Outcome: OutcomeFailed, Reason: httperr.As(err).Reason, Provider: provider, Request: r}
	if locked, ok := errors.AsType[*lockedError](err); ok && locked.who != nil {
		a.Issuer, a.Subject = locked.who.Issuer, locked.who.Subject
	}
	s.audit(a)
	return err
}

func (s *Service) auditLogout(r *http.Request, ended *session.Session) {
	a := Audit{Event: EventLogout, Outcome: OutcomeOK, Request: r}
	if ended != nil {
		a.Provider, a.Session = ended.Provider, ended.Key().String()
		a.Issuer, a.Subject = ended.Identity.Issuer, ended.Identity.Subject
	}
	s.audit(a)
}
