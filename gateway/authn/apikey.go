package authn

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// Reasons of refusals of API keys.
const (
	ReasonUnknownAPIKey = "unknown_api_key"
	ReasonAPIKeyRevoked = "api_key_revoked"
	ReasonAPIKeyExpired = "api_key_expired"
	// reasonWrongAudience is the word that package jose has for tokens, too.
	reasonWrongAudience = "wrong_audience"
)

const (
	// apiKeyPrefix begins every key, so that scanners for secrets find one that
	// was committed by mistake, and that nobody takes it for a token.
	apiKeyPrefix = "spk_"
	apiKeyBytes  = 32          // random
	apiKeyHeader = "X-Api-Key" //nolint:gosec // a name, not a credential
)

// isAPIKey reports whether a value means to be a key of this gateway.
func isAPIKey(value string) bool { return strings.HasPrefix(value, apiKeyPrefix) }

// hashAPIKey returns the hash under which a key is kept. ok is false for what
// can't be a key.
func hashAPIKey(key string) (hash [32]byte, ok bool) {
	if len(key) != len(apiKeyPrefix)+base64.RawURLEncoding.EncodedLen(apiKeyBytes) || !isAPIKey(key) {
		return hash, false
	}
	for _, c := range []byte(key[len(apiKeyPrefix):]) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return hash, false
		}
	}
	// No salt and no slow hash: a key holds 256 random bits, which nobody guesses.
	return sha256.Sum256([]byte(key)), true
}

// APIKey accepts the gateway's own API keys on one route.
type APIKey struct {
	keys  *APIKeys
	route string
}

var _ Authenticator = (*APIKey)(nil)

// For returns the authenticator of a route: a key that was made for other
// routes is refused there.
func (k *APIKeys) For(route string) *APIKey { return &APIKey{keys: k, route: route} }

// Kind implements Authenticator.
func (*APIKey) Kind() Kind { return KindAPIKey }

// Extract implements Authenticator. A key comes as a bearer token or in
// X-API-Key. On a route that takes keys that header is the gateway's whatever
// its value: a key that was mistyped must not pass for none. Beside an
// Authorization header it would be a second credential.
func (*APIKey) Extract(r *http.Request) (Credential, error) {
	named, authorization := r.Header[apiKeyHeader], r.Header["Authorization"]
	switch {
	case len(named) > 1, len(named) == 1 && len(authorization) > 0:
		return Credential{}, &Refusal{Reason: ReasonDuplicateCredential}
	case len(named) == 1:
		return Credential{Kind: KindAPIKey, Value: Secret(named[0]), Bytes: len("X-API-Key: ") + len(named[0])}, nil
	}
	if value, ok := bearerToken(r.Header); ok && isAPIKey(value) {
		return Credential{Kind: KindAPIKey, Value: Secret(value), Bytes: len("Authorization: Bearer ") + len(value)}, nil
	}
	return Credential{}, ErrNoCredential
}

// Strip implements Authenticator.
func (*APIKey) Strip(h http.Header) {
	delete(h, apiKeyHeader)
	if value, ok := bearerToken(h); ok && isAPIKey(value) {
		delete(h, "Authorization")
	}
}

// Authenticate implements Authenticator. It asks nobody: see APIKeys.
func (a *APIKey) Authenticate(ctx context.Context, c Credential) (*identity.Identity, error) {
	hash, ok := hashAPIKey(string(c.Value))
	if !ok {
		return nil, &Refusal{Reason: ReasonUnknownAPIKey}
	}
	now := a.keys.freshness.Await(ctx, time.Now())
	k, known := a.keys.find(hash)
	switch {
	case known && k.Revoked: // for ever, so that is certain whatever else is not
		return nil, &Refusal{Reason: ReasonAPIKeyRevoked}
	case known && k.over(now):
		return nil, &Refusal{Reason: ReasonAPIKeyExpired}
	}
	// Without a recent word from the store, a key may have been revoked, and one
	// that is not here may exist.
	if err := a.keys.fresh(now); err != nil {
		return nil, err
	}
	switch {
	case !known:
		return nil, &Refusal{Reason: ReasonUnknownAPIKey}
	case k.identity == nil:
		return nil, errAPIKeyUnreadable
	case len(k.Routes) > 0 && !slices.Contains(k.Routes, a.route):
		return nil, &Refusal{Reason: reasonWrongAudience}
	}
	return k.identity, nil
}
