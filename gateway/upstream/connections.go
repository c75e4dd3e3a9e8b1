package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
)

// Connections are the connections to upstreams, shared by the routes whose
// settings for them are equal. It is safe for concurrent use.
type Connections struct {
	log    *zap.Logger
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	direct bool // dial makes sockets, which are not in a test

	mu      sync.Mutex
	all     map[settings]*connection
	within  context.Context //nolint:containedctx // of Run; nil while that does not run
	running sync.WaitGroup  // what follows names
}

// settings are what tells connections apart.
type settings struct {
	url             string
	connect, header time.Duration
	resolve         time.Duration
	tls             config.ClientTLS // zero unless the URL is https
}

// NewConnections makes an empty set. Nil logs nothing.
func NewConnections(log *zap.Logger) *Connections {
	if log == nil {
		log = zap.NewNop()
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 6}}
	return &Connections{
		log: log, dial: dialer.DialContext, direct: true, all: map[settings]*connection{},
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
	}
}

// Run looks up the names of the upstreams when it begins again, and reads their files
// again, until ctx ends. Upstreams that come later are looked after too.
func (c *Connections) Run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c.mu.Lock()
	c.within = ctx
	for _, one := range c.all {
		c.follow(one)
	}
	c.mu.Unlock()
	c.followFiles(ctx)
	c.mu.Lock()
	c.within = nil
	c.mu.Unlock()
	c.running.Wait()
}

// follow looks the name of an upstream up from now on. The lock is held.
func (c *Connections) follow(one *connection) {
	if one.name == nil || c.within == nil {
		return
	}
	ctx, stop := context.WithCancel(c.within)
	one.stop = stop
	c.running.Go(func() { one.name.follow(ctx) })
}

// Close drops idle connections. Requests under way go on.
func (c *Connections) Close() {
	for _, one := range c.list() {
		one.live.Load().closeIdle()
	}
}

func (c *Connections) list() []*connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.all))
}

// to returns the connections to one upstream of a route.
func (c *Connections) to(address string, r *config.Route, builtin map[string]http.Handler) (*connection, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	if u.Scheme == "builtin" {
		handler, ok := builtin[u.Opaque]
		if !ok {
			return nil, fmt.Errorf("no built-in upstream is called %q", u.Opaque)
		}
		one := &connection{scheme: "http", host: "builtin"}
		one.live.Store(&transports{main: inProcess{handler}})
		return one, nil
	}
	key := settings{url: address, connect: r.Timeouts.Connect, header: r.Timeouts.ResponseHeader, resolve: r.Balance.Resolve}
	if u.Scheme == "https" {
		key.tls = r.UpstreamTLS
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.all[key]; one != nil {
		one.users++
		return one, nil
	}
	one, err := c.open(u, key)
	if err != nil {
		return nil, err
	}
	one.users = 1
	c.all[key] = one
	c.follow(one)
	return one, nil
}

// leave says that one user less has the connections. Without any, the idle ones are
// closed and the others when their requests are over.
func (c *Connections) leave(one *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one.all == nil {
		return // inside the gateway
	}
	if one.users--; one.users > 0 {
		return
	}
	delete(c.all, one.settings)
	if one.stop != nil {
		one.stop()
	}
	one.live.Load().closeIdle()
}

func (c *Connections) open(u *url.URL, key settings) (*connection, error) {
	one := &connection{all: c, settings: key, scheme: "http", host: u.Host, network: "tcp"}
	port := "80"
	switch u.Scheme {
	case "http":
	case "h2c":
		one.h2c = true
	case "https":
		one.scheme, port = "https", "443"
	case "unix", "unix+h2c":
		one.h2c = u.Scheme == "unix+h2c"
		one.network, one.address, one.host = "unix", u.Path, "localhost"
	default:
		return nil, fmt.Errorf("upstream scheme %q is not supported", u.Scheme)
	}
	if one.network == "tcp" {
		if u.Port() != "" {
			port = u.Port()
		}
		one.address = net.JoinHostPort(u.Hostname(), port)
		if _, err := netip.ParseAddr(u.Hostname()); err != nil && key.resolve > 0 {
			one.name = &name{host: u.Hostname(), port: port, of: one}
		}
	}
	if one.scheme == "https" {
		var err error
		if one.files, err = newTLSFiles(key.tls, u.Hostname()); err != nil {
			return nil, err
		}
	}
	one.renew()
	return one, nil
}

// connection is all connections to one upstream with the same settings.
type connection struct {
	settings
	all              *Connections
	scheme, host     string // of the requests
	network, address string // to dial
	h2c              bool
	name             *name     // nil where there is nothing to look up
	files            *tlsFiles // nil without TLS

	users int                // guarded by the mu of all
	stop  context.CancelFunc // ends the looking up, where that has begun

	live atomic.Pointer[transports]
}

// roundTrip sends a request over one of the connections.
func (c *connection) roundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Scheme, r.URL.Host = c.scheme, c.host
	neverResent(r)
	t := c.live.Load()
	if t.upgrade != nil && len(r.Header["Upgrade"]) > 0 {
		return t.upgrade.RoundTrip(r)
	}
	return t.main.RoundTrip(r)
}

// renew makes new requests use new connections. Those under way end on theirs, and
// the idle ones are closed.
func (c *connection) renew() {
	if old := c.live.Swap(newTransports(c)); old != nil {
		old.closeIdle()
	}
}

// connectTo makes a connection, as far as TLS where that is asked for.
func (c *connection) connectTo(ctx context.Context, handshake func(context.Context, net.Conn) (net.Conn, error)) (net.Conn, error) {
	if c.connect > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.connect)
		defer cancel()
	}
	conn, err := c.reach(ctx)
	if err == nil && handshake != nil {
		conn, err = handshake(ctx, conn)
	}
	if err != nil {
		return nil, &ConnectError{err}
	}
	return conn, nil
}

func (c *connection) reach(ctx context.Context) (net.Conn, error) {
	if c.name == nil {
		return c.all.dial(ctx, c.network, c.address)
	}
	addresses, err := c.name.addresses(ctx, c.connect/2)
	if err != nil {
		return nil, err
	}
	return dialAny(ctx, addresses, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
		return c.all.dial(ctx, c.network, net.JoinHostPort(a.String(), c.name.port))
	})
}

// neverResent keeps net/http from sending a request of a method that is not
// idempotent a second time because it has a key that would make it so: whether its
// upstream knows such keys is not known here. Names are compared as they are
// spelled there, and without regard to case by everybody else.
func neverResent(r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return
	}
	for _, key := range [...][2]string{{"Idempotency-Key", "idempotency-key"}, {"X-Idempotency-Key", "x-idempotency-key"}} {
		if values, ok := r.Header[key[0]]; ok {
			delete(r.Header, key[0])
			r.Header[key[1]] = values
		}
	}
}

var errNoAddresses = errors.New("the name has no addresses")
