package proxy

import (
	"net/http"
	"net/http/httputil"
	"strings"
)

// target gives the outgoing request the bytes of path and query as the client
// sent them. net/url would re-encode some, and ReverseProxy drops a query with a
// semicolon or an odd escape. Which upstream gets it is the pool's business.
func target(pr *httputil.ProxyRequest) {
	out := pr.Out.URL
	out.RawQuery, out.ForceQuery = pr.In.URL.RawQuery, pr.In.URL.ForceQuery
	if raw := sentPath(pr.In); strings.HasPrefix(raw, "/") && out.EscapedPath() != raw {
		out.Opaque = raw
	}
}

// sendable reports whether target can send the path as it is: what net/url
// would re-encode only fits into an Opaque, and one with two slashes in front
// would be sent as an authority.
func sendable(r *http.Request) bool {
	raw := sentPath(r)
	return !strings.HasPrefix(raw, "//") || r.URL.EscapedPath() == raw
}

func sentPath(r *http.Request) string {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	return raw
}
