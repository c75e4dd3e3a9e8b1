package guard

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/gateway/headers"
)

// Response turns the header of an upstream's answer into the one that the client
// may see: nothing touches the gateway's own cookies, nothing that is between the
// gateway and the application comes out, and the route's shield hardens the rest.
// Keys are expected to be canonical, as net/http makes them.
func (v *Verdict) Response(status int, h http.Header) {
	headers.DropSetCookies(h, v.cookies.Reserved)
	headers.KeepCookies(h)
	v.scrub(h)
	v.Route.Shield.Response(status, h, v.cookies)
}

// scrub takes out identity headers and the credential for the application, which
// some applications answer with, and which no page has to read.
func (v *Verdict) scrub(h http.Header) {
	if v.Route.Shield != nil {
		for name := range h {
			if v.Route.Headers.Strips(name) {
				v.Route.Shield.Leaked(name)
			}
		}
	}
	v.Route.Headers.Strip(h)
	// Where the gateway consumed the header, what comes back is not the client's.
	if _, there := h["Authorization"]; there && !v.Route.Public && !v.Route.UpstreamAuthorization {
		v.Route.Shield.Leaked("Authorization")
		delete(h, "Authorization")
	}
}

// MayTrail reports whether a field of this name may stand in the trailer section
// of a request or an answer. What is judged or set in the header section may not:
// whoever merges the two would believe the trailer (RFC 9110, section 6.5.1).
func (v *Verdict) MayTrail(name string) bool {
	return !v.Route.Headers.Strips(name) && !inHeaderAlone(http.CanonicalHeaderKey(name))
}

func inHeaderAlone(name string) bool {
	switch name {
	case "Set-Cookie", "Cookie", "Authorization", "Www-Authenticate", "Dpop", "X-Api-Key", "X-Request-Id",
		// How the message is framed, routed, kept and read.
		"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Host", "Expect", "Max-Forwards",
		"Age", "Cache-Control", "Date", "Expires", "Location", "Pragma", "Range", "Refresh", "Retry-After", "Vary",
		// What browsers are to do and to allow.
		"Alt-Svc", "Clear-Site-Data", "Origin", "Origin-Agent-Cluster", "Permissions-Policy", "Referrer-Policy", "Strict-Transport-Security",
		"X-Content-Type-Options", "X-Frame-Options", "X-Xss-Protection":
		return true
	}
	for _, family := range [...]string{"Access-Control-", "Content-", "Cross-Origin-", "If-", "Proxy-"} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return false
}
