package upstream

import (
	"context"
	"net"
	"net/http"
	"net/netip"
)

// SetNetwork puts a network of the test in the place of the real one.
func (c *Connections) SetNetwork(
	lookup func(ctx context.Context, host string) ([]netip.Addr, error), dial func(ctx context.Context, network, address string) (net.Conn, error),
) {
	c.lookup, c.dial, c.direct = lookup, dial, false
}

// FollowFiles looks at all files once.
func (c *Connections) FollowFiles() {
	for _, one := range c.list() {
		if one.files != nil {
			one.followFiles()
		}
	}
}

// SetTransport puts a transport of the test in the place of all connections.
func (p *Pool) SetTransport(to http.RoundTripper) {
	for _, e := range p.endpoints {
		e.live.Store(&transports{main: to})
	}
}

// DialAny is dialAny.
var DialAny = dialAny
