package upstream

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// slots is where requests wait until an upstream may have one more. Who came first
// is served first. Its lock may be taken while the pool's is held, never the other
// way round.
type slots struct {
	asked atomic.Int64 // requests that wait
	mu    sync.Mutex
	next  uint64    // the ticket of who comes next
	any   list.List // of *waiter, for whichever upstream is free first
}

// waiter is a request that waits, for one upstream or for any.
type waiter struct {
	ticket uint64
	queue  *list.List
	place  *list.Element // nil when it waits no more
	// ready gets the endpoint of which a slot was taken for it, or nil when it
	// should look again. It has room for one, and gets no more.
	ready chan *endpoint
}

// acquire takes a slot of an upstream that is fit and not among the tried. With
// first it waits for one, else it returns a *BusyError at once.
func (p *Pool) acquire(ctx context.Context, sticky [32]byte, tried uint64, first bool) (*endpoint, error) {
	fit := *p.fit.Load()
	if len(fit) == 0 {
		return nil, ErrNoUpstream
	}
	if p.slots.asked.Load() == 0 || !first {
		if e := p.pick(fit, sticky, tried); e != nil {
			return e, nil
		}
	}
	if !first {
		return nil, &BusyError{Limit: p.balance.MaxConnections}
	}
	return p.wait(ctx, sticky)
}

// wait takes a slot when there is one, for as long as a connection may take.
func (p *Pool) wait(ctx context.Context, sticky [32]byte) (*endpoint, error) {
	var timeout <-chan time.Time
	if p.connect > 0 {
		t := time.NewTimer(p.connect)
		defer t.Stop()
		timeout = t.C
	}
	for {
		w := p.enqueue(sticky)
		if w == nil {
			return nil, ErrNoUpstream
		}
		select {
		case e := <-w.ready:
			if e != nil {
				return e, nil
			}
		case <-timeout:
			if e := p.leave(w); e != nil {
				return e, nil
			}
			p.busy.Add(1)
			return nil, &BusyError{Limit: p.balance.MaxConnections}
		case <-ctx.Done():
			if e := p.leave(w); e != nil {
				e.release()
			}
			return nil, context.Cause(ctx)
		}
	}
}

// enqueue makes a request wait; it may be served before enqueue returns. Nil means
// that nothing is fit.
func (p *Pool) enqueue(sticky [32]byte) *waiter {
	s := &p.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	fit := *p.fit.Load() // under the lock: whoever changes it looks at the queues next
	if len(fit) == 0 {
		return nil
	}
	w := &waiter{ticket: s.next, queue: &s.any, ready: make(chan *endpoint, 1)}
	if p.sticks(sticky) {
		w.queue = &rendezvous(fit, stickyKey(sticky), 0).waiting
	}
	s.next++
	w.place = w.queue.PushBack(w)
	s.asked.Add(1)
	for _, e := range fit { // a slot that was freed before the request was seen to wait
		p.serve(e)
	}
	return w
}

// leave makes a request wait no more. It returns the endpoint that it was given
// meanwhile.
func (p *Pool) leave(w *waiter) *endpoint {
	p.slots.mu.Lock()
	defer p.slots.mu.Unlock()
	if w.place == nil {
		return <-w.ready
	}
	p.dismiss(w, nil)
	return nil
}

// offer gives what an endpoint has free to those who wait.
func (p *Pool) offer(e *endpoint) {
	p.slots.mu.Lock()
	defer p.slots.mu.Unlock()
	p.serve(e)
}

// serve is offer with the lock held.
func (p *Pool) serve(e *endpoint) {
	for {
		w := firstOf(&e.waiting)
		if other := firstOf(&p.slots.any); other != nil && e.fit.Load() && (w == nil || other.ticket < w.ticket) {
			w = other
		}
		if w == nil || !e.take() {
			return
		}
		p.dismiss(w, e)
	}
}

// changed makes those look again who wait for what is not fit any more, and serves
// those who wait for what has become so.
func (p *Pool) changed() {
	p.slots.mu.Lock()
	defer p.slots.mu.Unlock()
	if p.slots.asked.Load() == 0 {
		return
	}
	if len(*p.fit.Load()) == 0 {
		p.dismissAll(&p.slots.any)
	}
	for _, e := range p.endpoints {
		if e.fit.Load() {
			p.serve(e)
		} else {
			p.dismissAll(&e.waiting)
		}
	}
}

// dismiss takes a request out of its queue, with what it gets. The lock is held.
func (p *Pool) dismiss(w *waiter, e *endpoint) {
	w.queue.Remove(w.place)
	w.place = nil
	p.slots.asked.Add(-1)
	w.ready <- e
}

func (p *Pool) dismissAll(queue *list.List) {
	for w := firstOf(queue); w != nil; w = firstOf(queue) {
		p.dismiss(w, nil)
	}
}

func firstOf(queue *list.List) *waiter {
	if front := queue.Front(); front != nil {
		return front.Value.(*waiter) //nolint:forcetypeassert // the queues hold nothing else
	}
	return nil
}
