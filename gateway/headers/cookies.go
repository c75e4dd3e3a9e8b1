package headers

import (
	"net/http"
	"strings"
)

// StripCookies removes from the Cookie lines of a request the cookies for which
// gateway reports true. Where one goes, the others stay byte for byte, in one
// line and without empty elements; where none goes, a single line stays as it
// was sent. Nothing is left of a header that only held the gateway's.
//
// It reads the raw lines: http.Request.Cookies returns nothing at all for more
// than 3000 cookies, while the header would still go upstream. h is expected to
// have canonical keys, as net/http makes them.
func StripCookies(h http.Header, gateway func(name string) bool) {
	lines := h["Cookie"]
	if len(lines) == 0 {
		return
	}
	kept, size, removed := 0, 0, false
	only := "" // the one cookie that is left, if it is one
	for _, line := range lines {
		for rest, more := line, true; more; {
			var part string
			part, rest, more = strings.Cut(rest, ";")
			part = trimSpace(part)
			switch {
			case part == "":
			case gateway(CookieName(part)):
				removed = true
			default:
				only = part
				kept++
				size += len(part) + len("; ")
			}
		}
	}
	switch {
	case kept == 0 && (removed || len(lines) > 1):
		delete(h, "Cookie")
	case !removed && len(lines) == 1:
	case kept == 1:
		h["Cookie"] = []string{only}
	default:
		h["Cookie"] = []string{joinKept(lines, gateway, size)}
	}
}

func joinKept(lines []string, gateway func(name string) bool, size int) string {
	var b strings.Builder
	b.Grow(size)
	for _, line := range lines {
		for rest, more := line, true; more; {
			var part string
			part, rest, more = strings.Cut(rest, ";")
			if part = trimSpace(part); part == "" || gateway(CookieName(part)) {
				continue
			}
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(part)
		}
	}
	return b.String()
}

// DropSetCookies removes from a response the Set-Cookie lines that would set or
// delete a cookie of the gateway: those for whose name gateway reports true. It
// is asked for the name as written and in the spellings that differ from it in
// letter case only and that the gateway uses for its own: all lower case, also
// behind __Host- and __Secure-.
func DropSetCookies(h http.Header, gateway func(name string) bool) {
	lines := h["Set-Cookie"]
	for i := range lines {
		if !isGatewayCookie(CookieName(lines[i]), gateway) {
			continue
		}
		kept := append(make([]string, 0, len(lines)-1), lines[:i]...)
		for _, line := range lines[i+1:] {
			if !isGatewayCookie(CookieName(line), gateway) {
				kept = append(kept, line)
			}
		}
		if len(kept) == 0 {
			delete(h, "Set-Cookie")
		} else {
			h["Set-Cookie"] = kept
		}
		return
	}
}

func isGatewayCookie(name string, gateway func(name string) bool) bool {
	if gateway(name) {
		return true
	}
	lower := strings.ToLower(name)
	for _, prefix := range []string{"__Host-", "__Secure-"} {
		if len(lower) > len(prefix) && strings.EqualFold(lower[:len(prefix)], prefix) {
			return gateway(lower) || gateway(prefix+lower[len(prefix):])
		}
	}
	return lower != name && gateway(lower)
}

// CookieName returns what an application or a browser may take for the name of
// a cookie. "=sp=x" and "sp" set a cookie without a name whose value is sent
// back as if it had one, so leading equals signs and a missing one are no way
// round (RFC 6265bis, section 5.7).
func CookieName(s string) string {
	s, _, _ = strings.Cut(s, ";")
	s = strings.TrimLeft(s, "= \t")
	s, _, _ = strings.Cut(s, "=")
	return trimSpace(s)
}

func trimSpace(s string) string { return strings.Trim(s, " \t") }
