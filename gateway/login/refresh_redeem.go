package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Once a refresh token is redeemed, trouble with the rest costs the news about the
// user alone: the new tokens must be kept, because the old ones may be worth
// nothing any more.
const leftAside = "the tokens were renewed, and what the provider said about the user was left aside"

// refreshRefusalError is what a token endpoint says to a refresh token instead of
// redeeming it.
type refreshRefusalError struct {
	*tokenRefusal
	after time.Duration // the wish of its Retry-After; 0 = none
}

// Unwrap returns what it said.
func (e *refreshRefusalError) Unwrap() error { return e.tokenRefusal }

// redeemRefreshToken is RFC 6749, section 6. A *refreshRefusalError is what the server
// said; any other error means that it did not.
func (s *authServer) redeemRefreshToken(ctx context.Context, refreshToken string) (*tokenAnswer, error) {
	status, header, body, err := s.auth.postPatiently(telemetry.WithOperation(ctx, telemetry.OperationToken), s.token, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refreshToken},
	})
	if err != nil {
		return nil, err
	}
	token, err := readTokens(status, body)
	if no, ok := errors.AsType[*tokenRefusal](err); ok {
		return nil, &refreshRefusalError{no, statedRetry(header, time.Now())}
	}
	if err != nil {
		return nil, err
	}
	token.Expiry = accessExpiry(token.Expiry, token.AccessToken)
	return token, nil
}

// refreshError sorts what the token endpoint said to a refresh token into the
// errors of session.Refresher.
func refreshError(log *zap.Logger, err error) error {
	no, ok := errors.AsType[*refreshRefusalError](err)
	switch {
	case !ok:
		return fmt.Errorf("token endpoint: %w", err)
	case no.outage() && no.after > 0:
		return &session.RetryError{After: no.after, Err: err}
	case no.outage():
		return err
	case endsGrant(no.Code):
		return fmt.Errorf("%w: %w", session.ErrGrantEnded, err)
	}
	// invalid_client and the like: the configuration here or there is wrong. Users
	// must not pay for that with their sessions.
	log.Error("the provider refuses to renew tokens for this gateway: check client_id, the client's secret, and what the provider allows the client", zap.Error(err))
	return err
}

// endsGrant knows the codes after which only the user can help, by signing in
// (RFC 6749, section 5.2; OpenID Connect Core, section 3.1.2.6, which some
// providers use at the token endpoint too; GitHub).
func endsGrant(code string) bool {
	switch code {
	case "invalid_grant", "interaction_required", "login_required", "consent_required", "bad_refresh_token":
		return true
	}
	return false
}

// endsSession returns the error that ends the session, where the provider has
// proven that this user may not sign in here any more: he is another, or has left
// those who may. It is nil for trouble that proves nothing.
func endsSession(err error) error {
	if errors.Is(err, session.ErrAnotherSubject) {
		return err
	}
	if no, ok := errors.AsType[*httperr.Error](err); ok && no.Code == http.StatusForbidden {
		return fmt.Errorf("%w: %w", session.ErrGrantEnded, err)
	}
	return nil
}

func sameUser(a, b *identity.Identity) bool { return a.Issuer == b.Issuer && a.Subject == b.Subject }

// refreshed is what a refresh hands over: what the answer leaves out stays as it
// is. A nil identity does too.
func refreshed(provider string, old *providerTokens, token *tokenAnswer, who *identity.Identity) (*session.Refreshed, error) {
	fresh := *old
	fresh.AccessToken, fresh.Expiry = token.AccessToken, token.Expiry
	if token.RefreshToken != "" {
		fresh.RefreshToken = token.RefreshToken
	}
	if token.IDToken != "" {
		fresh.IDToken = token.IDToken
	}
	tokens, err := json.Marshal(fresh) //nolint:gosec // the Manager seals it
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", provider, err)
	}
	return &session.Refreshed{Tokens: tokens, Identity: who, AccessExpires: fresh.Expiry, Renewable: true}, nil
}

// statedRetry reads Retry-After, in seconds or as a date (RFC 9110, section
// 10.2.3); 0 when it says nothing.
func statedRetry(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}
