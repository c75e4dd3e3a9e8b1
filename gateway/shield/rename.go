package shield

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/headers"
)

// hostPrefix is put in front of the name of a cookie, whatever that is: browsers
// take such a cookie from this host alone, by https, and for all of its paths
// (RFC 6265bis, section 4.1.3.2). No other host of the site can set one.
const hostPrefix = "__Host-"

// renames reports whether a cookie gets the prefix. One that can't have it is
// reported, and stays as it is called.
func (s *Shield) renames(line string, c *setCookie, r *rule, own Cookies) bool {
	if !s.hostPrefix || !r.renames() {
		return false
	}
	pair, _, _ := strings.Cut(line, ";")
	can := c.name != "" && c.path == "/" && (!c.hasDomain || !s.keepDomain) &&
		len(pair)+len(hostPrefix) <= maxCookie && !own.Owns(hostPrefix+c.name)
	if !can {
		s.saw(CookieNotRenamed, c)
	}
	return can
}

// renames reports whether the name may change: not that of a cookie which scripts
// look for, or other hosts, or plain http.
func (r *rule) renames() bool { return !r.Untouched && !r.Script && !r.Insecure && !r.KeepDomain }

// original returns the name by which the application knows a cookie that it
// gets, where it was renamed.
func (s *Shield) original(name string, own Cookies) (string, bool) {
	plain, ok := strings.CutPrefix(name, hostPrefix)
	if !ok || plain == "" || !s.ruleOf(name).renames() || !s.ruleOf(plain).renames() || own.Owns(plain) {
		return "", false
	}
	return plain, true
}

// Request gives cookies that were renamed their names back. Where one was, a
// cookie that is sent under the plain name is left out: any host of the site can
// have set that (cookie tossing). Other cookies stay byte for byte. h has no
// cookie of the gateway.
func (s *Shield) Request(h http.Header, own Cookies) {
	if s == nil || !s.enforce || !s.hostPrefix {
		return
	}
	lines := h["Cookie"]
	var renamed []string
	size := 0
	for _, line := range lines {
		size += len(line) + len("; ")
		if !strings.Contains(line, hostPrefix) {
			continue
		}
		for part := range strings.SplitSeq(line, ";") {
			if plain, ok := s.original(headers.CookieName(part), own); ok {
				renamed = append(renamed, plain)
			}
		}
	}
	if len(renamed) == 0 {
		return
	}
	var b strings.Builder
	b.Grow(size)
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.Trim(part, " \t")
			name := headers.CookieName(part)
			if _, ok := s.original(name, own); ok {
				part = strings.TrimPrefix(strings.TrimLeft(part, "= \t"), hostPrefix)
			} else if part == "" || slices.Contains(renamed, name) {
				continue
			}
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(part)
		}
	}
	h["Cookie"] = []string{b.String()}
}
