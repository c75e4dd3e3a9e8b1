package config

import (
	"fmt"
	"slices"
	"strings"
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
		at := item("routes", i)
		if rt.ForwardAccessToken {
			k.forwarding(at+".forward_access_token", rt, "access tokens", givesTokens)
		}
		if rt.ForwardIDToken != "" {
			k.forwarding(at+".forward_id_token", rt, "ID tokens", func(p Provider) bool { return p.OpenID() })
		}
		if name := rt.ForwardIDToken; name != "" && !isAuthorization(name) {
			k.headerName(at+".forward_id_token", name)
		}
		k.soleAuthorization(at, rt)
	}
}

// forwarding checks a route whose application gets tokens of a provider: somebody
// with a session from a provider that gives them must be able to come there.
func (k *checker) forwarding(at string, r Route, tokens string, gives func(Provider) bool) {
	switch {
	case r.Public:
		k.fault(at, "does not apply to a public route, where nobody is signed in", "remove it, or public")
	case !slices.Contains(r.Auth, AuthSession):
		k.fault(at, "needs a session, and the route takes none", "add session to auth, or remove it")
	case !slices.ContainsFunc(k.Login.Providers, func(p Provider) bool { return gives(p) && offered(r, p) }):
		k.fault(at, "needs a provider that gives "+tokens+", and none is offered here", "add a provider of type oidc, or remove it")
	}
}

// soleAuthorization refuses what would write the same header twice.
func (k *checker) soleAuthorization(at string, r Route) {
	first := ""
	for _, one := range []struct {
		key, as string
		writes  bool
	}{
		{"upstream_authorization", "upstream_authorization", r.UpstreamAuthorization},
		{"forward_access_token", "forward_access_token", r.ForwardAccessToken},
		{"forward_id_token", "forward_id_token: Authorization", isAuthorization(r.ForwardIDToken)},
		{"upstream_credential", "upstream_credential", r.UpstreamCredential != (UpstreamCredential{})},
	} {
		switch {
		case one.writes && first == "":
			first = one.as
		case one.writes:
			k.fault(at+"."+one.key, "and "+first+" would both write the Authorization header", "keep one of them")
		}
	}
}

func isAuthorization(name string) bool { return strings.EqualFold(name, "Authorization") }

// givesTokens tells providers elsewhere from those that the gateway is itself.
func givesTokens(p Provider) bool { return p.Type != ProviderDev && p.Type != ProviderUsers }

func offered(r Route, p Provider) bool {
	return len(r.Providers) == 0 || slices.Contains(r.Providers, p.Name)
}
