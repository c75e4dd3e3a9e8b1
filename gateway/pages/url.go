package pages

import (
	"net/http"
	"net/url"
	"strings"
)

// isLocal reports whether s is a path on this host. "//host" and "/\host" are
// not: browsers read both as another host (open redirect).
func isLocal(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.HasPrefix(s, `/\`)
}

// here is the address of r as one to come back to, or "" where there is none.
// The gateway's own endpoints are none: a return to a callback would repeat a
// sign-in that is over and put its code into another URL. The query of anything
// but a page load is left out, since it is not what the person had on screen.
func (p *Renderer) here(r *http.Request) string {
	path := r.URL.EscapedPath()
	if !isLocal(path) || path == p.prefix || strings.HasPrefix(path, p.prefix+"/") {
		return ""
	}
	if isLoad(r) && r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	return path
}

// isLoad reports whether asking again for r's URL is the same as reloading it.
func isLoad(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// loginURL is where a sign-in starts. Empty values are left out.
func (p *Renderer) loginURL(pairs ...[2]string) string {
	q := make(url.Values, len(pairs))
	for _, kv := range pairs {
		if kv[1] != "" {
			q.Set(kv[0], kv[1])
		}
	}
	if len(q) == 0 {
		return p.prefix + "/login"
	}
	return p.prefix + "/login?" + q.Encode()
}
