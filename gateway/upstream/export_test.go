package upstream

import (
	"context"
	"net"
	"net/netip"
)

// SetNetwork puts a network of the test in the place of the real one.
func (c *Connections) SetNetwork(
	lookup func(ctx context.Context, host string) ([]netip.Addr, error), dial func(ctx context.Context, network, address string) (net.Conn, error),
) {
	c.lookup, c.dial = lookup, dial
}

// FollowFiles looks at all files once.
func (c *Connections) FollowFiles() {
	for _, one := range c.list() {
		if one.files != nil {
			one.followFiles()
		}
	}
}

// Pick chooses an upstream for a request and gives it back: what RoundTrip does
// besides the round trip.
func (p *Pool) Pick(ctx context.Context, sticky [32]byte) (string, error) {
	e, err := p.acquire(ctx, sticky, 0, true)
	if err != nil {
		return "", err
	}
	e.release()
	return e.url, nil
}

// DialAny is dialAny.
var DialAny = dialAny //nolint:gochecknoglobals // a name for tests
