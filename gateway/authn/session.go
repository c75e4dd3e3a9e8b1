package authn

import (
	"context"
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// Session accepts the gateway's own session cookie.
type Session struct{ manager *session.Manager }

var _ Authenticator = (*Session)(nil)

// NewSession makes the authenticator of session cookies.
func NewSession(m *session.Manager) *Session { return &Session{manager: m} }

// Kind implements Authenticator.
func (*Session) Kind() Kind { return KindSession }

// Extract implements Authenticator. A cookie that fails its keyed check counts
// as absent.
func (s *Session) Extract(r *http.Request) (Credential, error) {
	found := s.manager.Cookies().Read(r.Header)
	if found.Len() == 0 {
		return Credential{}, ErrNoCredential
	}
	return Credential{
		Kind:     KindSession,
		Sessions: found,
		Bytes:    found.Len() * s.manager.Cookies().WireSize(),
		Active:   true,
	}, nil
}

// Authenticate implements Authenticator.
func (s *Session) Authenticate(ctx context.Context, c Credential) (*identity.Identity, error) {
	found, err := s.manager.Authenticate(ctx, &c.Sessions, c.Active)
	if err == nil {
		found, err = s.manager.Renew(ctx, found)
	}
	switch {
	case err == nil:
		return found.Identity, nil
	case errors.Is(err, session.ErrNotFound):
		return nil, &Refusal{Reason: ReasonNoSession}
	case errors.Is(err, session.ErrIdle):
		return nil, &Refusal{Reason: ReasonSessionIdle}
	case errors.Is(err, session.ErrAmbiguous):
		return nil, &Refusal{Reason: ReasonAmbiguousSession}
	}
	return nil, err
}

// AccessToken returns the provider's access token of the session that id is of,
// fit to be forwarded. A *Refusal means that there is none, any other error that
// there could be one.
func (s *Session) AccessToken(ctx context.Context, id *identity.Identity) (string, error) {
	token, err := s.manager.AccessToken(ctx, id.Ref)
	return token, unforwarded(err, ReasonNoAccessToken)
}

// IDToken is AccessToken for the provider's ID token, which may have ended.
func (s *Session) IDToken(ctx context.Context, id *identity.Identity) (string, error) {
	token, err := s.manager.IDToken(ctx, id.Ref)
	return token, unforwarded(err, ReasonNoIDToken)
}

func unforwarded(err error, none string) error {
	switch {
	case errors.Is(err, session.ErrNotFound):
		return &Refusal{Reason: ReasonNoSession}
	case errors.Is(err, session.ErrNoTokens):
		return &Refusal{Reason: none}
	}
	return err
}

// Strip implements Authenticator. The gateway's cookies are removed on every
// route, public ones too, by the guard; there is nothing left to do here.
func (*Session) Strip(http.Header) {}
