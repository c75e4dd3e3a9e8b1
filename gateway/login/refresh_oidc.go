package login

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/session"
)

var _ refresher = (*oidc)(nil)

// refresh is OpenID Connect Core, section 12, in numbered steps.
func (o *oidc) refresh(ctx context.Context, old *providerTokens, who *identity.Identity) (*session.Refreshed, error) {
	found := o.current.Load()
	if found == nil {
		return nil, providerOutage(o.ready())
	}
	// 1. Redeem the refresh token.
	token, err := found.srv.redeemRefreshToken(ctx, old.RefreshToken)
	if err != nil {
		return nil, refreshError(o.log, err)
	}
	if token.IDToken == "" {
		return refreshed(o.cfg.Name, old, token, nil)
	}
	// 2. Prove what it says about the user.
	fresh, err := o.refreshedIdentity(ctx, found, old, token, who)
	if err != nil {
		if end := endsSession(err); end != nil {
			return nil, end
		}
		o.log.Warn(leftAside, zap.Error(err))
		token.IDToken = ""
	}
	// 3. Hand over.
	return refreshed(o.cfg.Name, old, token, fresh)
}

// refreshedIdentity proves a refreshed ID token and maps it as the sign-in did.
// How and when the user proved himself is what it was then: a refresh is no
// authentication.
func (o *oidc) refreshedIdentity(ctx context.Context, found *discovered, old *providerTokens, token *tokenAnswer, who *identity.Identity) (*identity.Identity, error) {
	// The nonce of the sign-in is in the ID token that was proven then.
	nonce := ""
	if before, err := unprovenClaims(old.IDToken); err == nil {
		nonce = before.String("nonce")
	}
	claims, err := o.proveToken(ctx, found, token.IDToken, func(rules *jose.Rules, t *jose.Token, c *jose.Claims) error {
		return rules.JudgeRefreshedID(t, c, time.Now(), nonce, token.AccessToken)
	})
	if err != nil {
		return nil, err
	}
	// What is asked next may not be answered; another user is another all the same.
	if alone, err := o.identity(claims, nil); err == nil && !sameUser(alone, who) {
		return nil, session.ErrAnotherSubject
	}
	extra, err := o.userinfo(ctx, found, claims, token.AccessToken)
	if err != nil {
		return nil, err
	}
	fresh, err := o.identity(claims, extra)
	if err != nil {
		return nil, err
	}
	if !sameUser(fresh, who) {
		return nil, session.ErrAnotherSubject
	}
	fresh.AuthTime, fresh.ACR, fresh.AMR = who.AuthTime, who.ACR, who.AMR
	return fresh, nil
}
