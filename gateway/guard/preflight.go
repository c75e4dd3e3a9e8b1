package guard

import (
	"net/http"
	"strings"
)

// preflight lets a CORS preflight pass on a route that allows it, whoever sends
// it. It asks about the request to come, so that the route of that request is the
// one that counts, and its methods are those which may be asked about.
func (g *Guard) preflight(r *http.Request, v *Verdict) bool {
	if r.Method != http.MethodOptions || !isPreflight(r) {
		return false
	}
	m, err := g.routes.MatchMethod(r, r.Header["Access-Control-Request-Method"][0])
	if err != nil || !m.Route.Preflight {
		return false
	}
	v.Route, v.bare = m.Route, true
	v.Outcome, v.Reason = Allow, ReasonPreflight
	return true
}

// isPreflight tells a browser's question (Fetch, section 4.8) from any other
// OPTIONS request.
func isPreflight(r *http.Request) bool {
	return len(r.Header["Origin"]) == 1 && len(r.Header["Access-Control-Request-Method"]) == 1 &&
		r.ContentLength == 0 && len(r.TransferEncoding) == 0 && len(r.Header["Upgrade"]) == 0
}

// keepPreflight leaves of a request what browsers and proxies put into a
// preflight. Nobody has proven anything, and whatever else an application
// understands (a cookie, a key, another method in a header) would be a way in.
func keepPreflight(h http.Header) {
	for name := range h {
		switch name {
		case "Origin", "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Pragma", "Referer", "User-Agent", "Priority",
			"Traceparent", "Tracestate", "Via":
		default:
			if !strings.HasPrefix(name, "Access-Control-Request-") && !strings.HasPrefix(name, "Sec-Fetch-") && !strings.HasPrefix(name, "Sec-Ch-") {
				delete(h, name)
			}
		}
	}
}
