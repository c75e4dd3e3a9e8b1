package gateway

import (
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/carried"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/proxy"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// pools are the upstreams of the routes, in the order of the configuration.
type pools []*upstream.Pool

// buildTargets makes the upstreams of the routes. It connects to none.
func buildTargets(
	cfg *config.Config, table *route.Table, builtin map[string]http.Handler, log *zap.Logger, p *parts,
) (map[*route.Route]*proxy.Target, error) {
	byName := make(map[string]*route.Route, len(cfg.Routes))
	for _, rt := range table.Routes() {
		byName[rt.Name] = rt
	}
	targets := make(map[*route.Route]*proxy.Target, len(cfg.Routes))
	var all pools
	var faults config.Faults
	for i := range cfg.Routes {
		c := &cfg.Routes[i]
		if len(c.Upstream) == 0 {
			continue // other proxies ask about it, and nothing is forwarded
		}
		pool, err := carried.Take(p.hold, "upstreams", poolSettingsOf(cfg, c), func() (*upstream.Pool, carried.Work, error) {
			pool, err := upstream.New(upstream.Options{Route: *c, Builtin: builtin, Connections: p.core.connections, Log: log})
			if err != nil {
				return nil, carried.Work{}, err
			}
			work := carried.Work{Close: pool.Close}
			if pool.Watches() {
				work.Run = pool.Run
			}
			return pool, work, nil
		})
		if err != nil {
			faults = append(faults, faultsAt(cfg, fmt.Sprintf("routes[%d]", i), err)...)
			continue
		}
		targets[byName[c.Name]] = &proxy.Target{Pool: pool, Settings: *c}
		all = append(all, pool)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	p.upstreams = all
	return targets, nil
}

// poolSettings are what a pool is made of: one with the same goes on, with what it knows
// of its upstreams.
type poolSettings struct {
	route, host, prefix string // the last one of what the gateway itself answers
	upstreams           []string
	balance             config.Balance
	connect, header     time.Duration
	tls                 config.ClientTLS
}

func poolSettingsOf(cfg *config.Config, r *config.Route) poolSettings {
	return poolSettings{
		r.Name, r.Host, cfg.Server.AuthPrefix, r.Upstream, r.Balance, r.Timeouts.Connect, r.Timeouts.ResponseHeader, r.UpstreamTLS,
	}
}

// proceed goes on with what is known of upstreams that stay though their route's others
// change.
func (p pools) proceed(former pools) {
	byRoute := make(map[string]*upstream.Pool, len(former))
	for _, one := range former {
		byRoute[one.Route()] = one
	}
	for _, one := range p {
		if old := byRoute[one.Route()]; old != nil {
			one.Continue(old)
		}
	}
}

// figures are what the metrics show: of upstreams of which more is known than where
// they are.
func (p pools) figures() []telemetry.RouteUpstreams {
	var all []telemetry.RouteUpstreams
	for _, pool := range p {
		s := pool.Status()
		if !s.Watched {
			continue
		}
		r := telemetry.RouteUpstreams{Route: s.Route, Retries: s.Retries, Busy: s.Busy}
		for _, u := range s.Upstreams {
			r.Upstreams = append(r.Upstreams, telemetry.Upstream{
				URL: u.Upstream, Healthy: u.Healthy && u.EjectedUntil.IsZero(), InFlight: u.InFlight, Ejections: u.Ejections,
			})
		}
		all = append(all, r)
	}
	return all
}
