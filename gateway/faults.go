package gateway

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
	"github.com/sallyport/sallyport/gateway/upstream"
	"github.com/sallyport/sallyport/policy"
)

// faultsAt turns what a compiler found wrong in the entry at path into faults
// with the places of the configuration. Nil stays nil.
func faultsAt(cfg *config.Config, path string, err error) config.Faults {
	if err == nil {
		return nil
	}
	// Not errors.AsType: a list within a ProviderError is that provider's.
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all config.Faults
		for _, one := range joined.Unwrap() {
			all = append(all, faultsAt(cfg, path, one)...)
		}
		return all
	}
	if e, ok := errors.AsType[*login.ProviderError](err); ok {
		i := slices.IndexFunc(cfg.Login.Providers, func(p config.Provider) bool { return p.Name == e.Provider })
		return config.Faults{cfg.Fault(fmt.Sprintf("%s[%d]", path, i), e.Err.Error(), "")}
	}
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var all config.Faults
		for _, one := range joined.Unwrap() {
			all = append(all, faultsAt(cfg, path, one)...)
		}
		return all
	}
	if e, ok := errors.AsType[*policy.RuleError](err); ok {
		return config.Faults{cfg.Fault(path+"."+e.Path, e.Problem, e.Fix)}
	}
	if e, ok := errors.AsType[*headers.RuleError](err); ok {
		return config.Faults{cfg.Fault(path+"."+e.Path, e.Problem, e.Fix)}
	}
	if e, ok := errors.AsType[*valkeystore.OptionError](err); ok {
		return config.Faults{cfg.Fault(path+"."+e.Path, e.Err.Error(), "")}
	}
	if e, ok := errors.AsType[*upstream.OptionError](err); ok {
		return config.Faults{cfg.Fault(path+"."+e.Path, e.Err.Error(), "name files in PEM that belong together")}
	}
	if e, ok := errors.AsType[*keyError](err); ok {
		return config.Faults{cfg.Fault(path+"."+e.key, e.problem, e.fix)}
	}
	if e, ok := errors.AsType[*route.EntryError](err); ok {
		i := slices.IndexFunc(cfg.Routes, func(r config.Route) bool { return r.Name == e.Route })
		return config.Faults{cfg.Fault(fmt.Sprintf("%s[%d].%s", path, i, e.Path), e.Problem, "")}
	}
	return config.Faults{cfg.Fault(path, err.Error(), "")}
}

// keyError is what is wrong with one key of an entry.
type keyError struct{ key, problem, fix string }

func (e *keyError) Error() string { return e.key + ": " + e.problem }
