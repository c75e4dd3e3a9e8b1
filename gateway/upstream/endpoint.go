package upstream

import (
	"container/list"
	"hash/fnv"
	"slices"
	"sync/atomic"
	"time"
)

// endpoint is one upstream as one route sees it.
type endpoint struct {
	*connection
	pool  *Pool
	index int
	url   string // as it is configured
	hash  uint64 // of the URL: the same in every gateway

	fit       atomic.Bool  // it gets requests
	inFlight  atomic.Int64 // where the pool counts
	failures  atomic.Int32 // in a row
	ejections atomic.Uint64

	// Guarded by the pool's mu.
	health health
	out    bool          // ejected
	until  time.Time     // when it comes back, or came
	outFor time.Duration // the last time
	back   *time.Timer   // brings it back

	waiting list.List // of *waiter, for this one alone; guarded by the mu of the slots
}

func newEndpoint(p *Pool, index int, url string, c *connection) *endpoint {
	h := fnv.New64a()
	_, _ = h.Write([]byte(url)) // a hash takes everything
	return &endpoint{connection: c, pool: p, index: index, url: url, hash: h.Sum64()}
}

// take counts one more request, unless there are as many as there may be.
func (e *endpoint) take() bool {
	if !e.pool.counting {
		return true
	}
	limit := int64(e.pool.balance.MaxConnections)
	if limit == 0 {
		e.inFlight.Add(1)
		return true
	}
	for {
		n := e.inFlight.Load()
		if n >= limit {
			return false
		}
		if e.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release undoes take.
func (e *endpoint) release() {
	if !e.pool.counting {
		return
	}
	e.inFlight.Add(-1)
	if e.pool.slots.asked.Load() > 0 {
		e.pool.offer(e)
	}
}

// refit lists anew which endpoints get requests: those that are neither failing
// their checks nor ejected; where there are none, the ejected ones, of which
// nothing worse is known than that they failed lately; and never those that say
// of themselves that they are not well. The pool's mu is held, but by New.
func (p *Pool) refit() {
	fit, ejected := []*endpoint{}, []*endpoint(nil)
	for _, e := range p.endpoints {
		switch {
		case e.health.down:
		case e.out:
			ejected = append(ejected, e)
		default:
			fit = append(fit, e)
		}
	}
	if len(fit) == 0 {
		fit = ejected
	}
	p.fit.Store(&fit)
	for _, e := range p.endpoints {
		e.fit.Store(slices.Contains(fit, e))
	}
	p.changed()
}
