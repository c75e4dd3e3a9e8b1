// Package assertion owns what the gateway signs itself: its signing keys and how
// they are exchanged, the key set that verifiers fetch, and the tokens: the
// assertion that tells an application who a request is for, and the access
// token that a session is exchanged for.
//
// Keys have three states. The current one signs. The next one is published long
// before it signs, because verifiers keep a key set for minutes and don't look
// again at every key that they miss. Retired ones are published until nothing
// that they signed can be valid.
//
// Where the ring is kept, and sealed, is bound by build.go; which route gets an
// assertion is a route's business.
package assertion

import (
	"errors"
	"time"
)

// The algorithms of the gateway's own keys.
const (
	AlgorithmES256 = "ES256"
	AlgorithmEdDSA = "EdDSA"
)

// The typ of the tokens. They differ, so that a token of one kind is never
// taken for the other (RFC 8725, section 3.11).
const (
	TypeAssertion = "sallyport-assertion+jwt"
	TypeAccess    = "at+jwt" // RFC 9068, section 2.1
)

const (
	// MaxAge is how long verifiers may keep the key set.
	MaxAge = 5 * time.Minute
	// PollInterval is how often every gateway looks at the ring.
	PollInterval = 10 * time.Second
	// publishAhead is how long a key is published before it signs: until every
	// gateway publishes it, and then until every cache has seen it.
	publishAhead = PollInterval + MaxAge
	// skew is how far the clocks of gateways and verifiers may differ.
	skew = time.Minute
	// firstRetry is how often a gateway without a ring looks for one.
	firstRetry = time.Second
	// maxRetired bounds the published key set, which verifiers bound too.
	maxRetired = 32
	// pollTimeout bounds one look.
	pollTimeout = 5 * time.Second
)

var (
	// ErrNoRing says that there are no signing keys yet. That is an outage.
	ErrNoRing = errors.New("assertion: there are no signing keys yet")
	// ErrAbsent is a Store's answer when it definitely keeps no ring.
	ErrAbsent = errors.New("assertion: no ring is kept")
	// ErrConflict is a Store's answer when the ring has changed meanwhile.
	ErrConflict = errors.New("assertion: the ring has changed")
	// ErrUnopened is a Store's answer when it keeps a ring that was sealed with a
	// key that the gateway does not have.
	ErrUnopened = errors.New("assertion: the ring was sealed with another key")
	// ErrFiles says that the keys are files, which are exchanged by exchanging the files.
	ErrFiles = errors.New("assertion: the signing keys are files")
	// ErrUnknownKey says that the ring has no key of that id.
	ErrUnknownKey = errors.New("assertion: the ring has no such key")
	// ErrSigns says that the key is the current one.
	ErrSigns = errors.New("assertion: the key signs")
	// ErrCrowded says that too many keys were retired lately, which must all stay
	// published for a while.
	ErrCrowded = errors.New("assertion: too many keys were retired lately")
	// ErrExpired says that the identity ends before a token about it could begin.
	ErrExpired = errors.New("assertion: the identity has expired")
)

// NeededError says that what a key has signed may still be valid.
type NeededError struct{ Until time.Time }

func (e *NeededError) Error() string {
	return "assertion: what the key has signed may be valid until " + e.Until.UTC().Format(time.RFC3339)
}

// State is what a key is for.
type State string

// The states of a key.
const (
	StateCurrent   State = "current"
	StateNext      State = "next"
	StateRetired   State = "retired"
	StatePublished State = "published" // of the files after the first
)

// Key is one key of the ring, as operators see it.
type Key struct {
	ID        string
	Algorithm string
	State     State
	Published time.Time // zero for files
	Until     time.Time // when a retired key disappears; zero for others
}
