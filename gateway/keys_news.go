package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

const (
	// keyFeed is the feed in which gateways tell one another that keys have changed.
	keyFeed = "keys"
	// keyNewsLife is how long that is kept. By then every gateway has looked by itself.
	keyNewsLife = time.Minute
)

// The rings of which there is news.
const (
	newsOfSealing = "sealing"
	newsOfSigning = "signing"
)

// keyNews has the other gateways of a store look at the keys at once when one of them
// has changed something. It holds no key, and what gets lost of it costs seconds:
// every gateway looks by itself all the time. A nil keyNews tells nobody.
type keyNews struct {
	feeds session.Feeds
	rings map[string]chan struct{} // of which there is something to tell
}

func newKeyNews(feeds session.Feeds) *keyNews {
	return &keyNews{feeds: feeds, rings: map[string]chan struct{}{
		newsOfSealing: make(chan struct{}, 1), newsOfSigning: make(chan struct{}, 1),
	}}
}

// teller returns what tells the others that a ring has changed. It waits for nothing.
func (n *keyNews) teller(ring string) func() {
	if n == nil {
		return nil
	}
	return func() {
		select {
		case n.rings[ring] <- struct{}{}:
		default: // they are about to be told
		}
	}
}

// run tells the others, and wakes the rings of which they tell, until ctx ends.
func (n *keyNews) run(ctx context.Context, wake map[string]func()) {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() {
		n.feeds.Follow(ctx, keyFeed, func(entries []session.FeedEntry) {
			for _, e := range entries {
				if look := wake[e.Name]; look != nil {
					look()
				}
			}
		}, func(time.Time) {})
	})
	for {
		var ring string
		select {
		case <-ctx.Done():
			return
		case <-n.rings[newsOfSealing]:
			ring = newsOfSealing
		case <-n.rings[newsOfSigning]:
			ring = newsOfSigning
		}
		// An error is the store's, which tells of its outages itself.
		_ = n.feeds.Publish(ctx, keyFeed, session.FeedEntry{Name: ring, Value: []byte("changed"), ExpiresAt: time.Now().Add(keyNewsLife)})
	}
}
