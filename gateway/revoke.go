package gateway

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// tokenRevoker is the admin API's view of the revocations.
type tokenRevoker struct {
	list    *authn.Revocations
	issuers []config.TokenIssuer
	audit   *telemetry.Trail
}

var _ admin.TokenRevoker = (*tokenRevoker)(nil)

// RevokeTokens implements admin.TokenRevoker.
func (t *tokenRevoker) RevokeTokens(ctx context.Context, v admin.TokenRevocation) (admin.TokenRevocation, error) {
	if v.ExpiresAt.IsZero() {
		v.ExpiresAt = t.forget(v.Issuer, time.Now())
	}
	err := t.list.Revoke(ctx, authn.Revocation{
		Issuer: v.Issuer, ID: v.ID, Subject: v.Subject, IssuedBefore: v.IssuedBefore, ExpiresAt: v.ExpiresAt,
	})
	if err != nil {
		return admin.TokenRevocation{}, err
	}
	t.audit.Record(&telemetry.Audit{Event: "revoke_tokens", Outcome: "ok", Issuer: v.Issuer, Subject: v.Subject, Token: v.ID})
	return v, nil
}

// forget returns when nothing that is revoked now can be valid any more: known
// only where the issuers that it concerns have a longest lifetime.
func (t *tokenRevoker) forget(issuer string, now time.Time) time.Time {
	var longest time.Duration
	for _, one := range t.issuers {
		if issuer != "" && issuer != one.Issuer {
			continue
		}
		if one.MaxLifetime <= 0 {
			return time.Time{}
		}
		longest = max(longest, one.MaxLifetime+2*one.Leeway)
	}
	if longest == 0 {
		return time.Time{}
	}
	return now.Add(longest)
}

// TokenRevocations implements admin.TokenRevoker.
func (t *tokenRevoker) TokenRevocations() []admin.TokenRevocation {
	known := t.list.List()
	list := make([]admin.TokenRevocation, len(known))
	for i, v := range known {
		list[i] = admin.TokenRevocation{
			Issuer: v.Issuer, ID: v.ID, Subject: v.Subject, IssuedBefore: v.IssuedBefore, ExpiresAt: v.ExpiresAt,
		}
	}
	return list
}
