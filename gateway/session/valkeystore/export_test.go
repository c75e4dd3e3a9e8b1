package valkeystore

import "time"

// Settle sets after which time entries that no longer count are deleted. It is
// for a store that nobody follows yet.
func (s *Store) Settle(after time.Duration) { s.settled = after }

// FeedKey is where a feed is.
func (s *Store) FeedKey(feed string) string { return s.layout.feed(feed).name }
