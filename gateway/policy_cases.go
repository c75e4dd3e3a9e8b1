package gateway

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// Policies are the policies of a configuration as the gateway asks them, for those
// who want to know what they decide. They hold no store and no connection.
type Policies struct {
	policies []*policy.Set // as written
	sets     map[string]*policy.Set
	routes   []askedRoute
}

// askedRoute is a route and its policy, which is nil where the route is public.
type askedRoute struct {
	name   string
	policy *policy.Set
}

// CompilePolicies compiles the policies of a configuration that has been loaded, and
// those of its routes, and reads the files of values once. In the place of every
// external authorizer it puts standIn, unless that is nil.
//
// The error is config.Faults: everything that is wrong, at once.
func CompilePolicies(cfg *config.Config, standIn policy.Authorizer) (*Policies, error) {
	compiled, err := buildPolicies(cfg, standIns(standIn))
	if err != nil {
		return nil, err
	}
	out := &Policies{sets: compiled.sets}
	for i := range cfg.Policies {
		out.policies = append(out.policies, compiled.sets[cfg.Policies[i].Name])
	}
	var faults config.Faults
	for i := range cfg.Routes {
		one := askedRoute{name: cfg.Routes[i].Name}
		if !cfg.Routes[i].Public {
			if one.policy, err = compiled.of(&cfg.Routes[i]); err != nil {
				faults = append(faults, faultsAt(cfg, fmt.Sprintf("routes[%d]", i), err)...)
			}
		}
		out.routes = append(out.routes, one)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return out, nil
}

// All returns the policies of the configuration, as they are written; the built-in
// one is not among them.
func (p *Policies) All() []*policy.Set { return slices.Clone(p.policies) }

// Policy returns the policy called name.
func (p *Policies) Policy(name string) (*policy.Set, error) {
	if set := p.sets[name]; set != nil {
		return set, nil
	}
	names := []string{config.PolicyAuthenticated}
	for _, set := range p.policies {
		names = append(names, set.Name())
	}
	return nil, fmt.Errorf("no policy is called %q: there are %s", name, strings.Join(names, ", "))
}

// Route returns the policy that the route called name asks, with everything that the
// route requires. A public route has none.
func (p *Policies) Route(name string) (*policy.Set, error) {
	names := make([]string, len(p.routes))
	for i, r := range p.routes {
		switch {
		case r.name != name:
			names[i] = r.name
		case r.policy == nil:
			return nil, fmt.Errorf("the route %q is public and asks no policy", name)
		default:
			return r.policy, nil
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no route is called %q: the configuration has none", name)
	}
	return nil, fmt.Errorf("no route is called %q: there are %s", name, strings.Join(names, ", "))
}

// Find returns the policy that a case asks.
func (p *Policies) Find(c *policytest.Case) (*policy.Set, error) {
	if c.Policy != "" {
		return p.Policy(c.Policy)
	}
	return p.Route(c.Route)
}

// CasePolicies compiles the policies that the cases of a file ask: those of its
// archive, or else of the configuration that the file names. The environment, in the
// form of os.Environ, changes a configuration as it does for Load, and no archive.
// External authorizers are not asked: the cases say what they answer.
//
// The error is config.Faults, unless the archive can't be unpacked.
func CasePolicies(file *policytest.File, environ []string) (*Policies, error) {
	if file.Archive != nil {
		return archivePolicies(file)
	}
	cfg, err := config.Load(file.Config, environ)
	if err != nil {
		return nil, err
	}
	return CompilePolicies(cfg, policytest.StandIn())
}

// archivePolicies unpacks the archive for as long as files of values are read.
func archivePolicies(file *policytest.File) (*Policies, error) {
	dir, err := os.MkdirTemp("", "sallyport-policies-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := file.Archive.Unpack(dir); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	var cfg *config.Config
	if file.Archive.Whole {
		cfg, err = config.ParseIn(dir, file.Name, file.Archive.Config, nil)
	} else {
		cfg, err = config.ParsePolicies(dir, file.Name, file.Archive.Config)
	}
	if err != nil {
		return nil, err
	}
	return CompilePolicies(cfg, policytest.StandIn())
}
