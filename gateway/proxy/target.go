package proxy

import (
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// Target is where a route leads, and how requests are carried there.
type Target struct {
	Pool     *upstream.Pool
	Settings config.Route
}

// maxBody is how many bytes a request's body may have; 0 = no limit.
func (t *Target) maxBody(otherwise int64) int64 {
	if t.Settings.MaxBodyBytes != nil {
		return *t.Settings.MaxBodyBytes
	}
	return otherwise
}

// path returns the path to send, in the bytes that the client sent: net/url would
// re-encode some of them. It is not ok where the application could read another
// path than the one that was judged.
func (t *Target) path(r *http.Request) (raw string, ok bool) {
	raw = sentPath(r)
	if strip := t.Settings.StripPrefix; strip != "" {
		if raw, ok = cutPrefix(raw, strip); !ok {
			return "", false
		}
	}
	raw = t.Settings.AddPrefix + raw
	// Two slashes in front would be sent as an authority, if it has to go round
	// net/url.
	return raw, !strings.HasPrefix(raw, "//") || r.URL.EscapedPath() == raw
}

// rewritten reports whether the application gets another path than the client
// has sent.
func (t *Target) rewritten() bool { return t.Settings.StripPrefix != "" || t.Settings.AddPrefix != "" }

// cutPrefix takes a clean prefix off a path as it was sent, in which letters of
// the prefix may be percent-encoded but no slash. What is left has to begin with
// one slash and must hold no second one beside another in any spelling: an
// application that merges them would see a path that the gateway did not judge
// (CVE-2026-40912).
func cutPrefix(raw, prefix string) (rest string, ok bool) {
	for i := range len(prefix) {
		if raw == "" {
			return "", false
		}
		c, width := raw[0], 1
		if c == '%' {
			if c, width, ok = unescapeByte(raw); !ok || c == '/' {
				return "", false
			}
		}
		if c != prefix[i] {
			return "", false
		}
		raw = raw[width:]
	}
	if raw == "" {
		return "/", true
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil || raw[0] != '/' || strings.Contains(decoded, "//") {
		return "", false
	}
	return raw, true
}

func unescapeByte(raw string) (c byte, width int, ok bool) {
	const width3 = len("%41")
	if len(raw) < width3 {
		return 0, 0, false
	}
	decoded, err := url.PathUnescape(raw[:width3])
	if err != nil || len(decoded) != 1 {
		return 0, 0, false
	}
	return decoded[0], width3, true
}

// address gives the outgoing request its path, and the query with the bytes that
// the client sent: ReverseProxy drops one with a semicolon or an odd escape. Which
// upstream gets it is the pool's business.
func (x *exchange) address(pr *httputil.ProxyRequest) {
	out := pr.Out.URL
	out.RawQuery, out.ForceQuery = pr.In.URL.RawQuery, pr.In.URL.ForceQuery
	if x.target.rewritten() {
		if path, err := url.PathUnescape(x.path); err == nil {
			out.Path, out.RawPath = path, x.path
		}
	}
	if strings.HasPrefix(x.path, "/") && out.EscapedPath() != x.path {
		out.Opaque = x.path
	}
}

func sentPath(r *http.Request) string {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	return raw
}

// ownFields is about how many header fields a gateway adds.
const ownFields = 12

// withRoom returns the headers in a map that does not grow when the gateway adds its
// own, which would be done in several steps.
func withRoom(h http.Header) http.Header {
	larger := make(http.Header, len(h)+ownFields)
	maps.Copy(larger, h)
	return larger
}
