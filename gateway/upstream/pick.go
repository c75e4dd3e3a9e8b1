package upstream

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/sallyport/sallyport/gateway/config"
)

// pick chooses one of the fit endpoints, leaving out those whose bit is set in
// tried, and takes a slot of it. It returns nil where none is left or none of those
// that would do has a slot.
func (p *Pool) pick(fit []*endpoint, sticky [32]byte, tried uint64) *endpoint {
	switch {
	case p.sticks(sticky):
		if e := rendezvous(fit, stickyKey(sticky), tried); e != nil && e.take() {
			return e
		}
		return nil
	case p.balance.Method == config.BalanceLeastLoaded:
		return p.lessLoaded(fit, tried)
	}
	return p.next(fit, tried)
}

func (p *Pool) sticks(sticky [32]byte) bool { return p.balance.Sticky && sticky != [32]byte{} }

// stickyKey is as random as the key of a session, which is a hash.
func stickyKey(sticky [32]byte) uint64 { return binary.LittleEndian.Uint64(sticky[:]) }

// next takes turns. One that has no slot loses its turn, and a second attempt takes
// none: where one of two is dead, it would come before that one each time.
func (p *Pool) next(fit []*endpoint, tried uint64) *endpoint {
	n, start := uint64(len(fit)), p.turn.Load()
	if tried == 0 {
		start = p.turn.Add(1) - 1
	}
	for i := range n {
		if e := fit[(start+i)%n]; e.untried(tried) && e.take() {
			return e
		}
	}
	return nil
}

// lessLoaded draws two and takes the one with fewer requests under way. Asking all
// would send every gateway's next requests to the same one.
func (p *Pool) lessLoaded(fit []*endpoint, tried uint64) *endpoint {
	n := uint64(len(fit))
	if n == 0 {
		return nil
	}
	first := rand.Uint64N(n) //nolint:gosec // which upstream serves a request is no secret
	if n > 1 && tried == 0 {
		second := (first + 1 + rand.Uint64N(n-1)) % n //nolint:gosec // as above
		a, b := fit[first], fit[second]
		if b.inFlight.Load() < a.inFlight.Load() {
			a, b = b, a
		}
		if a.take() {
			return a
		}
		if b.take() {
			return b
		}
	}
	for i := range n {
		if e := fit[(first+i)%n]; e.untried(tried) && e.take() {
			return e
		}
	}
	return nil
}

// rendezvous is highest random weight hashing: each endpoint has a weight for each
// key, so that one that goes moves none but its own keys, and every gateway finds
// the same.
func rendezvous(fit []*endpoint, key, tried uint64) *endpoint {
	var best *endpoint
	var most uint64
	for _, e := range fit {
		if weight := mix(key ^ e.hash); e.untried(tried) && (best == nil || weight > most) {
			best, most = e, weight
		}
	}
	return best
}

// mix spreads every bit of x over all of the result (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func (e *endpoint) untried(tried uint64) bool { return tried>>e.index&1 == 0 }
