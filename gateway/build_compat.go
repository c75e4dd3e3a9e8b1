package gateway

import (
	"github.com/sallyport/sallyport/gateway/compat"
	"github.com/sallyport/sallyport/gateway/forwardauth"
	"github.com/sallyport/sallyport/gateway/httperr"
)

// checkOfOAuth2Proxy is where other proxies ask who were set up for oauth2-proxy,
// below its prefix.
const checkOfOAuth2Proxy = "/auth"

// compatible makes the endpoints that other products have; nil for none.
func (a *asked) compatible(p *parts, checks *forwardauth.Service) map[string]httperr.HandlerFunc {
	if !a.cfg.Compat.OAuth2Proxy {
		return nil
	}
	endpoints := compat.OAuth2Proxy(compat.Options{
		Prefix:   a.cfg.Server.AuthPrefix,
		ReturnTo: a.signIn.SignInTarget, LogoutTo: a.signIn.SignOutTarget, SignOut: a.signIn.Logout, SignedIn: a.signIn.SignedIn,
		Trusted: p.trust.peer,
	})
	endpoints[checkOfOAuth2Proxy] = checks.ServeOAuth2Proxy
	return endpoints
}
