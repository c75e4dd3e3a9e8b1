package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
)

// Bearer accepts JWT access tokens (RFC 6750, RFC 7519, RFC 9068) of a closed
// list of issuers. The token names its issuer; the issuer's configuration names
// the keys and algorithms that may prove it; nothing else in the token is
// believed before its signature holds (RFC 8725).
//
// What was proven is remembered, so that a token costs its signature once. Its
// expiry, its issuer's keys, revocations, the possession of a key that it is
// bound to, and its audience for the route are judged on every request.
type Bearer struct {
	o         BearerOptions
	proven    *provenTokens
	audiences []string // that a route accepts; nil = any that the issuer's rules do
}

var _ Authenticator = (*Bearer)(nil)

// BearerOptions are what a Bearer needs.
type BearerOptions struct {
	// Issuers are in no particular order: their names are unique.
	Issuers []Issuer
	// CacheBytes bounds the memory for proven tokens; 0 proves each time.
	CacheBytes int64
	// Revocations are the tokens that were taken back; nil = none ever are.
	Revocations *Revocations
	// Looked is told, where CacheBytes is not 0, whether a token was remembered; may be nil.
	Looked func(remembered bool)
	// Possession judges proofs for tokens that are bound to a key.
	Possession Possession
}

// Issuer is whose tokens are accepted, by which keys, under which rules.
type Issuer struct {
	Keys       KeySource
	Rules      jose.Rules // Issuer, Audiences and Algorithms are never empty
	Mapping    config.ClaimMapping
	TrustEmail bool // take email as verified though the token does not say so
	// IssuerClaim names whoever proved the user, where that is not the issuer of
	// the token: the gateway's own tokens tell at whose sign-in they began, for a
	// subject is unique there alone. Empty = the issuer.
	IssuerClaim string
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

// NewBearer makes the authenticator.
func NewBearer(o BearerOptions) *Bearer {
	return &Bearer{o: o, proven: newProvenTokens(o.CacheBytes)}
}

// For returns an authenticator for a route that accepts tokens for one of these
// audiences alone. It shares what is proven with b. Without audiences it is b.
func (b *Bearer) For(audiences []string) *Bearer {
	if len(audiences) == 0 {
		return b
	}
	narrow := *b
	narrow.audiences = slices.Clone(audiences)
	return &narrow
}

// Kind implements Authenticator.
func (*Bearer) Kind() Kind { return KindBearer }

// Extract implements Authenticator. Only the Authorization header counts, never
// the query or a form (RFC 9700, section 4.3.2), and only a token of three
// parts: any other is not a JWT and some other kind's to judge.
func (b *Bearer) Extract(r *http.Request) (Credential, error) {
	value, scheme, ok := accessToken(r.Header)
	if !ok || strings.Count(value, ".") != 2 {
		return Credential{}, ErrNoCredential
	}
	return Credential{
		Kind: KindBearer, Value: Secret(value), Bytes: len("Authorization: ") + len(scheme) + 1 + len(value),
		Evidence: evidence(r, scheme),
	}, nil
}

// The schemes under which an access token is sent.
const (
	schemeBearer = "Bearer" // RFC 6750
	schemeDPoP   = "DPoP"   // RFC 9449, section 7.1
)

// accessToken returns the token of the Authorization header and its scheme.
func accessToken(h http.Header) (token, scheme string, ok bool) {
	values := h["Authorization"]
	if len(values) != 1 {
		return "", "", false
	}
	for _, scheme = range [...]string{schemeBearer, schemeDPoP} {
		if token, ok = cutScheme(values[0], scheme); ok {
			return token, scheme, true
		}
	}
	return "", "", false
}

// bearerToken returns the token of an Authorization header with that scheme.
func bearerToken(h http.Header) (string, bool) {
	token, scheme, ok := accessToken(h)
	return token, ok && scheme == schemeBearer
}

// Authenticate implements Authenticator.
func (b *Bearer) Authenticate(ctx context.Context, c Credential) (*identity.Identity, error) {
	now := time.Now()
	// 1. It was proven before and nothing has changed since, or is proven now.
	p, ok := b.proven.get(string(c.Value), now)
	if b.proven != nil && b.o.Looked != nil {
		b.o.Looked(ok)
	}
	if !ok {
		var err error
		if p, err = b.prove(ctx, string(c.Value), now); err != nil {
			return nil, err
		}
		b.proven.put(string(c.Value), p)
	}
	// 2. Nobody has taken it back.
	if err := b.o.Revocations.judge(ctx, p.facts, now); err != nil {
		return nil, err
	}
	// 3. Who sends it has the key that it is bound to.
	if err := b.o.Possession.judge(ctx, p.confirmation, c.Value, c.Evidence, now); err != nil {
		return nil, err
	}
	// 4. It is for this route.
	if b.audiences != nil && !slices.ContainsFunc(p.audience, func(aud string) bool { return slices.Contains(b.audiences, aud) }) {
		return nil, &Refusal{Reason: string(jose.WrongAudience), Err: errors.New("for another route")}
	}
	return p.id, nil
}

// Strip implements Authenticator.
func (*Bearer) Strip(h http.Header) {
	if _, _, ok := accessToken(h); ok {
		delete(h, "Authorization")
		delete(h, dpopHeader)
	}
}

func (b *Bearer) issuer(name string) *Issuer {
	for i := range b.o.Issuers {
		if b.o.Issuers[i].Rules.Issuer == name {
			return &b.o.Issuers[i]
		}
	}
	return nil
}

// prove judges everything that stays as it is for as long as the token lives
// and the keys do not change.
func (b *Bearer) prove(ctx context.Context, raw string, now time.Time) (*provenToken, error) {
	token, err := jose.Parse(raw)
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
	// Read first: should the keys change meanwhile, the token is proven again.
	generation := issuer.Keys.Generation()
	claims, err := issuer.prove(ctx, token, now)
	if err != nil {
		return nil, err
	}
	confirmation, err := claims.Confirmation()
	if err != nil {
		return nil, refusal(err)
	}
	id := mapClaims(issuer.Mapping, claims)
	id.Issuer, id.EmailVerified = claims.Issuer, id.EmailVerified || issuer.TrustEmail
	if issuer.IssuerClaim != "" {
		if id.Issuer = claims.String(issuer.IssuerClaim); id.Issuer == "" {
			return nil, &Refusal{Reason: string(jose.MissingClaim), Err: errors.New(issuer.IssuerClaim)}
		}
	}
	id.Method = string(KindBearer)
	id.Ref = sha256.Sum256([]byte(raw))
	id.Memo = new(identity.Memo)
	return &provenToken{
		id: id, confirmation: confirmation, audience: claims.Audience,
		facts: factsOf(claims, id.Subject),
		until: claims.Expires.Add(max(issuer.Rules.Leeway, 0)),
		keys:  issuer.Keys, generation: generation,
	}, nil
}

// prove checks, in this order, the algorithm, the signature and the claims.
func (i *Issuer) prove(ctx context.Context, token *jose.Token, now time.Time) (*jose.Claims, error) {
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
	if err := i.Rules.JudgeAccess(token, claims, now); err != nil {
		return nil, refusal(err)
	}
	return claims, nil
}

// refusal turns what jose found wrong into a Refusal. jose has no other errors
// than those about the token, so anything else is a refusal too: closed.
func refusal(err error) *Refusal {
	if bad, ok := errors.AsType[*jose.Invalid](err); ok {
		return &Refusal{Reason: string(bad.Reason), Err: bad.Err}
	}
	return &Refusal{Reason: string(jose.MalformedToken), Err: err}
}
