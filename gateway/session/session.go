// Package session owns what a browser session is and how long it lives: the
// opaque id in the cookie, the record behind it, the Store contract, the key
// ring, and the Manager that ties them together. How records are kept is the
// stores' business (embedded, valkeystore); who may have a session is login's.
//
// The id is known to the browser alone. Stores, operators and logs see its
// SHA-256, the Key.
package session

import (
	"crypto/sha256"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// ID is the random session id, 128 bits, that only the cookie carries
// (OWASP ASVS 5, 7.2.3).
type ID [16]byte

// Key is the hash of an ID, under which stores keep the session.
type Key = identity.Ref

// Key returns the hash of the id.
func (id ID) Key() Key { return sha256.Sum256(id[:]) }

// Session is one signed-in browser. Values that a Store returns are shared
// between goroutines and read-only; Clone makes one that may be changed.
type Session struct {
	Version uint64 // 1 when created, one more with each Update

	// Identity is who signed in; every session has one. Its Ref is the key of
	// the session, and its ExpiresAt the absolute timeout, which nothing extends.
	Identity *identity.Identity

	Provider string // name of the login provider
	Client   Client // from where it began
	Route    string // name of the route that the sign-in was for; "" where it was for none, or is not known

	Created     int64         // nanoseconds since 1970, for the size
	IdleTimeout time.Duration // without activity for this long, the session is over

	Grant Grant

	// SealedTokens are the provider's tokens, sealed by the key ring. They are
	// given to Create and Update to be kept, apart from the record, and are
	// never returned by Get or List; Store.Tokens reads them. In Update, nil
	// leaves what is kept as it is, and empty ones take it away. It is a pointer for the
	// size: a session in memory has none.
	SealedTokens *[]byte

	activity activity
}

// Grant is what a session knows of its provider's tokens without opening them.
// The zero Grant belongs to a session that has none, or was made by a release
// that did not tell. Times are nanoseconds since 1970, which keeps the many
// sessions in memory small.
type Grant struct {
	Generation uint32 // 0 at the sign-in, one more with each refresh
	Renewable  bool   // there is a refresh token among them
	Issued     int64  // when the tokens came
	Expires    int64  // when the access token ends; 0 when that is unknown
}

// newGrant begins a generation. An end that nanoseconds can't count is as good as
// none.
func newGrant(generation uint32, issued, expires time.Time, renewable bool) Grant {
	g := Grant{Generation: generation, Renewable: renewable, Issued: issued.UnixNano()}
	if storable(expires) {
		g.Expires = expires.UnixNano()
	}
	return g
}

// left is how long the access token still lives, less than nothing once it has
// ended. It must have an end.
func (g *Grant) left(now time.Time) time.Duration { return time.Duration(g.Expires - now.UnixNano()) }

// life is how long the access token lives in all.
func (g *Grant) life() time.Duration { return time.Duration(g.Expires - g.Issued) }

// activity is what this process knows about the use of a session. It lives
// with the decoded session so that a hit needs no second look-up.
type activity struct {
	seen    atomic.Int64  // unix nanoseconds of the last use that is known here
	refused atomic.Uint32 // unix second in which it last proved to be idle, in 32 bits for the size
	marks   marks
}

// marks are in one word, for the size: whether a write of seen is under way, and
// above that bit one more than the id of the key that made the cookie's check, on
// which the session hangs; 0 when a release made it that did not tell.
type marks struct{ word atomic.Uint32 }

func (m *marks) queued() bool { return m.word.Load()&1 != 0 }

// queue reports whether it was not queued before.
func (m *marks) queue() bool { return m.word.Or(1)&1 == 0 }

func (m *marks) dequeue() { m.word.And(^uint32(1)) }

func (m *marks) cookieKey() uint16 { return uint16(m.word.Load() >> 1) }

// setCookieKey comes before anybody else has the session.
func (m *marks) setCookieKey(key uint16) { m.word.Store(uint32(key) << 1) }

// Key is the hash of the id, under which the session is kept.
func (s *Session) Key() Key { return s.Identity.Ref }

// Tokens are the SealedTokens, nil where there are none.
func (s *Session) Tokens() []byte {
	if s.SealedTokens == nil {
		return nil
	}
	return *s.SealedTokens
}

// CreatedAt is when the session began.
func (s *Session) CreatedAt() time.Time { return time.Unix(0, s.Created).UTC() }

// ExpiresAt is when the session ends, whatever the activity.
func (s *Session) ExpiresAt() time.Time { return s.Identity.ExpiresAt }

// Clone returns a copy that may be changed, with an Identity of its own. The
// groups and claims inside it are still shared: replace them, never change them.
func (s *Session) Clone() *Session {
	c := &Session{
		Version:      s.Version,
		Provider:     s.Provider,
		Client:       s.Client,
		Route:        s.Route,
		Created:      s.Created,
		IdleTimeout:  s.IdleTimeout,
		Grant:        s.Grant,
		SealedTokens: s.SealedTokens,
	}
	c.activity.seen.Store(s.activity.seen.Load())
	c.activity.marks.setCookieKey(s.activity.marks.cookieKey())
	if s.Identity != nil {
		id := *s.Identity
		id.Memo = new(identity.Memo)
		c.Identity = &id
	}
	return c
}

// SeenAt tells a decoded session of a use that its store knows of; the zero time
// tells nothing. Stores call it before anybody else has the session.
func (s *Session) SeenAt(at time.Time) {
	if !at.IsZero() {
		raise(&s.activity.seen, at.UnixNano())
	}
}

// Expired reports whether the absolute timeout has passed.
func (s *Session) Expired(now time.Time) bool { return !now.Before(s.ExpiresAt()) }
