// Package upstream is where a route leads: the addresses of an application, how
// requests are spread over them, which are fit to get any, and the connections to
// each. It knows nothing of who asks.
//
// A request is sent to a second upstream only where no connection could be made to
// the first, and its method is idempotent (RFC 9110, section 9.2.2): nothing that
// may have reached an application is ever sent again.
package upstream

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
)

// Options are what a Pool needs.
type Options struct {
	Route   config.Route
	Builtin map[string]http.Handler // upstreams inside the gateway, by the name after "builtin:"
	// Connections are shared with other Pools, and are the caller's to run and to
	// close. Nil gives the Pool some of its own, which end with it.
	Connections *Connections
	Log         *zap.Logger // nil = none
}

// Pool is the upstreams of one route. It is safe for concurrent use.
type Pool struct {
	route   string
	balance config.Balance
	connect time.Duration // how long a request waits for a slot; 0 = no limit
	host    string        // of the health checks; "" = the upstream's own
	log     *zap.Logger
	shared  *Connections
	own     *Connections // the same where nobody else has them, else nil

	// only is set where there is one upstream and nothing to keep count of.
	only      *connection
	endpoints []*endpoint
	ejecting  bool // failing upstreams are taken out of the rotation
	counting  bool // requests are counted until their answers are over

	fit     atomic.Pointer[[]*endpoint] // which get requests; the slice is never changed
	turn    atomic.Uint64               // of round robin
	retries atomic.Uint64
	busy    atomic.Uint64
	slots   slots

	mu     sync.Mutex // health and ejection of the endpoints
	closed bool
}

// New makes a Pool. It connects to nothing. What is wrong with one key of the
// route is an *OptionError, joined with others where there are some.
func New(o Options) (*Pool, error) {
	p := &Pool{
		route: o.Route.Name, balance: o.Route.Balance, connect: o.Route.Timeouts.Connect, host: o.Route.Host, log: o.Log,
		counting: len(o.Route.Upstream) > 1 || o.Route.Balance.MaxConnections > 0,
		ejecting: len(o.Route.Upstream) > 1 && o.Route.Balance.Ejection.Failures > 0,
	}
	if p.log == nil {
		p.log = zap.NewNop()
	}
	p.shared = o.Connections
	if p.shared == nil {
		p.own = NewConnections(p.log)
		p.shared = p.own
	}
	if len(o.Route.Upstream) == 0 || len(o.Route.Upstream) > config.MaxUpstreams {
		return nil, fmt.Errorf("upstream: there are %d", len(o.Route.Upstream))
	}
	for i, url := range o.Route.Upstream {
		c, err := p.shared.to(url, &o.Route, o.Builtin)
		if err != nil {
			p.giveBack()
			return nil, err
		}
		p.endpoints = append(p.endpoints, newEndpoint(p, i, url, c))
	}
	if !p.counting && p.balance.Health.Path == "" {
		p.only = p.endpoints[0].connection
	}
	p.refit()
	return p, nil
}

// Route is the name of the route that it is of.
func (p *Pool) Route() string { return p.route }

// RoundTrip sends a request, whose URL has neither scheme nor host, to one of the
// upstreams. The sticky key, unless it is zero, keeps those who have the same at
// one upstream, where the route asks for that. Errors are those of
// http.RoundTripper, a *ConnectError where no connection could be made, a
// *BusyError, and ErrNoUpstream.
func (p *Pool) RoundTrip(r *http.Request, sticky [32]byte) (*http.Response, error) {
	if p.only != nil {
		return p.only.roundTrip(r)
	}
	return p.spread(r, sticky)
}

// Watches reports whether Run has anything to do but to wait.
func (p *Pool) Watches() bool { return p.own != nil || p.balance.Health.Path != "" }

// Run checks the health of the upstreams until ctx ends.
func (p *Pool) Run(ctx context.Context) {
	var running sync.WaitGroup
	if p.own != nil {
		running.Go(func() { p.own.Run(ctx) })
	}
	if p.balance.Health.Path != "" {
		for _, e := range p.endpoints {
			running.Go(func() { p.watch(ctx, e) })
		}
	}
	running.Wait()
	<-ctx.Done()
}

// Close ends what the Pool has going on by itself. Requests under way go on. It is
// called once.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	for _, e := range p.endpoints {
		if e.back != nil {
			e.back.Stop()
		}
	}
	p.mu.Unlock()
	p.giveBack()
}

// giveBack gives the connections back.
func (p *Pool) giveBack() {
	for _, e := range p.endpoints {
		p.shared.leave(e.connection)
	}
	if p.own != nil {
		p.own.Close()
	}
}
