// Package upstream is where a route leads: the addresses of an application, how
// requests are spread over them, which are fit to get any, and the connections to
// each. It knows nothing of who asks.
package upstream

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// Options are what a Pool needs.
type Options struct {
	Route   config.Route
	Builtin map[string]http.Handler // upstreams inside the gateway, by the name after "builtin:"
}

// Pool is the upstreams of one route. It is safe for concurrent use.
type Pool struct {
	transport    http.RoundTripper
	scheme, host string
}

// New makes a Pool. It connects to nothing.
func New(o Options) (*Pool, error) {
	u, err := url.Parse(o.Route.Upstream[0])
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	switch u.Scheme {
	case "http", "https":
		return &Pool{transport: newTransport(), scheme: u.Scheme, host: u.Host}, nil
	case "h2c":
		t := newTransport()
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
		return &Pool{transport: t, scheme: "http", host: u.Host}, nil
	case "unix":
		t := newTransport()
		dialer := net.Dialer{Timeout: 5 * time.Second}
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", u.Path)
		}
		return &Pool{transport: t, scheme: "http", host: "localhost"}, nil
	case "builtin":
		handler, ok := o.Builtin[u.Opaque]
		if !ok {
			return nil, fmt.Errorf("no built-in upstream is called %q", u.Opaque)
		}
		return &Pool{transport: inProcess{handler}, scheme: "http", host: "builtin"}, nil
	}
	return nil, fmt.Errorf("upstream scheme %q is not supported", u.Scheme)
}

// RoundTrip sends a request, whose URL has neither scheme nor host, to one of the
// upstreams. The sticky key, unless it is zero, keeps those who have the same at
// one upstream. Errors are those of http.RoundTripper.
func (p *Pool) RoundTrip(r *http.Request, _ [32]byte) (*http.Response, error) {
	r.URL.Scheme, r.URL.Host = p.scheme, p.host
	return p.transport.RoundTrip(r)
}

// Run checks the health of the upstreams until ctx ends.
func (p *Pool) Run(ctx context.Context) { <-ctx.Done() }

// Close drops idle connections.
func (p *Pool) Close() {
	if t, ok := p.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// newTransport makes a transport for network upstreams: a large idle pool, no
// compression of our own, and no proxy from the environment, which is meant for
// calls to the outside.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           4096,
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  5 * time.Minute,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 256 << 10,
		ReadBufferSize:         16 << 10,
		WriteBufferSize:        16 << 10,
	}
}
