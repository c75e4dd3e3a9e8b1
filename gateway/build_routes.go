package gateway

import (
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/shield"
	"github.com/sallyport/sallyport/policy"
)

// buildRoutes compiles the routes.
func buildRoutes(cfg *config.Config, policies *policies, creds *credentials, signing *signing, watch *shield.Watch) (*route.Table, error) {
	var faults config.Faults
	var sets headerSets
	entries := make([]route.Entry, 0, len(cfg.Routes))
	for i, c := range cfg.Routes {
		rt, err := buildRoute(c, policies, creds, &sets)
		if err != nil {
			faults = append(faults, faultsAt(cfg, fmt.Sprintf("routes[%d]", i), err)...)
			continue
		}
		rt.Assert = signing.assert(c)
		rt.Shield = watch.Shield(c.Name, &c.Shield, &cfg.Server)
		entries = append(entries, route.Entry{Route: rt, Hosts: c.Hosts, Paths: c.Paths, Methods: c.Methods})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	table, err := route.NewTable(entries, cfg.Server.PublicHosts())
	if err != nil {
		return nil, faultsAt(cfg, "routes", err)
	}
	return table, nil
}

// headerSets gives routes with the same header rules the same compiled set. A
// session remembers its header values for the set that asked last, so a user
// who goes to and fro between such routes finds them ready.
type headerSets []struct {
	rules []config.Header
	set   *headers.Set
}

func (s *headerSets) compile(rules []config.Header) (*headers.Set, error) {
	for _, known := range *s {
		if slices.Equal(known.rules, rules) {
			return known.set, nil
		}
	}
	set, err := headers.Compile(rules, headers.Options{})
	if err != nil {
		return nil, err
	}
	*s = append(*s, struct {
		rules []config.Header
		set   *headers.Set
	}{rules, set})
	return set, nil
}

func buildRoute(c config.Route, policies *policies, creds *credentials, sets *headerSets) (*route.Route, error) {
	set, err := sets.compile(c.Headers)
	if err != nil {
		return nil, err
	}
	rt := &route.Route{
		Name: c.Name, Public: c.Public, Headers: set, Host: c.Host, Methods: c.Methods, Providers: c.Providers,
		AllowEncodedSlash: c.AllowEncodedSlash, UpstreamAuthorization: c.UpstreamAuthorization,
		CrossSite: crossSite(&c.CrossSite), Preflight: c.Preflight,
	}
	if c.Public {
		return rt, nil
	}
	var chain []authn.Authenticator
	for _, kind := range c.Auth {
		a := creds.of(&c, kind)
		if a == nil {
			return nil, fmt.Errorf("auth: no credential kind is called %q", kind)
		}
		chain = append(chain, a)
	}
	rt.Auth = authn.Order(chain)
	rt.Forward = creds.forward(&c)
	rt.Require = policyStepUp(c.Require)
	if rt.Policy, err = policies.of(&c); err != nil {
		return nil, err
	}
	return rt, nil
}

// of returns the policy of a route, with everything that the route requires.
func (p *policies) of(c *config.Route) (*policy.Set, error) {
	set := p.sets[c.Policy]
	if set == nil {
		return nil, fmt.Errorf("policy: no policy is called %q", c.Policy)
	}
	set, err := set.Requiring(policyStepUp(c.Require))
	if err != nil {
		return nil, fmt.Errorf("require: %w", err)
	}
	return set, nil
}
