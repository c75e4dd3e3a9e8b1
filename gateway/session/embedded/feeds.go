package embedded

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/gateway/session"
)

// feeds are made when they are first named: their names are few constants.
type feeds struct {
	mu     sync.Mutex
	byName map[string]*feed
}

// feed is the last entry for each name, and who wants to hear of new ones.
type feed struct {
	// mu is held for moments, and orders memory, the file's queue and what
	// followers hear alike.
	mu        sync.Mutex
	entries   map[string]placed
	last      uint64 // place of the newest entry
	followers map[*follower]struct{}
}

// placed is an entry and its place in its feed.
type placed struct {
	session.FeedEntry
	place uint64
}

// follower is one call of Follow.
type follower struct {
	wake chan struct{} // holds one token while there is something new
	news []placed      // not yet applied; guarded by the feed
}

// ending is an entry that has an end.
type ending struct {
	feed, name string
	place      uint64
}

func (s *Store) feed(name string) *feed {
	s.feeds.mu.Lock()
	defer s.feeds.mu.Unlock()
	f := s.feeds.byName[name]
	if f == nil {
		f = &feed{entries: make(map[string]placed), followers: make(map[*follower]struct{})}
		if s.feeds.byName == nil {
			s.feeds.byName = make(map[string]*feed)
		}
		s.feeds.byName[name] = f
	}
	return f
}

// Publish implements session.Feeds. As with Delete, the entry is in force at
// once, and an error says that the file does not have it: a restart before the
// disk works again would lose it.
func (s *Store) Publish(ctx context.Context, name string, e session.FeedEntry) error {
	id := feedID{name, e.Name}
	if err := id.check(e); err != nil {
		return err
	}
	switch {
	case s.closed.Load():
		return errClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case e.Expired(time.Now()):
		return nil
	}
	e.Value = slices.Clone(e.Value)
	f := s.feed(name)
	f.mu.Lock()
	added := f.add(e)
	s.endsLater(name, added)
	answers := make(chan error, 1)
	if s.file != nil {
		s.file.enqueue(&op{
			owed:  true,
			write: func(tx *bolt.Tx) error { return putFeedEntry(tx, id, added) },
			done:  func(err error) { answers <- err },
		})
	}
	f.mu.Unlock()
	return s.settle(ctx, answers, 1)
}

// add makes e the newest entry. The caller holds the lock.
func (f *feed) add(e session.FeedEntry) placed {
	f.last++
	added := placed{e, f.last}
	f.entries[e.Name] = added
	for l := range f.followers {
		l.news = append(l.news, added)
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return added
}

func (s *Store) endsLater(feed string, e placed) {
	if !e.ExpiresAt.IsZero() {
		s.endingFeeds.add(ending{feed, e.Name, e.place}, e.ExpiresAt.UnixNano())
	}
}

// confirmEvery is how often a follower hears that it has heard everything.
const confirmEvery = 250 * time.Millisecond

// Follow implements session.Feeds. A store that was closed confirms nothing.
func (s *Store) Follow(ctx context.Context, name string, apply func([]session.FeedEntry), confirmed func(time.Time)) {
	f := s.feed(name)
	l := &follower{wake: make(chan struct{}, 1)}
	f.join(l)
	defer f.leave(l)
	tick := time.NewTicker(confirmEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		at := time.Now() // what was published before this is in the news
		if live := f.take(l, at); len(live) > 0 {
			apply(live)
		}
		if !s.closed.Load() {
			confirmed(at)
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-tick.C:
		}
	}
}

// join makes all that is kept the first news of l.
func (f *feed) join(l *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l.news = slices.SortedFunc(maps.Values(f.entries), func(a, b placed) int { return cmp.Compare(a.place, b.place) })
	f.followers[l] = struct{}{}
}

func (f *feed) leave(l *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followers, l)
}

// take returns the news that still count.
func (f *feed) take(l *follower, now time.Time) []session.FeedEntry {
	f.mu.Lock()
	news := l.news
	l.news = nil
	f.mu.Unlock()
	live := make([]session.FeedEntry, 0, len(news))
	for _, e := range news {
		if !e.Expired(now) {
			e.Value = slices.Clone(e.Value) // the follower may do with it what it likes
			live = append(live, e.FeedEntry)
		}
	}
	return live
}

func (s *Store) sweepFeeds(now time.Time) {
	for _, end := range s.endingFeeds.due(now) {
		f := s.feed(end.feed)
		f.mu.Lock()
		// One that was replaced has its successor's end.
		if e, ok := f.entries[end.name]; ok && e.place == end.place {
			delete(f.entries, end.name)
			if s.file != nil {
				// Not owed: should the file fail, opening it sees the end as well.
				id := feedID{end.feed, end.name}
				s.file.enqueue(&op{write: func(tx *bolt.Tx) error { return remove(inFeeds(tx), id.key()) }})
			}
		}
		f.mu.Unlock()
	}
}

// loadFeeds reads the file into memory.
func (s *Store) loadFeeds(tx *bolt.Tx) error {
	return eachFeedEntry(tx, func(name string, e placed) {
		f := s.feed(name)
		f.entries[e.Name] = e
		f.last = max(f.last, e.place)
		s.endsLater(name, e)
	})
}
