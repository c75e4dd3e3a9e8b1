package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// actMintToken is an act of operators in audit lines.
const actMintToken = "mint_token"

// api returns the operators' endpoints of minting.
func (s *signing) api(audit *telemetry.Trail) []admin.Endpoint {
	if !s.cfg.Development() {
		return admin.Mint(nil)
	}
	return admin.Mint(func(r *http.Request, m *admin.MintRequest, lifetime time.Duration) (admin.Minted, error) {
		minted, err := s.mint(m, lifetime)
		line := admin.ActOf(r, "admin", err)
		line.Reason, line.Subject = actMintToken, m.Subject
		audit.Record(line)
		return minted, err
	})
}

func (s *signing) list() admin.AllKeys {
	keys, at, err := s.ring.Keys()
	list := admin.AllKeys{Keys: make([]admin.SigningKey, len(keys)), SwitchesAt: wireTime(at)}
	if e, ok := errors.AsType[*httperr.Error](ringError(err)); ok {
		list.Trouble = e.Public
	}
	for i, k := range keys {
		list.Keys[i] = admin.SigningKey{
			ID: k.ID, Algorithm: k.Algorithm, State: string(k.State), PublishedAt: wireTime(k.Published), Until: wireTime(k.Until),
		}
	}
	return list
}

// wireTime is whole seconds of UTC; the zero time is null.
func wireTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// ringError tells an operator what is in the way. Nil stays nil.
func ringError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, assertion.ErrFiles):
		return &httperr.Error{
			Code: http.StatusConflict, Reason: "keys_in_files",
			Public: "The signing keys are the files of assertions.keys_files: put a new key last on every gateway, five minutes later first.",
		}
	case errors.Is(err, assertion.ErrCrowded):
		return &httperr.Error{
			Code: http.StatusConflict, Reason: "too_many_keys",
			Public: "Too many keys were retired lately, and must stay published for a while: look at the list and try again later.",
		}
	case errors.Is(err, assertion.ErrUnopened):
		return &httperr.Error{
			Code: http.StatusServiceUnavailable, Reason: "unavailable", Err: err,
			Public: "The signing keys in the store were sealed with a key that this gateway does not have: " + unopenedFix + ".",
		}
	}
	return noKeys(err)
}

// mint makes a token about anybody, for development.
func (s *signing) mint(m *admin.MintRequest, lifetime time.Duration) (admin.Minted, error) {
	for name := range m.Claims {
		if assertion.Reserved(name) {
			return admin.Minted{}, &httperr.Error{
				Code: http.StatusBadRequest, Reason: "malformed_request", Public: fmt.Sprintf("The claim %.64q is not free to choose.", name),
			}
		}
	}
	audience := m.Audience
	if audience == "" {
		audience = ownAudiences(s.cfg)[0]
	}
	now := time.Now()
	id := &identity.Identity{
		Issuer: s.minter.Issuer(), Subject: m.Subject, Email: m.Email, EmailVerified: m.Email != "",
		Name: m.Name, PreferredUsername: m.PreferredUsername, Groups: m.Groups, AuthTime: now,
	}
	token, expires, err := s.minter.MintAccess(id, audience, lifetime, m.Claims, now)
	if err != nil {
		return admin.Minted{}, ringError(err)
	}
	return admin.Minted{
		AccessToken: token, TokenType: "Bearer", ExpiresIn: int(expires.Unix() - now.Unix()), ExpiresAt: expires.UTC(),
		Issuer: s.minter.Issuer(), Audience: audience,
	}, nil
}
