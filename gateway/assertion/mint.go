package assertion

import (
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// Options are what a Minter needs.
type Options struct {
	Ring     *Ring
	Issuer   string        // iss of every token
	Lifetime time.Duration // of assertions: 1 s to 60 s
}

// Minter makes tokens about proven users. It is safe for concurrent use.
type Minter struct {
	ring     *Ring
	issuer   string
	lifetime time.Duration
	cache    *cache
}

// New makes a Minter.
func New(o Options) *Minter {
	return &Minter{ring: o.Ring, issuer: o.Issuer, lifetime: o.Lifetime, cache: newCache()}
}

// Issuer returns the iss of every token.
func (m *Minter) Issuer() string { return m.issuer }

// Mint returns an assertion about id for audience. It ends with the configured
// lifetime or the identity, whichever comes first. One that was made for the
// same credential is given again until half of its life is over, so that an
// application always has the other half to judge it, and as long as its key is
// published. ErrExpired says that the
// identity has come to its end, ErrNoRing that nothing can be signed now.
func (m *Minter) Mint(id *identity.Identity, audience string, now time.Time) (string, error) {
	if id.Ref.IsZero() {
		made, err := m.make(id, audience, now)
		return made.token, err
	}
	return m.cache.get(key{id.Ref, audience}, id, now, m)
}

// make signs an assertion.
func (m *Minter) make(id *identity.Identity, audience string, now time.Time) (minted, error) {
	expires, err := end(id, now, m.lifetime)
	if err != nil {
		return minted{}, err
	}
	generation := m.ring.Generation() // before: a key that goes meanwhile is noticed
	token, kid, err := m.ring.sign(TypeAssertion, claimsOf(id, m.issuer, audience, now, expires), now)
	// Round(0) leaves the wall clock alone: the other one stands still while a
	// machine sleeps, and the token does not.
	return minted{token: token, until: now.Add(expires.Sub(now) / 2).Round(0), kid: kid, generation: generation}, err
}

// clientID stands in access tokens for who asked for them, which RFC 9068
// requires (section 2.2): the gateway, in the user's place.
const clientID = "sallyport"

// MintAccess returns an access token about id for audience (RFC 9068), and when
// it ends: after lifetime or with the identity. more are claims to add; those
// that the gateway sets itself can't be changed by them.
func (m *Minter) MintAccess(id *identity.Identity, audience string, lifetime time.Duration, more map[string]any, now time.Time) (token string, expires time.Time, err error) {
	if expires, err = end(id, now, lifetime); err != nil {
		return "", time.Time{}, err
	}
	claims := make(map[string]any, len(more)+16)
	maps.Copy(claims, more)
	for name := range claims {
		if Reserved(name) {
			delete(claims, name)
		}
	}
	maps.Copy(claims, claimsOf(id, m.issuer, audience, now, expires))
	claims["client_id"] = clientID
	token, _, err = m.ring.sign(TypeAccess, claims, now)
	return token, expires, err
}

// Reserved reports whether a claim is the gateway's to set, or would make the
// token one of another kind.
func Reserved(claim string) bool {
	return slices.Contains([]string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "idp", "cnf", "act", "may_act",
		"email", "email_verified", "name", "preferred_username", "groups", "acr", "amr", "auth_time",
		"nonce", "at_hash", "c_hash", "s_hash", "events", "sid", "token_use",
	}, claim)
}
