package guard

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/route"
)

// CrossSite says that a page of another site had the browser send the request.
type CrossSite struct {
	Kind string // CrossSiteRequest or CrossSiteUpgrade; empty where nothing says so
	Mode string // CrossSiteReport or CrossSiteEnforce
}

// The words of CrossSite.
const (
	CrossSiteRequest = "request"
	CrossSiteUpgrade = "websocket"
	CrossSiteReport  = "report"
	CrossSiteEnforce = "enforce"
)

// site knows what browsers take for the origin of the gateway's own pages, and
// what they say of the pages of others.
type site struct {
	scheme string // of public_url, with ://
	port   string // that browsers leave out, with its colon
	check  *http.CrossOriginProtection
}

func newSite(scheme string) site {
	s := site{scheme: scheme + "://", port: ":80", check: http.NewCrossOriginProtection()}
	if scheme == "https" {
		s.port = ":443"
	}
	return s
}

// refuses looks for a request that a page of another site had the browser send
// along with a credential of its user, and sets the verdict for it. It reports
// whether the route refuses it.
func (s *site) refuses(r *http.Request, v *Verdict) bool {
	rules := &v.Route.CrossSite
	if rules.WebSocket == route.Off && rules.Requests == route.Off || !ambient(r, v) {
		return false
	}
	if isUpgrade(r) && rules.WebSocket != route.Off && s.foreignUpgrade(r, v) {
		return v.crossSite(CrossSiteUpgrade, rules.WebSocket, ReasonCrossSite)
	}
	if rules.Requests != route.Off && s.foreign(r, rules.Origins) {
		return v.crossSite(CrossSiteRequest, rules.Requests, ReasonCrossSiteRequest)
	}
	return false
}

// crossSite keeps a finding, and reports whether it is a refusal.
func (v *Verdict) crossSite(kind string, mode route.Guard, reason string) bool {
	v.CrossSite = CrossSite{Kind: kind, Mode: CrossSiteReport}
	if mode == route.Report {
		return false
	}
	v.CrossSite.Mode = CrossSiteEnforce
	v.Outcome, v.Reason = Forbid, reason
	return true
}

// ambient reports whether a browser may have added a credential by itself. What
// a script has to add is no way in for the pages of others: CORS keeps them from
// it. On a public route the application may know cookies that the gateway does
// not.
func ambient(r *http.Request, v *Verdict) bool {
	switch v.Kind {
	case authn.KindSession, authn.KindBasic, authn.KindClientCert:
		return true
	case authn.KindNone:
		const bearer = "Bearer "
		auth := r.Header["Authorization"]
		return len(auth) != 1 || len(auth[0]) < len(bearer) || !strings.EqualFold(auth[0][:len(bearer)], bearer)
	case authn.KindBearer, authn.KindIntrospection, authn.KindAPIKey:
	}
	return false
}

// foreign reports whether a request that changes something comes from a page of
// another origin, whether or not of the same site. Programs that are no browsers
// say nothing of it.
func (s *site) foreign(r *http.Request, trusted []string) bool {
	fetched, origin := r.Header["Sec-Fetch-Site"], r.Header["Origin"]
	switch {
	case isSafe(r.Method), isTrusted(origin, trusted):
		return false
	case len(fetched) == 0:
		// An older browser. Check would look at the host alone, so that a page which
		// came by plain http, from whomever, would be one of ours.
		return len(origin) > 0 && !s.own(origin, r.Host)
	}
	return len(fetched) > 1 || s.check.Check(r) != nil
}

func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// isUpgrade reports whether a request asks for a WebSocket, in whatever words. An
// offer of another protocol goes no further than here, so that it makes no
// difference: programs offer h2c with each request, and no page can.
func isUpgrade(r *http.Request) bool {
	return slices.ContainsFunc(r.Header["Upgrade"], func(offer string) bool { return strings.Contains(strings.ToLower(offer), "websocket") }) ||
		len(r.Header["Sec-Websocket-Key"]) > 0 || r.Method == http.MethodConnect
}

// foreignUpgrade reports whether a handshake is not known to come from a page of
// this site. Browsers send cookies with the WebSocket handshakes of any site and
// apply no CORS to them (cross-site WebSocket hijacking; RFC 6455, section 10.2).
// They always say the Origin: where there is none no page asks, but a cookie was
// made for pages.
func (s *site) foreignUpgrade(r *http.Request, v *Verdict) bool {
	origin := r.Header["Origin"]
	if len(origin) == 0 {
		return v.Kind == authn.KindSession || v.Kind == authn.KindNone && len(r.Header["Cookie"]) > 0
	}
	return !s.own(origin, r.Host) && !isTrusted(origin, v.Route.CrossSite.Origins)
}

// own reports whether an Origin is that of the page that a browser sees at host.
func (s *site) own(origin []string, host string) bool {
	if len(origin) != 1 {
		return false
	}
	named, ok := strings.CutPrefix(origin[0], s.scheme)
	return ok && strings.EqualFold(strings.TrimSuffix(named, s.port), strings.TrimSuffix(host, s.port))
}

func isTrusted(origin, trusted []string) bool {
	return len(origin) == 1 && slices.Contains(trusted, origin[0])
}
