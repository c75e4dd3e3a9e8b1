package session

import (
	"context"
	"errors"
	"time"
)

// FeedEntry is one entry of a feed. Of several with the same name the last one
// counts.
type FeedEntry struct {
	Name      string
	Value     []byte    // never empty
	ExpiresAt time.Time // zero: never
}

// What an entry may take. Every gateway holds every entry.
const (
	MaxFeedName  = 512
	MaxFeedValue = 4 << 10
)

var errFeedEntry = errors.New("session: a feed without a name, or an entry whose name is too long or whose value is empty or too long")

// Check tells what a store refuses to publish, whatever its state: an entry that
// is too large, or that has no value.
func (e FeedEntry) Check(feed string) error {
	if feed == "" || len(feed) > MaxFeedName || len(e.Name) > MaxFeedName || len(e.Value) == 0 || len(e.Value) > MaxFeedValue {
		return errFeedEntry
	}
	return nil
}

// Expired reports whether the entry has ceased to count.
func (e FeedEntry) Expired(now time.Time) bool {
	return !e.ExpiresAt.IsZero() && !now.Before(e.ExpiresAt)
}

// Feeds keep, in both stores, what every gateway must know as a whole and at
// once, such as revoked tokens: lists of small entries that are only ever added
// to or replaced, never taken back. Whoever follows a feed has all of it in
// memory, so that a look-up costs no call. Feed names are constants of the code
// that owns them.
type Feeds interface {
	// Publish adds an entry. It returns when the store has it; who follows the
	// feed hears of it within milliseconds. After an error the store may have it
	// or not. One that has expired is not kept, which is no error.
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
