package authn

import (
	"context"
	"errors"
	"sync"
)

// maxFlights bounds how many different pieces of shared work are under way, and
// with them the goroutines that a flood of forged credentials can cost.
const maxFlights = 4096

// errBusy: too much is under way to begin with more.
var errBusy = errors.New("too many credentials are being checked")

// flights lets requests with the same credential share the work of proving it.
// The zero value is ready. Keys are hashes of everything that the result
// depends on.
type flights[V any] struct {
	mu   sync.Mutex
	most int // for tests; 0 = maxFlights
	all  map[[32]byte]*flight[V]
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// do returns what work returns, which runs once for all who ask meanwhile with
// the same key. A waiter leaves when its own context ends; the work goes on, for
// the others, under a context that knows nothing of any client and must be
// bounded by work itself.
func (f *flights[V]) do(ctx context.Context, key [32]byte, work func(context.Context) (V, error)) (V, error) {
	one, err := f.join(ctx, key, work)
	if err != nil {
		var none V
		return none, err
	}
	select {
	case <-one.done:
		return one.value, one.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

func (f *flights[V]) join(ctx context.Context, key [32]byte, work func(context.Context) (V, error)) (*flight[V], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one, ok := f.all[key]; ok {
		return one, nil
	}
	most := f.most
	if most == 0 {
		most = maxFlights
	}
	if len(f.all) >= most {
		return nil, errBusy
	}
	if f.all == nil {
		f.all = map[[32]byte]*flight[V]{}
	}
	one := &flight[V]{done: make(chan struct{})}
	f.all[key] = one
	go func() {
		one.value, one.err = work(context.WithoutCancel(ctx))
		f.mu.Lock()
		delete(f.all, key)
		f.mu.Unlock()
		close(one.done)
	}()
	return one, nil
}
