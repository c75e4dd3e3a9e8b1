package admin

import (
	"net/netip"
	"sync"
	"time"
)

const (
	maxAttempts    = 10 // wrong tokens of one address in attemptsWindow
	attemptsWindow = time.Minute
	maxStrangers   = 1024 // addresses that are remembered; the others share one count
)

// attempts counts wrong tokens by the address that they came from. One that has
// sent too many is not listened to for a while, with the right one neither: it
// could go on guessing otherwise. Who has signed in before is not concerned.
type attempts struct {
	mu sync.Mutex
	by map[netip.Prefix]*failures
}

type failures struct {
	count int
	since time.Time
}

// wait says how long the address is not listened to; 0 where it is.
func (a *attempts) wait(addr string, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.by[network(addr)]
	if f == nil && len(a.by) > maxStrangers {
		f = a.by[netip.Prefix{}]
	}
	if f == nil || f.count < maxAttempts {
		return 0
	}
	return max(0, f.since.Add(attemptsWindow).Sub(now))
}

// failed counts a wrong token.
func (a *attempts) failed(addr string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[netip.Prefix]*failures{}
	}
	at := network(addr)
	if a.by[at] == nil && len(a.by) >= maxStrangers {
		for old, f := range a.by {
			if now.Sub(f.since) > attemptsWindow {
				delete(a.by, old)
			}
		}
		if len(a.by) >= maxStrangers {
			at = netip.Prefix{}
		}
	}
	f := a.by[at]
	if f == nil || now.Sub(f.since) > attemptsWindow {
		f = &failures{since: now}
		a.by[at] = f
	}
	f.count++
}

// network is what one stranger may own: an address, or of IPv6 a network of 64
// bits. Sockets of this machine are all the same.
func network(addr string) netip.Prefix {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 64
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		bits = 32
	}
	at, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return at
}
