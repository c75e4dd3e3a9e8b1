package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// redeem exchanges the code and proves the ID token, in numbered steps.
func (o *oidc) redeem(ctx context.Context, a *attempt, code string) (*session.SignIn, error) {
	found := o.current.Load()
	if found == nil {
		return nil, providerOutage(o.ready())
	}
	// 1. Exchange the code, with the verifier that only this attempt has.
	token, err := found.srv.exchange(ctx, a, code)
	if err != nil {
		return nil, err
	}
	// 2. Prove the ID token. The access token proves nothing about who signed in.
	claims, err := o.proveIDToken(ctx, found, token.IDToken, a.idNonce, token.AccessToken)
	if err != nil {
		return nil, err
	}
	// 3. Ask for what the ID token does not say, of the same subject.
	extra, err := o.userinfo(ctx, found, claims, token.AccessToken)
	if err != nil {
		return nil, err
	}
	id, err := o.identity(claims, extra)
	if err != nil {
		return nil, err
	}
	// 4. Hand over.
	in, err := signInWith(token, o.cfg.Name, id)
	if err != nil {
		return nil, err
	}
	in.ProviderSession = claims.String("sid")
	return in, nil
}

// signInWith is the sign-in of a user at a provider, with the tokens that it gave.
func signInWith(t *tokenAnswer, provider string, id *identity.Identity) (*session.SignIn, error) {
	kept, err := json.Marshal(providerTokens{ //nolint:gosec // the Manager seals it
		AccessToken: t.AccessToken, RefreshToken: t.RefreshToken, IDToken: t.IDToken, Expiry: t.Expiry,
	})
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", provider, err)
	}
	return &session.SignIn{
		Identity: id, Provider: provider, Tokens: kept, AccessExpires: t.Expiry, Renewable: t.RefreshToken != "",
	}, nil
}

// providerTokens is what a session keeps of the token response, sealed.
type providerTokens struct {
	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token,omitempty"`
	IDToken      string    `json:"id_token,omitempty"` // of an OpenID provider
	Expiry       time.Time `json:"expiry,omitzero"`
}

// exchange redeems the code (RFC 6749, section 4.1.3). Errors are *httperr.Error.
func (s *authServer) exchange(ctx context.Context, a *attempt, code string) (*tokenAnswer, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.redirect}, "code_verifier": {a.verifier},
	}
	if s.wantsState {
		form.Set("state", a.state)
	}
	status, body, err := s.auth.post(telemetry.WithOperation(ctx, telemetry.OperationToken), s.token, form)
	if err != nil {
		return nil, exchangeError(err)
	}
	token, err := readTokens(status, body)
	if err != nil {
		return nil, exchangeError(err)
	}
	token.Expiry = accessExpiry(token.Expiry, token.AccessToken)
	return token, nil
}

// proveIDToken is OpenID Connect Core, section 3.1.3.7.
func (o *oidc) proveIDToken(ctx context.Context, found *discovered, raw, nonce, accessToken string) (*jose.Claims, error) {
	if raw == "" {
		return nil, badIDToken(errors.New("the token response has none"))
	}
	return o.proveToken(ctx, found, raw, func(rules *jose.Rules, t *jose.Token, c *jose.Claims) error {
		return rules.JudgeID(t, c, time.Now(), nonce, accessToken)
	})
}

// proveToken proves that a token is the provider's, and lets judge decide the rest.
func (o *oidc) proveToken(ctx context.Context, found *discovered, raw string, judge func(*jose.Rules, *jose.Token, *jose.Claims) error) (*jose.Claims, error) {
	token, err := jose.ParseID(raw)
	if err != nil {
		return nil, badIDToken(err)
	}
	claims, rules, err := o.verify(ctx, found, token, badIDToken)
	if err != nil {
		return nil, err
	}
	if err := judge(rules, token, claims); err != nil {
		return nil, badIDToken(err)
	}
	if o.dialect.accept != nil {
		if err := o.dialect.accept(claims); err != nil {
			return nil, err
		}
	}
	return claims, nil
}

// verify proves by whom a token was signed, and returns the rules by which its claims
// are to be judged. bad makes the answer to one that is not the provider's; a key
// that can't be had is an outage. An unknown key makes the same fetch, under the
// same limit, whatever the token is for.
func (o *oidc) verify(ctx context.Context, found *discovered, token *jose.Token, bad func(error) error) (*jose.Claims, *jose.Rules, error) {
	if err := found.rules.JudgeAlgorithm(token); err != nil {
		return nil, nil, bad(err)
	}
	key, err := found.keys.Key(ctx, token.Header.KeyID, token.Header.Algorithm)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey):
		return nil, nil, bad(err)
	case err != nil:
		return nil, nil, providerOutage(err)
	}
	claims, err := token.Verify(key)
	if err != nil {
		return nil, nil, bad(err)
	}
	rules := found.rules
	if o.dialect.issuerOf != nil && o.dialect.issuerOf(claims.Issuer) {
		rules.Issuer = claims.Issuer
	}
	return claims, &rules, nil
}

func badIDToken(err error) error {
	return badRequest(ReasonInvalidIDToken, "The sign-in service sent a proof that does not hold. Start again.", fmt.Errorf("ID token: %w", err))
}

// userinfo asks the userinfo endpoint where the ID token names neither an
// address nor groups. Its answer counts only if it is about the same subject
// (OpenID Connect Core, section 5.3.2).
func (o *oidc) userinfo(ctx context.Context, found *discovered, claims *jose.Claims, accessToken string) (map[string]any, error) {
	_, hasEmail := claims.Lookup(o.cfg.EmailClaim)
	_, hasGroups := claims.Lookup(o.cfg.GroupsClaim)
	enough := hasEmail || hasGroups
	if o.dialect.lacking != nil {
		enough = !o.dialect.lacking(claims)
	}
	if found.meta.UserinfoEndpoint == "" || enough {
		return nil, nil
	}
	answer, err := askUserinfo(found.meta.Context(ctx), o.client, found.meta.UserinfoEndpoint, accessToken)
	if err != nil {
		return nil, err
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
// the userinfo answer. Errors are *httperr.Error.
func (o *oidc) identity(claims *jose.Claims, extra map[string]any) (*identity.Identity, error) {
	merged := make(map[string]any, len(claims.Raw)+len(extra))
	for _, source := range []map[string]any{extra, claims.Raw} {
		for name, value := range source {
			if !isProtocolClaim(name) {
				merged[name] = value
			}
		}
	}
	if distributed(&jose.Claims{Raw: merged}, o.cfg.GroupsClaim) {
		return nil, groupsIncomplete(errors.New("the groups are in another place"))
	}
	if o.dialect.refine != nil {
		o.dialect.refine(merged)
	}
	id := &identity.Identity{
		Issuer:   claims.Issuer,
		Subject:  claims.Subject,
		AMR:      claims.Strings("amr"),
		ACR:      claims.String("acr"),
		AuthTime: claims.AuthTime,
	}
	if name := o.cfg.SubjectClaim; name != "" && name != "sub" {
		v, _ := (&jose.Claims{Raw: merged}).Lookup(name)
		if id.Subject = subjectText(v); id.Subject == "" {
			return nil, badIDToken(fmt.Errorf("it has no %s, which is to name the subject", name))
		}
	}
	mapUser(id, &o.cfg, merged)
	return id, nil
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
