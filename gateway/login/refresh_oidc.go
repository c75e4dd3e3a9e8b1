package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/session"
)

var _ refresher = (*oidc)(nil)

// refresh is OpenID Connect Core, section 12, in numbered steps. Once the refresh
// token is redeemed, trouble with the rest costs the news about the user alone:
// the new tokens must be kept, because the old ones may be worth nothing now.
func (o *oidc) refresh(ctx context.Context, old *providerTokens, who *identity.Identity) (*session.Refreshed, error) {
	found := o.current.Load()
	if found == nil {
		return nil, providerOutage(o.ready())
	}
	// 1. Redeem the refresh token.
	token, err := o.redeemRefreshToken(ctx, found, old.RefreshToken)
	if err != nil {
		return nil, o.refreshError(err)
	}
	fresh := *old // what the answer leaves out stays as it is
	fresh.AccessToken, fresh.Expiry = token.AccessToken, accessExpiry(token.Expiry, token.AccessToken)
	if token.RefreshToken != "" {
		fresh.RefreshToken = token.RefreshToken
	}
	// 2. Prove what it says about the user.
	out := &session.Refreshed{AccessExpires: fresh.Expiry, Renewable: true}
	if raw, _ := token.Extra("id_token").(string); raw != "" {
		out.Identity, err = o.refreshedIdentity(ctx, found, raw, old, token, who)
		switch {
		case errors.Is(err, session.ErrAnotherSubject):
			return nil, err
		case err != nil:
			o.log.Warn("the tokens were renewed, and what the provider said about the user was left aside", zap.Error(err))
		default:
			fresh.IDToken = raw
		}
	}
	// 3. Hand over.
	if out.Tokens, err = json.Marshal(fresh); err != nil { //nolint:gosec // the Manager seals it
		return nil, fmt.Errorf("provider %s: %w", o.cfg.Name, err)
	}
	return out, nil
}

// refreshedIdentity proves a refreshed ID token and maps it as the sign-in did.
// How and when the user proved himself is what it was then: a refresh is no
// authentication.
func (o *oidc) refreshedIdentity(ctx context.Context, found *discovered, raw string, old *providerTokens, token *oauth2.Token, who *identity.Identity) (*identity.Identity, error) {
	// The nonce of the sign-in is in the ID token that was proven then.
	nonce := ""
	if before, err := unprovenClaims(old.IDToken); err == nil {
		nonce = before.String("nonce")
	}
	claims, err := o.proveToken(ctx, found, raw, func(t *jose.Token, c *jose.Claims) error {
		return found.rules.JudgeRefreshedID(t, c, time.Now(), nonce, token.AccessToken)
	})
	if err != nil {
		return nil, err
	}
	if alone := o.identity(claims, nil); alone.Issuer != who.Issuer || alone.Subject != who.Subject {
		return nil, session.ErrAnotherSubject
	}
	extra, err := o.userinfo(ctx, found, claims, token)
	if err != nil {
		return nil, err
	}
	fresh := o.identity(claims, extra)
	fresh.AuthTime, fresh.ACR, fresh.AMR = who.AuthTime, who.ACR, who.AMR
	return fresh, nil
}

// redeemRefreshToken is RFC 6749, section 6. Errors are *oauth2.RetrieveError
// where the provider has answered.
func (o *oidc) redeemRefreshToken(ctx context.Context, found *discovered, refreshToken string) (*oauth2.Token, error) {
	secret, err := config.ReadSecret(o.cfg.ClientSecret, o.cfg.ClientSecretFile)
	if err != nil && !errors.Is(err, config.ErrNoSecret) {
		return nil, err
	}
	client := o.oauth2(found, "")
	client.ClientSecret = secret.Reveal()
	patient := *o.client
	patient.Timeout = 0 // nobody waits: ctx bounds it
	ctx = context.WithValue(found.meta.Context(ctx), oauth2.HTTPClient, &patient)
	token, err := client.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken}).Token()
	if err == nil && !strings.EqualFold(token.Type(), "Bearer") {
		return nil, errors.New("token endpoint: token_type is not Bearer")
	}
	return token, err
}

// refreshError sorts what the token endpoint said to a refresh token. Its body is
// not kept: it may quote the request.
func (o *oidc) refreshError(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || refused.Response == nil {
		return fmt.Errorf("token endpoint: %w", err)
	}
	status := refused.Response.StatusCode
	said := fmt.Errorf("token endpoint: status %d, error %.40q", status, refused.ErrorCode)
	switch {
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		if after, ok := statedRetry(refused.Response.Header, time.Now()); ok {
			return &session.RetryError{After: after, Err: said}
		}
		return said
	case endsGrant(refused.ErrorCode):
		return fmt.Errorf("%w: %w", session.ErrGrantEnded, said)
	}
	// invalid_client and the like: the configuration here or there is wrong. Users
	// must not pay for that with their sessions.
	o.log.Error("the provider refuses to renew tokens for this gateway: check client_id, the client's secret, and what the provider allows the client", zap.Error(said))
	return said
}

// endsGrant knows the codes after which only the user can help, by signing in
// (RFC 6749, section 5.2; OpenID Connect Core, section 3.1.2.6, which some
// providers use at the token endpoint too).
func endsGrant(code string) bool {
	switch code {
	case "invalid_grant", "interaction_required", "login_required", "consent_required":
		return true
	}
	return false
}

// statedRetry reads Retry-After, in seconds or as a date (RFC 9110, section
// 10.2.3).
func statedRetry(h http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return max(0, at.Sub(now)), true
}
