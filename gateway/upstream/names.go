package upstream

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// freshFor is how long the addresses of a name are taken for those that it
	// still has: a new connection asks no more often.
	freshFor = time.Second
	// stagger is how much later the next address is tried while one doesn't answer
	// (RFC 8305, section 5).
	stagger = 250 * time.Millisecond
	// lookupTimeout bounds a look-up in the background.
	lookupTimeout = 10 * time.Second
)

// name is the host name of an upstream, and the addresses that it had when it
// could last be looked up.
type name struct {
	host, port string
	of         *connection

	mu    sync.Mutex
	known []netip.Addr
	asked time.Time
	lost  bool // the last look-up failed
}

// follow looks the name up again and again until ctx ends.
func (n *name) follow(ctx context.Context) {
	tick := time.NewTicker(n.of.resolve)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, lookupTimeout)
		_ = n.look(within) // it keeps what it has
		cancel()
	}
}

// addresses returns the addresses to connect to. They are looked up within bound
// (0 = no limit) unless they are fresh; where that fails, the last ones still count.
func (n *name) addresses(ctx context.Context, bound time.Duration) ([]netip.Addr, error) {
	n.mu.Lock()
	known, fresh := n.known, time.Since(n.asked) < freshFor
	n.mu.Unlock()
	if len(known) > 0 && fresh {
		return known, nil
	}
	if bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	err := n.look(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) == 0 {
		return nil, err
	}
	return n.known, nil
}

// look looks the name up. Where its addresses are others than before, connections
// to the old ones get no new requests.
func (n *name) look(ctx context.Context) error {
	found, err := n.of.all.lookup(ctx, n.host)
	if err == nil && len(found) == 0 {
		err = errNoAddresses
	}
	n.mu.Lock()
	n.asked = time.Now()
	at := []zap.Field{zap.String("host", n.host)}
	if err != nil {
		again := n.lost
		n.lost = true
		kept := len(n.known) > 0
		n.mu.Unlock()
		if kept && !again && ctx.Err() == nil {
			n.of.all.log.Warn("an upstream's name can't be looked up, its last addresses still count", append(at, zap.Error(err))...)
		}
		return err
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	changed := len(n.known) > 0 && !sameAddresses(n.known, found)
	n.known, n.lost = found, false
	n.mu.Unlock()
	if changed {
		n.of.all.log.Info("an upstream's name has other addresses", append(at, zap.Stringers("addresses", found))...)
		n.of.renew()
	}
	return nil
}

// sameAddresses compares without regard to order, which servers vary.
func sameAddresses(a, b []netip.Addr) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, netip.Addr.Compare)
	slices.SortFunc(b, netip.Addr.Compare)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// dialAny connects to whichever address answers first, beginning with the first.
func dialAny(ctx context.Context, addresses []netip.Addr, dial func(context.Context, netip.Addr) (net.Conn, error)) (net.Conn, error) {
	if len(addresses) == 1 {
		return dial(ctx, addresses[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		conn net.Conn
		err  error
	}
	outcomes := make(chan outcome, len(addresses))
	next := time.NewTimer(0)
	defer next.Stop()
	var first error
	started, ended := 0, 0
	for ended < len(addresses) {
		select {
		case <-next.C:
			if started < len(addresses) {
				a := addresses[started]
				started++
				go func() {
					conn, err := dial(ctx, a)
					outcomes <- outcome{conn, err}
				}()
				next.Reset(stagger)
			}
		case o := <-outcomes:
			ended++
			if o.err == nil {
				go func() { // the others were cancelled, but one may have come through
					for range started - ended {
						if late := <-outcomes; late.conn != nil {
							_ = late.conn.Close() // nobody uses it
						}
					}
				}()
				return o.conn, nil
			}
			if first == nil {
				first = o.err
			}
			next.Reset(0)
		}
	}
	return nil, first
}
