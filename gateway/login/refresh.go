package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/session"
)

// refresher is a provider that can renew the tokens that it gave. Errors are
// those of session.Refresher.
type refresher interface {
	provider
	refresh(ctx context.Context, old *providerTokens, who *identity.Identity) (*session.Refreshed, error)
}

var _ session.Refresher = (*Service)(nil)

// Refresh implements session.Refresher.
func (s *Service) Refresh(ctx context.Context, name string, tokens []byte, who *identity.Identity) (*session.Refreshed, error) {
	p, ok := s.provider(name).(refresher)
	if !ok {
		// Another gateway, with a configuration of a minute ago, may know it.
		return nil, errors.New("login: no provider is configured that could renew the tokens of this session")
	}
	old, err := readProviderTokens(tokens)
	if err != nil {
		return nil, err
	}
	if old.RefreshToken == "" {
		return nil, session.ErrGrantEnded
	}
	return p.refresh(ctx, old, who)
}

// AccessToken implements session.Refresher. A token that no header could carry is
// an error (RFC 6749, appendix A.12; RFC 6750, section 2.1).
func (s *Service) AccessToken(tokens []byte) (token string, expires time.Time, err error) {
	all, err := readProviderTokens(tokens)
	if err != nil {
		return "", time.Time{}, err
	}
	if !sendable(all.AccessToken) {
		return "", time.Time{}, errors.New("login: the access token holds characters that no header can carry")
	}
	return all.AccessToken, all.Expiry, nil
}

// IDToken implements session.Refresher. What is kept was proven before.
func (s *Service) IDToken(tokens []byte) (string, error) {
	all, err := readProviderTokens(tokens)
	if err != nil {
		return "", err
	}
	if !sendable(all.IDToken) {
		return "", errors.New("login: the ID token holds characters that no header can carry")
	}
	return all.IDToken, nil
}

func sendable(token string) bool {
	return !strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' })
}

func readProviderTokens(tokens []byte) (*providerTokens, error) {
	all := new(providerTokens)
	if err := json.Unmarshal(tokens, all); err != nil {
		return nil, errors.New("login: the tokens of the session can't be read") // the error would quote them
	}
	return all, nil
}

// accessExpiry is when an access token expires: as the answer says, else as the
// token says, if it is one that can be read. It says when to renew, and proves
// nothing.
func accessExpiry(stated time.Time, token string) time.Time {
	if !stated.IsZero() {
		return stated
	}
	claims, err := unprovenClaims(token)
	if err != nil {
		return time.Time{}
	}
	return claims.Expires
}

// unprovenClaims reads a token whose signature does not matter, because nothing
// is believed that it says, or because it was proven before it was kept.
func unprovenClaims(token string) (*jose.Claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("login: not a token in three parts")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("login: the payload of a token: %w", err)
	}
	object, err := jose.DecodeObject(payload)
	if err != nil {
		return nil, err
	}
	return jose.ObjectClaims(object)
}
