package login

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// How many sign-ins at providers one address may begin: an office behind one
// address in the morning, or a browser that restores all of its tabs, but not a
// program that goes in circles.
const (
	floodEvery = 500 * time.Millisecond
	floodBurst = 120
	maxFlood   = 1 << 14 // addresses that are remembered
)

// flood bounds, for each address, how often something is begun: a token bucket
// that is kept as the time at which it would be full again (GCRA). It is safe
// for concurrent use.
type flood struct {
	mu   sync.Mutex
	full map[netip.Prefix]time.Time
}

// take returns 0, or how long the address has to wait. One that is not known
// never does.
func (f *flood) take(address string) time.Duration {
	network, ok := networkOf(address)
	if !ok {
		return 0
	}
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	full := f.full[network]
	if full.Before(now) {
		full = now
	}
	full = full.Add(floodEvery)
	if wait := full.Sub(now) - floodBurst*floodEvery; wait > 0 {
		return wait
	}
	if f.full == nil {
		f.full = map[netip.Prefix]time.Time{}
	}
	if _, known := f.full[network]; !known && len(f.full) >= maxFlood {
		f.forget(now)
	}
	f.full[network] = full
	return 0
}

// forget makes room: the emptiest of a handful stays, the fullest goes.
func (f *flood) forget(now time.Time) {
	const handful = 16
	var least netip.Prefix
	var soonest time.Time
	seen := 0
	for network, full := range f.full { // begins anywhere
		if full.Before(now) {
			least = network
			break
		}
		if seen == 0 || full.Before(soonest) {
			least, soonest = network, full
		}
		if seen++; seen == handful {
			break
		}
	}
	delete(f.full, least)
}

// checkFlood refuses an address that begins too many sign-ins.
func (s *Service) checkFlood(r *http.Request, provider string) error {
	if wait := s.flood.take(s.clientAddr(r)); wait > 0 {
		return s.failLogin(r, provider, tooMany(ReasonTooManySignIns, "Too many sign-ins were started from your network. Wait a moment.", wait))
	}
	return nil
}
