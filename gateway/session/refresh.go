package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
)

// The definite answers of a Refresher. Any other error is an outage: the tokens
// are as good as they were before, as far as anybody knows.
var (
	// ErrGrantEnded: the provider will never renew these tokens again (RFC 6749,
	// section 5.2, invalid_grant).
	ErrGrantEnded = errors.New("session: the provider has ended the grant")
	// ErrAnotherSubject: the renewed tokens are about somebody else (OpenID
	// Connect Core 1.0, section 12.2).
	ErrAnotherSubject = errors.New("session: the provider renewed the tokens of somebody else")
)

// ErrNoTokens means that no such token of a provider hangs on the session.
var ErrNoTokens = errors.New("session: there is no token")

// RetryError is an outage of a provider that said when to ask again.
type RetryError struct {
	After time.Duration
	Err   error
}

// Error implements error.
func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns what the outage is.
func (e *RetryError) Unwrap() error { return e.Err }

// Refresher renews the tokens of providers. Only it knows how tokens, as SignIn
// hands them over, are written. It is safe for concurrent use.
type Refresher interface {
	// Refresh redeems the refresh token among tokens, once, at a provider. who is
	// the user of the session. The error is ErrGrantEnded, ErrAnotherSubject, a
	// *RetryError, or any other, which is an outage.
	Refresh(ctx context.Context, provider string, tokens []byte, who *identity.Identity) (*Refreshed, error)
	// AccessToken returns the access token among tokens, "" when there is none,
	// and when it expires, zero when that is unknown.
	AccessToken(tokens []byte) (token string, expires time.Time, err error)
	// IDToken returns the last ID token among tokens that was proven, "" when
	// there is none.
	IDToken(tokens []byte) (token string, err error)
}

// Refreshed is what a refresh brought.
type Refreshed struct {
	Tokens        []byte             // in the clear, in the place of all that were there
	Identity      *identity.Identity // nil keeps the identity as it is
	AccessExpires time.Time          // zero when unknown
	Renewable     bool
}

// The results of a refresh, as Renewing.Observe hears of them: a closed set.
const (
	RefreshOK               = "ok"
	RefreshOvertaken        = "overtaken"         // another gateway has renewed them meanwhile
	RefreshGrantEnded       = "grant_ended"       // the session was ended
	RefreshAnotherSubject   = "another_subject"   // likewise
	RefreshUnavailable      = "unavailable"       // the provider could not do it
	RefreshStoreUnavailable = "store_unavailable" // nothing was sent to the provider
	RefreshLost             = "lost"              // renewed, but the store did not take what came
)

// Renewing is what a Manager needs to keep the tokens of providers fresh.
type Renewing struct {
	Refresher Refresher
	Records   Records // for the leases
	Settings  config.Refresh
	// Observe hears of every refresh that was tried; may be nil.
	Observe func(result string)
	// Barred reports whether somebody is locked, so that nothing is renewed for him;
	// may be nil.
	Barred func(*identity.Identity) bool
	// Ended hears of a session that was ended, and with which result; may be nil.
	Ended func(s *Session, result string)
}

// Renewing begins to renew tokens. It must be called before the Manager is used
// by more than one goroutine, and once only.
func (m *Manager) Renewing(o Renewing) {
	if o.Observe == nil {
		o.Observe = func(string) {}
	}
	if o.Barred == nil {
		o.Barred = func(*identity.Identity) bool { return false }
	}
	if o.Ended == nil {
		o.Ended = func(*Session, string) {}
	}
	m.renewer = newRenewer(m, o)
}

// leastAge is how old tokens are at least when they are renewed, so that a
// provider whose tokens end as soon as they come is not asked without end.
const leastAge = 500 * time.Millisecond

// due reports whether the tokens of s should be renewed: the configured time ahead
// of their end, or a tenth of their life where that is longer, but never in the
// first half of it. Sessions that began together come one after the other.
func (r *renewer) due(s *Session, now time.Time) bool {
	g := &s.Grant
	ahead := max(r.settings.Ahead, g.life()/10)
	ahead += ahead / 10 * time.Duration(s.Key()[0]) / 256
	return g.left(now) <= min(ahead, g.life()/2) && now.UnixNano()-g.Issued >= int64(leastAge)
}

// Renew returns the session with tokens that the provider still vouches for. Well
// before they end, it has them renewed behind the request's back and returns s as
// it is; once they have ended, it waits for that. While the provider can't be
// reached, the session goes on for the configured grace.
//
// ErrNotFound means that the provider has ended the grant, and so the session is
// over. Any other error is an outage. Without a Renewing, and for a session whose
// tokens can't be renewed or don't end, it returns s.
func (m *Manager) Renew(ctx context.Context, s *Session) (*Session, error) {
	r := m.renewer
	if r == nil || !s.Grant.Renewable || s.Grant.Expires == 0 {
		return s, nil
	}
	now := time.Now()
	if !r.due(s, now) || r.barred(s.Identity) {
		return s, nil
	}
	f, err := r.join(s, now)
	if s.Grant.left(now) > 0 {
		return s, nil
	}
	renewed := (*Session)(nil)
	if err == nil {
		renewed, err = f.wait(ctx)
	}
	switch {
	case err == nil:
		return renewed, nil
	case errors.Is(err, ErrNotFound):
		return nil, ErrNotFound
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case s.Grant.left(time.Now()) > -r.settings.Grace:
		return s, nil
	}
	return nil, fmt.Errorf("the provider's tokens have ended and can't be renewed: %w", err)
}
