package session

import (
	"context"
	"time"
)

// FeedEntry is one entry of a feed. Of several with the same name the last one
// counts.
type FeedEntry struct {
	Name      string
	Value     []byte    // never empty
	ExpiresAt time.Time // zero: never
}

// Feeds keep, in both stores, what every gateway must know as a whole and at
// once, such as revoked tokens: lists of small entries that are only ever added
// to or replaced, never taken back. Whoever follows a feed has all of it in
// memory, so that a look-up costs no call. Feed names are constants of the code
// that owns them.
type Feeds interface {
	// Publish adds an entry. It returns when the store has it; who follows the
	// feed hears of it within milliseconds.
	Publish(ctx context.Context, feed string, e FeedEntry) error

	// Follow calls apply with the entries of a feed until ctx ends: first with
	// all that are kept, then with new ones as they come, in their order. After
	// trouble with the store it may call it again with entries that it had
	// before, and it never tells that one is gone: an entry counts until it
	// expires. apply is not called concurrently and must not keep the slice.
	//
	// confirmed is called with the time at which the store was known to hold
	// nothing that apply has not seen: after the first whole reading, then at
	// least once a second while the store answers. Before it is called for the
	// first time nothing is known.
	//
	// A follower brings back entries that the store has lost in a failover.
	// Follow returns only when ctx has ended.
	Follow(ctx context.Context, feed string, apply func([]FeedEntry), confirmed func(time.Time))
}
