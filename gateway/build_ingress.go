package gateway

import (
	"net/http"
	"slices"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/compat"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/forwardauth"
	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// asked are the front ends by which other proxies ask.
type asked struct {
	cfg    *config.Config
	table  *route.Table
	signIn *login.Service
	edge   *httperr.Edge // for the clients that the proxies ask for
	watch  *observer
	log    *zap.Logger
}

// forwardAuth makes the check endpoints that are enabled; nil for none.
func (a *asked) forwardAuth(p *parts) *forwardauth.Service {
	if len(a.cfg.ForwardAuth.Enabled) == 0 && !a.cfg.Compat.OAuth2Proxy {
		return nil
	}
	return forwardauth.New(forwardauth.Options{
		Judge: a.judge(p), Passes: a.passes(),
		Prefix: a.cfg.Server.AuthPrefix + "/check", Dialects: a.cfg.ForwardAuth.Enabled,
		OAuth2Proxy: &forwardauth.OAuth2Proxy{Scheme: a.cfg.Server.URL().Scheme, Forwarded: a.cfg.Compat.ForwardedHeaders},
		Trusted:     p.trust.peer, Edge: a.edge, MaxTarget: a.cfg.Server.Limits.MaxTargetBytes,
	})
}

// own knows the paths that no application gets a request for.
func (a *asked) own(path string) bool {
	_, own := belowPrefix(path, a.cfg.Server.AuthPrefix)
	if !own && a.cfg.Compat.OAuth2Proxy {
		_, own = belowPrefix(path, compat.OAuth2ProxyPrefix)
	}
	return own
}

// judge decides for all of them, and sends browsers to absolute addresses.
func (a *asked) judge(p *parts) *frontend.Judge {
	challenge := challenger(func(r *http.Request, want policy.StepUp) string {
		return a.signIn.AbsoluteStepUpURL(r, login.StepUp(want))
	}, a.cfg.Server.URL().Host)
	return &frontend.Judge{Guard: p.guard, Challenge: challenge, Own: a.own}
}

// passes knows every header that says who somebody is, on whatever route: a proxy
// has one list of them.
func (a *asked) passes() *frontend.Passes {
	var names []string
	for _, rt := range a.table.Routes() {
		names = slices.Concat(names, rt.Headers.Names(), []string{rt.Headers.IDTokenHeader()})
		if rt.Assert != nil {
			names = append(names, headers.AssertionHeader)
		}
	}
	return frontend.NewPasses(slices.DeleteFunc(names, func(name string) bool { return name == "" }))
}
