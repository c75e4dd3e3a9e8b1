package route

import (
	"net/netip"
	"strings"
)

// maxHost is the longest host name that DNS knows (RFC 1035, section 2.3.4).
const maxHost = 253

// canonicalHost reads a Host header (RFC 9110, section 7.2): lower case, without
// port and without the dot of the root. IPv6 addresses come without brackets in
// their shortest form (RFC 5952). A name in lower case is not copied.
func canonicalHost(hostport string) (host string, ok bool) {
	if strings.HasPrefix(hostport, "[") {
		address, rest, closed := strings.Cut(hostport[1:], "]")
		if !closed || !goodPort(rest) {
			return "", false
		}
		return canonicalIPv6(address)
	}
	host = hostport
	if i := strings.IndexByte(hostport, ':'); i >= 0 {
		if !goodPort(hostport[i:]) {
			return "", false
		}
		host = hostport[:i]
	}
	return canonicalName(host)
}

func canonicalIPv6(s string) (string, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return "", false
	}
	return a.String(), true
}

func canonicalName(host string) (string, bool) {
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > maxHost || host[0] == '.' || strings.HasSuffix(host, ".") || strings.Contains(host, "..") {
		return "", false
	}
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return "", false
		}
	}
	return strings.ToLower(host), true
}

// goodPort accepts nothing, or a colon and a port number.
func goodPort(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) < 2 || len(s) > 6 {
		return false
	}
	port := 0
	for _, c := range []byte(s[1:]) {
		if c < '0' || '9' < c {
			return false
		}
		port = port*10 + int(c-'0')
	}
	return 0 < port && port <= 65535
}

// hostPattern reads a host of the configuration: a name, an address, or
// "*.example.com", which stands for exactly one label. For a wildcard it
// returns what follows the star and the dot.
func hostPattern(s string) (host string, wildcard bool, problem string) {
	if strings.Contains(s, "://") || strings.ContainsAny(s, "/?#") {
		return "", false, "is a URL: write the host alone, such as app.example.com"
	}
	if rest, ok := strings.CutPrefix(s, "*."); ok {
		host, ok = canonicalName(rest)
		if !ok || isNumeric(host[strings.LastIndexByte(host, '.')+1:]) {
			return "", false, `is no host pattern: write a star for the first label only, such as "*.example.com"`
		}
		return host, true, ""
	}
	if strings.Contains(s, "*") {
		return "", false, `has a star in the wrong place: it stands for one whole first label, such as "*.example.com"`
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if host, ok := canonicalIPv6(bare); ok {
		return host, false, ""
	}
	if strings.Contains(s, ":") {
		return "", false, "has a port: write the host alone, every port is meant"
	}
	host, ok := canonicalName(s)
	if !ok {
		return "", false, "is no host name: use letters, digits, hyphens and dots (the xn-- form for other letters)"
	}
	return host, false, ""
}

func isNumeric(s string) bool { return strings.Trim(s, "0123456789") == "" }

// host finds what is served for a canonical host.
func (t *Table) host(name string) *hostTable {
	if h := t.exact[name]; h != nil {
		return h
	}
	if len(t.wild) > 0 {
		if label, parent, ok := strings.Cut(name, "."); ok && label != "" {
			return t.wild[parent]
		}
	}
	return nil
}

// known reports whether a canonical host is a default one, on which the gateway
// itself is found, or has any route.
func (t *Table) known(name string) bool { return t.defaults[name] || t.host(name) != nil }

// ServedHost returns host as an URL spells it, without a port, if it is known as
// with KnownHost.
func (t *Table) ServedHost(host string) (name string, ok bool) {
	name, ok = canonicalHost(host)
	if !ok || !t.known(name) {
		return "", false
	}
	if strings.Contains(name, ":") {
		return "[" + name + "]", true
	}
	return name, true
}

// KnownHost reports whether host, which may have a port, is a default one or has
// any route. A malformed host is not known.
func (t *Table) KnownHost(host string) bool {
	name, ok := canonicalHost(host)
	return ok && t.known(name)
}
