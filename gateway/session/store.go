package session

import (
	"context"
	"errors"
	"time"
)

// The two definite answers of a store. Any other error means that the store
// could not answer: unknown is never "no", so it must not be treated as one.
var (
	// ErrNotFound: the session or record is definitely absent or expired.
	ErrNotFound = errors.New("session: not found")
	// ErrConflict: what should be created exists, or has another version.
	ErrConflict = errors.New("session: conflict")
)

// Store keeps sessions, keyed by the hash of the id. Implementations are safe
// for concurrent use, and run the suite in sessiontest.
type Store interface {
	// Create keeps a new session with Version 1, seen now. ErrConflict if the
	// key exists. The store takes no ownership of s.
	Create(ctx context.Context, s *Session) error
	// Get returns the session, shared and read-only, or ErrNotFound when there
	// is none or its absolute timeout has passed; other calls may find the
	// session for some milliseconds more. Whether it has been idle for
	// too long is for the caller to judge by LastSeen; a store may drop
	// sessions that are.
	Get(ctx context.Context, key Key) (*Session, error)
	// Update applies change to a private copy and keeps it, atomically: with
	// concurrent updates none is lost, and a session deleted meanwhile does not
	// come back (ErrNotFound). change may run more than once; its error stops
	// the update and is returned as it is. Key, Version and Created are the
	// store's. It returns what was kept.
	Update(ctx context.Context, key Key, change func(*Session) error) (*Session, error)
	// Delete removes the session and all that hangs on it. Absent is not an error.
	Delete(ctx context.Context, key Key) error
	// DeleteKeys is Delete for many, and says how many there were: of two calls at
	// one moment, one counts a session.
	DeleteKeys(ctx context.Context, keys ...Key) (int, error)
	// DeleteSubject removes all sessions of a user, and says how many there were.
	DeleteSubject(ctx context.Context, issuer, subject string) (int, error)
	// DeleteProviderSession removes the sessions that began from one session at
	// the provider (the sid of OpenID Connect Back-Channel Logout 1.0).
	DeleteProviderSession(ctx context.Context, issuer, sid string) (int, error)
	// DeleteBefore removes all sessions created before t.
	DeleteBefore(ctx context.Context, t time.Time) (int, error)
	// List returns sessions that match, ordered by key.
	List(ctx context.Context, f Filter) ([]Listed, error)

	// Touch records that the session was used at a time; an earlier time than
	// the one kept changes nothing. It never makes a session: ErrNotFound.
	Touch(ctx context.Context, key Key, at time.Time) error
	// LastSeen returns the time of the last Touch, or of Create, to the
	// microsecond; the zero time if that was longer ago than sessions live.
	LastSeen(ctx context.Context, key Key) (time.Time, error)
	// Tokens returns the sealed provider tokens; nil when there are none.
	Tokens(ctx context.Context, key Key) ([]byte, error)

	// Ping reports whether the store can answer now.
	Ping(ctx context.Context) error
	// Close flushes and releases the store. No other call may follow.
	Close() error
}

// Filter narrows a List. Empty fields match everything; Subject and
// ProviderSession need Issuer.
type Filter struct {
	Issuer, Subject string
	ProviderSession string
	After           Key // only keys after this one: the last of the page before
	Limit           int // 0 means all
}

// Matches reports whether a session is one that the filter lets through, wherever
// it stands in the list.
func (f *Filter) Matches(s *Session) bool {
	return (f.Issuer == "" || s.Identity.Issuer == f.Issuer) &&
		(f.Subject == "" || s.Identity.Subject == f.Subject) &&
		(f.ProviderSession == "" || s.Identity.ProviderSession == f.ProviderSession)
}

// Listed is a session and when it was last used.
type Listed struct {
	*Session
	LastSeen time.Time
}

// Record is a small value with an end: a key, a lease, a token id seen once.
type Record struct {
	Value     []byte
	Version   uint64    // 1 when made, one more with each change
	ExpiresAt time.Time // zero: never
}

// Records keeps small records beside the sessions, in both stores. Kinds are
// constants of the code that owns them; names are free.
type Records interface {
	// LoadRecord returns the record, or ErrNotFound when absent or expired.
	LoadRecord(ctx context.Context, kind, name string) (Record, error)
	// SaveRecord keeps value if the record still has the given version, where 0
	// means that it must not exist; ErrConflict otherwise. A zero expiry never
	// ends. It returns the new version.
	SaveRecord(ctx context.Context, kind, name string, version uint64, value []byte, expires time.Time) (uint64, error)
	// RemoveRecord removes the record. Absent is not an error.
	RemoveRecord(ctx context.Context, kind, name string) error
}
