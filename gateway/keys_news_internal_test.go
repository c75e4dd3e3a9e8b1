package gateway

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/session"
)

// commonStore is what several gateways have in common: a feed, and the signing keys.
type commonStore struct {
	mu        sync.Mutex
	followers []func([]session.FeedEntry)
	down      bool
	plain     []byte
	version   uint64
}

var errCommonStoreDown = errors.New("store: connection refused")

func (s *commonStore) Publish(_ context.Context, feed string, e session.FeedEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errCommonStoreDown
	}
	for _, apply := range s.followers {
		apply([]session.FeedEntry{e})
	}
	return e.Check(feed)
}

func (s *commonStore) Follow(ctx context.Context, _ string, apply func([]session.FeedEntry), confirmed func(time.Time)) {
	s.mu.Lock()
	s.followers = append(s.followers, apply)
	s.mu.Unlock()
	confirmed(time.Now())
	<-ctx.Done()
}

// kept is the store as one gateway sees it.
type kept struct {
	*commonStore
	saved func()
}

func (k kept) Load(context.Context) ([]byte, uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.version == 0 {
		return nil, 0, assertion.ErrAbsent
	}
	return bytes.Clone(k.plain), k.version, nil
}

func (k kept) Save(_ context.Context, plain []byte, version uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if version != k.version {
		return assertion.ErrConflict
	}
	k.plain, k.version = bytes.Clone(plain), version+1
	k.saved()
	return nil
}

// TestOtherGatewaysLookAtOnceWhenKeysHaveChanged: a key that was stolen is exchanged,
// and no gateway goes on with it until its next look. Without the news, it is that look.
func TestOtherGatewaysLookAtOnceWhenKeysHaveChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &commonStore{}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer func() { cancel(); running.Wait() }()
		var rings []*assertion.Ring
		for range 3 {
			news := newKeyNews(store)
			ring := assertion.NewStored(assertion.StoredOptions{
				Store: kept{store, news.teller(newsOfSigning)}, Algorithm: assertion.AlgorithmES256, Longest: time.Minute,
			})
			running.Go(func() { ring.Run(ctx) })
			running.Go(func() { news.run(ctx, map[string]func(){newsOfSigning: ring.Wake}) })
			rings = append(rings, ring)
			synctest.Wait()
		}
		signs := func(ring *assertion.Ring) string {
			keys, _, err := ring.Keys()
			if err != nil {
				t.Fatal(err)
			}
			return keys[slices.IndexFunc(keys, func(k assertion.Key) bool { return k.State == assertion.StateCurrent })].ID
		}
		rotate := func() (old, fresh string) {
			old = signs(rings[0])
			if err := rings[0].Rotate(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // no time passes
			return old, signs(rings[0])
		}
		old, fresh := rotate()
		for i, ring := range rings {
			if got := signs(ring); got != fresh || got == old {
				t.Errorf("gateway %d signs with %s, was %s, want %s", i, got, old, fresh)
			}
		}

		store.mu.Lock()
		store.down = true
		store.mu.Unlock()
		old, fresh = rotate()
		if got := signs(rings[1]); got != old {
			t.Errorf("without news %s signs, want %s", got, old)
		}
		time.Sleep(assertion.PollInterval) //nolint:forbidigo // the bubble's clock is virtual
		synctest.Wait()
		if got := signs(rings[1]); got != fresh {
			t.Errorf("after its own look %s signs, want %s", got, fresh)
		}
	})
}
