// Package carried keeps what runs by itself and is costly to make anew while the
// configuration that it was made by gives way to another: what was learned from
// others and remembered of them, and connections. What it is, is the caller's.
package carried

import (
	"context"
	"reflect"
	"slices"
	"sync"
)

// Work is what goes on with a value beside its use. Both may be nil.
type Work struct {
	Run   func(context.Context) // until its context ends
	Close func()                // after that, once
}

// Shelf has the values that somebody holds. The zero value is empty. It is safe for
// concurrent use.
type Shelf struct {
	mu    sync.Mutex
	items []*item
}

type item struct {
	kind     string
	settings any
	value    any
	work     Work
	holders  int // guarded by the shelf

	stop    context.CancelFunc // nil before it was started
	running sync.WaitGroup
}

// Hold is what one configuration uses of a Shelf. It is for one goroutine at a time.
type Hold struct {
	shelf *Shelf
	items []*item
}

// Hold begins an empty Hold.
func (s *Shelf) Hold() *Hold { return &Hold{shelf: s} }

// Take returns the value of a kind that was made with equal settings, or makes one.
// Settings are compared deeply and must not change. What make returns with an error is
// not kept.
func Take[T any](h *Hold, kind string, settings any, anew func() (T, Work, error)) (T, error) {
	s := h.shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.items {
		if value, ok := one.value.(T); ok && one.kind == kind && reflect.DeepEqual(one.settings, settings) {
			if !slices.Contains(h.items, one) {
				one.holders++
				h.items = append(h.items, one)
			}
			return value, nil
		}
	}
	value, work, err := anew()
	if err != nil {
		return value, err
	}
	one := &item{kind: kind, settings: settings, value: value, work: work, holders: 1}
	s.items, h.items = append(s.items, one), append(h.items, one)
	return value, nil
}

// Start lets run what does not yet.
func (h *Hold) Start(ctx context.Context) {
	h.shelf.mu.Lock()
	defer h.shelf.mu.Unlock()
	for _, one := range h.items {
		if one.stop == nil {
			ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
			one.stop = stop
			if one.work.Run != nil {
				one.running.Go(func() { one.work.Run(ctx) })
			}
		}
	}
}

// Release gives everything back. What nobody else holds is ended, and Release waits
// for that.
func (h *Hold) Release() {
	s := h.shelf
	var over []*item
	s.mu.Lock()
	for _, one := range h.items {
		if one.holders--; one.holders == 0 {
			over = append(over, one)
		}
	}
	s.items = slices.DeleteFunc(s.items, func(one *item) bool { return one.holders == 0 })
	s.mu.Unlock()
	h.items = nil
	for _, one := range over {
		if one.stop != nil {
			one.stop()
		}
	}
	for _, one := range slices.Backward(over) {
		one.running.Wait()
		if one.work.Close != nil {
			one.work.Close()
		}
	}
}
