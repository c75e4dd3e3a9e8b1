package gateway

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/session"
)

// RunBackground runs what a gateway does beside serving, for tests that call its
// handler without any listener. It ends before what the test has cleaned up so
// far.
func RunBackground(tb testing.TB, g *Gateway) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	g.core.base = ctx
	for _, run := range g.core.background {
		running.Go(func() { run(ctx) })
	}
	g.core.now().start(ctx)
	tb.Cleanup(func() { stop(); running.Wait() })
}

// Endpoints are those of the operators' API.
func (g *Gateway) Endpoints() []admin.Endpoint { return slices.Clone(g.core.now().api) }

// PublishLock puts an entry into the feed of locks as another release may have.
func (g *Gateway) PublishLock(ctx context.Context, name, value string) error {
	return g.core.feeds.Publish(ctx, "locks", session.FeedEntry{Name: name, Value: []byte(value)})
}

// AwaitRetired returns when nothing of former configurations is in use any more. No
// reload may run meanwhile.
func (g *Gateway) AwaitRetired() { g.core.retiring.Wait() }
