package config

import (
	"fmt"
	"slices"
)

// refresh checks when tokens are renewed, and the routes that forward them.
func (k *checker) refresh() {
	r := k.Session.Refresh
	k.atLeastSecond("session.refresh.ahead", r.Ahead)
	if r.Grace < 0 {
		k.fault("session.refresh.grace", fmt.Sprintf("%s is negative", r.Grace), "write 5m, or 0s for none")
	}
	k.atLeastSecond("session.refresh.min_remaining", r.MinRemaining)
	for i, rt := range k.Routes {
		if rt.ForwardAccessToken {
			k.forwarding(item("routes", i)+".forward_access_token", rt)
		}
	}
}

// forwarding checks a route whose application gets access tokens of a provider:
// somebody with a session from a provider must be able to come there.
func (k *checker) forwarding(at string, r Route) {
	switch {
	case r.Public:
		k.fault(at, "does not apply to a public route, where nobody is signed in", "remove it, or public")
	case !slices.Contains(r.Auth, AuthSession):
		k.fault(at, "needs a session, and the route takes none", "add session to auth, or remove it")
	case !slices.ContainsFunc(k.Login.Providers, func(p Provider) bool { return givesTokens(p) && offered(r, p) }):
		k.fault(at, "needs a provider that gives access tokens, and none is offered here", "add a provider of type oidc, or remove it")
	}
	if r.UpstreamAuthorization {
		k.fault(at, "and upstream_authorization would both write the Authorization header", "keep one of them")
	}
}

// givesTokens tells providers elsewhere from those that the gateway is itself.
func givesTokens(p Provider) bool { return p.Type != ProviderDev && p.Type != ProviderUsers }

func offered(r Route, p Provider) bool {
	return len(r.Providers) == 0 || slices.Contains(r.Providers, p.Name)
}
