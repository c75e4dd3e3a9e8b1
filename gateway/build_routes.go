package gateway

import (
	"fmt"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/shield"
	"github.com/sallyport/sallyport/policy"
)

// buildRoutes compiles the routes.
func buildRoutes(cfg *config.Config, policies *policies, creds *credentials, logins *appLogins, signing *signing, watch *shield.Watch) (*route.Table, error) {
	var faults config.Faults
	sets := newHeaderSets(cfg)
	entries := make([]route.Entry, 0, len(cfg.Routes))
	for i, c := range cfg.Routes {
		at := fmt.Sprintf("routes[%d]", i)
		rt, err := buildRoute(c, policies, creds, sets)
		if err != nil {
			faults = append(faults, faultsAt(cfg, at, err)...)
			continue
		}
		if rt.Credential, err = logins.of(at, &c); err != nil {
			faults = append(faults, faultsAt(cfg, at, err)...)
			continue
		}
		rt.CredentialOptional = c.UpstreamCredential.Optional
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

func buildRoute(c config.Route, policies *policies, creds *credentials, sets *headerSets) (*route.Route, error) {
	set, err := sets.of(&c)
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
	rt.Forward, rt.ForwardID = creds.forward(&c)
	rt.Require = policyStepUp(c.Require)
	if rt.Policy, err = policies.of(&c); err != nil {
		return nil, err
	}
	return rt, nil
}

// of returns the policy of a route, with everything that the route requires; none where
// it does not compile.
func (p *policies) of(c *config.Route) (*policy.Set, error) {
	set := p.sets[c.Policy]
	if p.broken[c.Policy] {
		return nil, nil //nolint:nilnil // no policy lets nobody in, and its fault is known
	}
	if set == nil {
		return nil, fmt.Errorf("policy: no policy is called %q", c.Policy)
	}
	set, err := set.Requiring(policyStepUp(c.Require))
	if err != nil {
		return nil, fmt.Errorf("require: %w", err)
	}
	return set, nil
}
