package gateway

import (
	"cmp"
	"slices"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/upstream"
	"github.com/sallyport/sallyport/policy"
)

// inventory tells operators what their configuration has become.
type inventory struct {
	cfg      *config.Config
	table    *route.Table
	policies *policies
	signIn   *login.Service
	issuers  []authn.Issuer
	pools    pools
}

var _ admin.Inventory = (*inventory)(nil)

// Routes implements admin.Inventory.
func (i *inventory) Routes() admin.Routes {
	byName := make(map[string]*config.Route, len(i.cfg.Routes))
	for j := range i.cfg.Routes {
		byName[i.cfg.Routes[j].Name] = &i.cfg.Routes[j]
	}
	var out admin.Routes
	for _, rt := range i.table.Routes() {
		c := byName[rt.Name]
		one := admin.Route{
			Name: rt.Name, Hosts: c.Hosts, Paths: c.Paths, Methods: rt.Methods, Public: rt.Public, Providers: rt.Providers,
			Requires: rt.Require.String(), Upstreams: c.Upstream, Assertion: rt.Assert != nil, Preflight: rt.Preflight,
			CrossSite: c.CrossSite.Mode, Shield: c.Shield.Mode,
		}
		if len(one.Hosts) == 0 {
			one.Hosts = []string{i.cfg.Server.URL().Hostname()}
		}
		if !rt.Public {
			one.Auth, one.Policy = c.Auth, rt.Policy.Name()
		}
		for _, h := range c.Headers {
			one.Headers = append(one.Headers, h.Name)
		}
		out.Routes = append(out.Routes, one)
	}
	return out
}

// Policies implements admin.Inventory.
func (i *inventory) Policies() admin.Policies {
	used := map[string][]string{}
	for _, rt := range i.table.Routes() {
		if !rt.Public {
			used[rt.Policy.Name()] = append(used[rt.Policy.Name()], rt.Name)
		}
	}
	out := admin.Policies{Policies: []admin.Policy{}}
	add := func(set *policy.Set) {
		one := admin.Policy{
			Name: set.Name(), Mode: set.Mode().String(), External: set.External(),
			Rules: set.Describe(), Routes: used[set.Name()],
		}
		one.Rules = append([]policy.RuleDescription{}, one.Rules...)
		one.Routes = append([]string{}, one.Routes...)
		out.Policies = append(out.Policies, one)
	}
	for j := range i.cfg.Policies {
		add(i.policies.sets[i.cfg.Policies[j].Name])
	}
	if len(used[config.PolicyAuthenticated]) > 0 {
		add(i.policies.sets[config.PolicyAuthenticated])
	}
	return out
}

// Providers implements admin.Inventory.
func (i *inventory) Providers() admin.Providers {
	out := admin.Providers{Providers: []admin.Provider{}}
	for _, p := range i.signIn.Status(i.cfg.Login.Providers) {
		out.Providers = append(out.Providers, admin.Provider{
			Name: p.Name, Type: p.Type, Issuer: p.Issuer, Status: health(p.Ready), Keys: keyAges(p.Keys),
		})
	}
	return out
}

// Issuers implements admin.Inventory.
func (i *inventory) Issuers() admin.Issuers {
	out := admin.Issuers{Issuers: []admin.Issuer{}}
	for j := range i.cfg.Tokens.Issuers {
		c := &i.cfg.Tokens.Issuers[j]
		one := admin.Issuer{
			Issuer: c.Issuer, Audiences: c.Audiences, Algorithms: c.Algorithms, Status: health(true),
			Source: cmp.Or(named("secret", c.SecretFile+c.Secret.Reveal()), named("jwks_file", c.JWKSFile), named("jwks_url", c.JWKSURL), "discovery"),
		}
		at := slices.IndexFunc(i.issuers, func(known authn.Issuer) bool { return known.Rules.Issuer == c.Issuer })
		if at >= 0 {
			if keys, ok := i.issuers[at].Keys.(*jwks.Source); ok {
				status := keys.Status()
				one.Keys, one.Status = keyAges(&status), health(keys.Ready())
			}
		}
		out.Issuers = append(out.Issuers, one)
	}
	return out
}

// named is the name of a key of the configuration that is given.
func named(key, value string) string {
	if value == "" {
		return ""
	}
	return key
}

// Upstreams implements admin.Inventory.
func (i *inventory) Upstreams() admin.Upstreams {
	out := admin.Upstreams{Routes: []upstream.Status{}}
	for _, pool := range i.pools {
		out.Routes = append(out.Routes, pool.Status())
	}
	return out
}

func health(ok bool) string {
	if ok {
		return "ok"
	}
	return "failing"
}

func keyAges(s *jwks.Status) *admin.KeyAges {
	if s == nil {
		return nil
	}
	return &admin.KeyAges{Keys: s.Keys, Confirmed: s.FetchedAt.UTC(), LastError: s.LastError}
}
