package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
)

// Bearer accepts JWT access tokens (RFC 6750, RFC 7519, RFC 9068) of a closed
// list of issuers. The token names its issuer; the issuer's configuration names
// the keys and algorithms that may prove it; nothing else in the token is
// believed before its signature holds (RFC 8725).
type Bearer struct{ issuers []Issuer }

var _ Authenticator = (*Bearer)(nil)

// Issuer is whose tokens are accepted, by which keys, under which rules.
type Issuer struct {
	Keys        KeySource
	Rules       jose.Rules // Issuer, Audiences and Algorithms are never empty
	GroupsClaim string
	TrustEmail  bool // take email as verified though the token does not say so
}

// KeySource knows the keys of one issuer. *jwks.Source is one.
//
// Key returns the key for a token's kid and alg, jwks.ErrUnknownKey where the
// token must be refused, and any other error where that can't be said now.
// Generation changes whenever a key may have gone.
type KeySource interface {
	Key(ctx context.Context, kid, alg string) (*jose.Key, error)
	Generation() uint64
}

// NewBearer makes the authenticator. The order of issuers does not matter:
// their names are unique.
func NewBearer(issuers []Issuer) *Bearer { return &Bearer{issuers: issuers} }

// Kind implements Authenticator.
func (*Bearer) Kind() Kind { return KindBearer }

// Extract implements Authenticator. Only the Authorization header counts, never
// the query or a form (RFC 9700, section 4.3.2), and only a token of three
// parts: any other is not a JWT and some other kind's to judge.
func (*Bearer) Extract(r *http.Request) (Credential, error) {
	value, ok := bearerToken(r.Header)
	if !ok || strings.Count(value, ".") != 2 {
		return Credential{}, ErrNoCredential
	}
	return Credential{Kind: KindBearer, Value: Secret(value), Bytes: len("Authorization: Bearer ") + len(value)}, nil
}

func bearerToken(h http.Header) (string, bool) {
	values := h["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	return cutScheme(values[0], "Bearer")
}

// Authenticate implements Authenticator.
func (b *Bearer) Authenticate(ctx context.Context, c Credential) (*identity.Identity, error) {
	token, err := jose.Parse(string(c.Value))
	if err != nil {
		return nil, refusal(err)
	}
	name, err := token.UnverifiedIssuer()
	if err != nil {
		return nil, refusal(err)
	}
	issuer := b.issuer(name)
	if issuer == nil {
		return nil, &Refusal{Reason: ReasonUnknownIssuer}
	}
	claims, err := issuer.prove(ctx, token)
	if err != nil {
		return nil, err
	}
	return issuer.identity(claims, sha256.Sum256([]byte(c.Value))), nil
}

// Strip implements Authenticator.
func (*Bearer) Strip(h http.Header) {
	if _, ok := bearerToken(h); ok {
		delete(h, "Authorization")
	}
}

func (b *Bearer) issuer(name string) *Issuer {
	for i := range b.issuers {
		if b.issuers[i].Rules.Issuer == name {
			return &b.issuers[i]
		}
	}
	return nil
}

// prove checks, in this order, the algorithm, the signature and the claims.
func (i *Issuer) prove(ctx context.Context, token *jose.Token) (*jose.Claims, error) {
	if err := i.Rules.JudgeAlgorithm(token); err != nil {
		return nil, refusal(err)
	}
	key, err := i.Keys.Key(ctx, token.Header.KeyID, token.Header.Algorithm)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey):
		return nil, &Refusal{Reason: string(jose.UnknownKey)}
	case err != nil:
		return nil, fmt.Errorf("keys of %s: %w", i.Rules.Issuer, err)
	}
	claims, err := token.Verify(key)
	if err != nil {
		return nil, refusal(err)
	}
	if err := i.Rules.JudgeAccess(token, claims, time.Now()); err != nil {
		return nil, refusal(err)
	}
	return claims, nil
}

// identity maps verified claims to an identity.
func (i *Issuer) identity(c *jose.Claims, ref identity.Ref) *identity.Identity {
	verified, _ := c.Raw["email_verified"].(bool)
	return &identity.Identity{
		Issuer:            c.Issuer,
		Subject:           c.Subject,
		Email:             c.String("email"),
		EmailVerified:     verified || i.TrustEmail,
		Name:              c.String("name"),
		PreferredUsername: c.String("preferred_username"),
		Groups:            c.Strings(i.GroupsClaim),
		AMR:               c.Strings("amr"),
		ACR:               c.String("acr"),
		Method:            string(KindBearer),
		AuthTime:          c.AuthTime,
		ExpiresAt:         c.Expires,
		Claims:            identity.MapClaims(c.Raw),
		Ref:               ref,
	}
}

// refusal turns what jose found wrong into a Refusal. jose has no other errors
// than those about the token, so anything else is a refusal too: closed.
func refusal(err error) *Refusal {
	if bad, ok := errors.AsType[*jose.Invalid](err); ok {
		return &Refusal{Reason: string(bad.Reason), Err: bad.Err}
	}
	return &Refusal{Reason: string(jose.MalformedToken), Err: err}
}
