package jwks

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// origin is the issuer that a URL was learned from.
type origin struct {
	host    string // with port
	private bool   // the issuer is in a private network itself
}

type originKey struct{}

// covers reports whether u may be called wherever its name leads: it is the
// host that was configured, or the configured host is on the inside as well.
func (o origin) covers(u *url.URL) bool { return o.private || hostPort(u) == o.host }

// hostPort returns the host in lower case and the port, also where it is the
// scheme's own.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// loopbackName reports whether a host is this machine by its very name.
func loopbackName(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// privateName reports whether a host is an address that is not on the public
// internet, or a name for this machine.
func privateName(host string) bool {
	if loopbackName(host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && !public(ip)
}

func privateRemote(c net.Conn) bool {
	if c == nil {
		return false
	}
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && !public(tcp.AddrPort().Addr())
}

// public reports whether an address is a host on the public internet (IANA
// special-purpose address registries, RFC 6890).
func public(ip netip.Addr) bool {
	ip = ip.WithZone("").Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false // also loopback, link-local, multicast and unspecified
	}
	for _, special := range specialPurpose() {
		if netip.MustParsePrefix(special).Contains(ip) {
			return false
		}
	}
	return true
}

// specialPurpose lists the blocks that netip has no question for.
func specialPurpose() []string {
	return []string{
		"0.0.0.0/8",       // this network
		"100.64.0.0/10",   // carrier-grade NAT
		"192.0.0.0/24",    // protocol assignments
		"192.0.2.0/24",    // documentation
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"240.0.0.0/4",     // reserved, and broadcast
		"64:ff9b::/32",    // NAT64: an IPv4 address inside
		"2002::/16",       // 6to4: an IPv4 address inside
		"2001::/23",       // Teredo and other protocol assignments
		"fec0::/10",       // site-local
	}
}
