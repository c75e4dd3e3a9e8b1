package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/session"
)

// redeem exchanges the code and proves the ID token, in numbered steps.
func (o *oidc) redeem(ctx context.Context, a *attempt, code string) (*session.SignIn, error) {
	found := o.current.Load()
	if found == nil {
		return nil, providerOutage(o.ready())
	}
	// 1. Exchange the code, with the verifier that only this attempt has.
	token, err := o.exchange(ctx, found, a, code)
	if err != nil {
		return nil, err
	}
	// 2. Prove the ID token. The access token proves nothing about who signed in.
	raw, _ := token.Extra("id_token").(string)
	claims, err := o.proveIDToken(ctx, found, raw, a.idNonce, token.AccessToken)
	if err != nil {
		return nil, err
	}
	// 3. Ask for what the ID token does not say, of the same subject.
	extra, err := o.userinfo(ctx, found, claims, token)
	if err != nil {
		return nil, err
	}
	// 4. Hand over.
	expires := accessExpiry(token.Expiry, token.AccessToken)
	kept, err := json.Marshal(providerTokens{ //nolint:gosec // the Manager seals it
		AccessToken: token.AccessToken, RefreshToken: token.RefreshToken, IDToken: raw, Expiry: expires,
	})
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", o.cfg.Name, err)
	}
	return &session.SignIn{
		Identity:        o.identity(claims, extra),
		Provider:        o.cfg.Name,
		ProviderSession: claims.String("sid"),
		Tokens:          kept,
		AccessExpires:   expires,
		Renewable:       token.RefreshToken != "",
	}, nil
}

// providerTokens is what a session keeps of the token response, sealed.
type providerTokens struct {
	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token,omitempty"`
	IDToken      string    `json:"id_token"`
	Expiry       time.Time `json:"expiry,omitzero"`
}

func (o *oidc) exchange(ctx context.Context, found *discovered, a *attempt, code string) (*oauth2.Token, error) {
	secret, err := config.ReadSecret(o.cfg.ClientSecret, o.cfg.ClientSecretFile)
	if err != nil && !errors.Is(err, config.ErrNoSecret) {
		return nil, providerOutage(err)
	}
	client := o.oauth2(found, a.redirect)
	client.ClientSecret = secret.Reveal()
	ctx = context.WithValue(found.meta.Context(ctx), oauth2.HTTPClient, o.client)
	token, err := client.Exchange(ctx, code, oauth2.VerifierOption(a.verifier))
	if err != nil {
		return nil, exchangeError(err)
	}
	if !strings.EqualFold(token.Type(), "Bearer") {
		return nil, badRequest(ReasonProviderError, "The sign-in service sent an answer that makes no sense. Start again.", errors.New("token_type is not Bearer"))
	}
	return token, nil
}

// exchangeError sorts what the token endpoint said. Its body is not kept: it may
// quote the request, and so the secret.
func exchangeError(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok || refused.Response == nil:
		return providerOutage(fmt.Errorf("token endpoint: %w", err))
	case refused.ErrorCode == "invalid_grant":
		return badRequest(ReasonInvalidGrant, "This sign-in was used up or took too long. Start it again.", errors.New("token endpoint: invalid_grant"))
	case refused.Response.StatusCode >= http.StatusInternalServerError, refused.Response.StatusCode == http.StatusTooManyRequests:
		return providerOutage(fmt.Errorf("token endpoint: status %d", refused.Response.StatusCode))
	}
	// invalid_client and the like: the configuration here or there is wrong.
	return badRequest(ReasonProviderError, "The sign-in service refused this site. Tell the people who run it.",
		fmt.Errorf("token endpoint: status %d, error %.40q", refused.Response.StatusCode, refused.ErrorCode))
}

// proveIDToken is OpenID Connect Core, section 3.1.3.7.
func (o *oidc) proveIDToken(ctx context.Context, found *discovered, raw, nonce, accessToken string) (*jose.Claims, error) {
	if raw == "" {
		return nil, badIDToken(errors.New("the token response has none"))
	}
	return o.proveToken(ctx, found, raw, func(t *jose.Token, c *jose.Claims) error {
		return found.rules.JudgeID(t, c, time.Now(), nonce, accessToken)
	})
}

// proveToken proves that a token is the provider's, and lets judge decide the rest.
func (o *oidc) proveToken(ctx context.Context, found *discovered, raw string, judge func(*jose.Token, *jose.Claims) error) (*jose.Claims, error) {
	token, err := jose.Parse(raw)
	if err != nil {
		return nil, badIDToken(err)
	}
	if err := found.rules.JudgeAlgorithm(token); err != nil {
		return nil, badIDToken(err)
	}
	key, err := found.keys.Key(ctx, token.Header.KeyID, token.Header.Algorithm)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey):
		return nil, badIDToken(err)
	case err != nil:
		return nil, providerOutage(err)
	}
	claims, err := token.Verify(key)
	if err != nil {
		return nil, badIDToken(err)
	}
	if err := judge(token, claims); err != nil {
		return nil, badIDToken(err)
	}
	return claims, nil
}

func badIDToken(err error) error {
	return badRequest(ReasonInvalidIDToken, "The sign-in service sent a proof that does not hold. Start again.", fmt.Errorf("ID token: %w", err))
}

// userinfo asks the userinfo endpoint where the ID token names neither an
// address nor groups. Its answer counts only if it is about the same subject
// (OpenID Connect Core, section 5.3.2).
func (o *oidc) userinfo(ctx context.Context, found *discovered, claims *jose.Claims, token *oauth2.Token) (map[string]any, error) {
	_, hasEmail := claims.Lookup("email")
	hasGroups := false
	if o.cfg.GroupsClaim != "" {
		_, hasGroups = claims.Lookup(o.cfg.GroupsClaim)
	}
	if found.meta.UserinfoEndpoint == "" || hasEmail || hasGroups {
		return nil, nil
	}
	req, err := http.NewRequestWithContext(found.meta.Context(ctx), http.MethodGet, found.meta.UserinfoEndpoint, http.NoBody) //nolint:gosec // jwks.Discover and the client judge the address
	if err != nil {
		return nil, providerOutage(err)
	}
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	req.Header.Set("Accept", "application/json")
	resp, err := o.client.Do(req) //nolint:gosec // as above
	if err != nil {
		return nil, providerOutage(fmt.Errorf("userinfo endpoint: %w", err))
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode >= http.StatusInternalServerError, resp.StatusCode == http.StatusTooManyRequests:
		return nil, providerOutage(fmt.Errorf("userinfo endpoint: status %d", resp.StatusCode))
	case resp.StatusCode != http.StatusOK:
		return nil, badUserinfo(fmt.Errorf("status %d", resp.StatusCode))
	}
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, badUserinfo(fmt.Errorf("content type %.60q", media))
	}
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, badUserinfo(errors.New("not a JSON object"))
	}
	if subject, _ := answer["sub"].(string); subject == "" || subject != claims.Subject {
		return nil, badUserinfo(errors.New("about another subject"))
	}
	return answer, nil
}

func badUserinfo(err error) error {
	return badRequest(ReasonInvalidUserinfo, "The sign-in service sent an answer that does not hold. Start again.", fmt.Errorf("userinfo: %w", err))
}

// identity maps proven claims to an identity. What the ID token says outranks
// the userinfo answer.
func (o *oidc) identity(claims *jose.Claims, extra map[string]any) *identity.Identity {
	merged := make(map[string]any, len(claims.Raw)+len(extra))
	for _, source := range []map[string]any{extra, claims.Raw} {
		for name, value := range source {
			if !isProtocolClaim(name) {
				merged[name] = value
			}
		}
	}
	all := &jose.Claims{Raw: merged}
	email := all.String("email")
	verified, _ := merged["email_verified"].(bool)
	id := &identity.Identity{
		Issuer:            claims.Issuer,
		Subject:           claims.Subject,
		Email:             email,
		EmailVerified:     email != "" && (verified || o.cfg.TrustEmail),
		Name:              all.String("name"),
		PreferredUsername: all.String("preferred_username"),
		AMR:               claims.Strings("amr"),
		ACR:               claims.String("acr"),
		Method:            o.cfg.Name,
		AuthTime:          claims.AuthTime,
		Claims:            identity.MapClaims(merged),
	}
	if o.cfg.GroupsClaim != "" {
		id.Groups = all.Strings(o.cfg.GroupsClaim)
	}
	return id
}

// isProtocolClaim tells what is about the token rather than about the user.
func isProtocolClaim(name string) bool {
	switch name {
	case "iss", "sub", "aud", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "s_hash",
		"azp", "jti", "auth_time", "sid", "amr", "acr":
		return true
	}
	return false
}
