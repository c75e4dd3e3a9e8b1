// Package identity holds the one value that authentication produces: who a
// request is for. It knows no HTTP, no storage and no token format, so that
// every other package can speak about people without speaking about credentials.
package identity

import (
	"encoding/hex"
	"sync/atomic"
	"time"
)

// Identity says who a request is for. It is read-only once made: it is shared
// between goroutines and between requests of one session.
//
// Subject is never empty and is unique only together with Issuer
// (OpenID Connect Core 1.0, section 5.7). Email is what the provider said;
// EmailVerified says whether it vouched for it.
type Identity struct {
	Issuer            string
	Subject           string
	Email             string
	EmailVerified     bool
	Name              string
	PreferredUsername string
	Groups            []string

	// ProviderSession is the provider's id of the session (sid) in which this identity
	// was proven, if it told one; unique only together with Issuer.
	ProviderSession string

	AMR       []string  // how the user proved himself (RFC 8176)
	ACR       string    // authentication context class
	Method    string    // the provider or credential kind that produced this identity
	AuthTime  time.Time // when the user last proved himself; zero when unknown
	ExpiresAt time.Time // when this identity stops being valid whatever the activity

	Claims Claims // the provider's other claims; nil when there are none

	// Ref names the credential behind this identity without revealing it.
	// Streams, assertions and forwarded tokens hang on it.
	Ref Ref

	// Memo keeps what others derive from this identity (compiled headers).
	// It may be nil; then nothing is kept.
	Memo *Memo
}

// Ref is the SHA-256 hash of a credential: of the session id, or of the token.
type Ref [32]byte

// IsZero reports whether no credential is behind the identity.
func (r Ref) IsZero() bool { return r == Ref{} }

// String returns the first 16 hexadecimal digits, the form in which sessions
// appear in logs, in the admin API and on the command line.
func (r Ref) String() string { return hex.EncodeToString(r[:8]) }

// Memo keeps one value derived from an identity for the last deriver that
// asked. It is safe for concurrent use; the zero Memo is empty.
type Memo struct{ slot atomic.Pointer[memoSlot] }

type memoSlot struct {
	owner any
	value any
}

// Load returns what owner stored, if owner was the last to store.
func (m *Memo) Load(owner any) (value any, ok bool) {
	if m == nil {
		return nil, false
	}
	if s := m.slot.Load(); s != nil && s.owner == owner {
		return s.value, true
	}
	return nil, false
}

// Store keeps value for owner, which must be a pointer. A nil Memo keeps nothing.
func (m *Memo) Store(owner, value any) {
	if m != nil {
		m.slot.Store(&memoSlot{owner: owner, value: value})
	}
}
