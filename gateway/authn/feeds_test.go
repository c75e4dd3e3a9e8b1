package authn_test

import (
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// fakeFeeds is a store with one feed, which confirms only when it is told to.
type fakeFeeds struct {
	mu        sync.Mutex
	entries   []session.FeedEntry
	err       error // of Publish
	followers []follower
}

type follower struct {
	apply     func([]session.FeedEntry)
	confirmed func(time.Time)
}

func (f *fakeFeeds) Publish(_ context.Context, _ string, e session.FeedEntry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.entries = append(f.entries, e)
	for _, one := range f.followers {
		one.apply([]session.FeedEntry{e})
	}
	return nil
}

func (f *fakeFeeds) Follow(ctx context.Context, _ string, apply func([]session.FeedEntry), confirmed func(time.Time)) {
	f.mu.Lock()
	f.followers = append(f.followers, follower{apply, confirmed})
	apply(f.entries)
	f.mu.Unlock()
	<-ctx.Done()
}

// confirm tells every follower that it has everything.
func (f *fakeFeeds) confirm(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.followers {
		one.confirmed(at)
	}
}

// bring brings entries again, as after trouble with the store.
func (f *fakeFeeds) bring(entries ...session.FeedEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.followers {
		one.apply(entries)
	}
}

func (f *fakeFeeds) kept() []session.FeedEntry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]session.FeedEntry(nil), f.entries...)
}

var _ session.Feeds = (*fakeFeeds)(nil)
