package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// trust knows which peers are the operator's own proxies. Nobody is, unless the
// configuration says so. It is immutable.
type trust struct {
	prefixes []netip.Prefix
	unix     bool // peers on a unix socket
}

// newTrust reads trusted_proxies: CIDRs, addresses, and the literal unix. The
// configuration was validated; what does not parse is trusted by nobody.
func newTrust(entries []string) *trust {
	t := &trust{}
	for _, e := range entries {
		if e == "unix" {
			t.unix = true
			continue
		}
		if p, err := netip.ParsePrefix(e); err == nil {
			t.prefixes = append(t.prefixes, p)
		} else if a, err := netip.ParseAddr(e); err == nil {
			t.prefixes = append(t.prefixes, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return t
}

// peer reports whether a request came straight from a trusted proxy, by its
// RemoteAddr.
func (t *trust) peer(remoteAddr string) bool {
	if len(t.prefixes) == 0 && !t.unix {
		return false
	}
	host, _, err := net.SplitHostPort(remoteAddr)
	if err != nil {
		return t.unix // only unix sockets have an address without a port
	}
	return t.address(host)
}

func (t *trust) address(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	for _, p := range t.prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// client returns the address of the client: the peer's or, behind trusted
// proxies, the right-most address of X-Forwarded-For that is none of theirs.
// What stands to the left of it is the client's own invention.
func (t *trust) client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if !t.peer(r.RemoteAddr) {
		return host
	}
	for _, rest := range slices.Backward(r.Header["X-Forwarded-For"]) {
		for rest != "" {
			var hop string
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				rest, hop = rest[:cut], rest[cut+1:]
			} else {
				rest, hop = "", rest
			}
			hop = strings.TrimSpace(hop)
			addr, err := netip.ParseAddr(hop)
			if err != nil {
				return host // a chain that can't be read is not believed further
			}
			host = canonical(addr.Unmap(), hop)
			if !t.address(host) {
				return host
			}
		}
	}
	return host
}

// canonical is the text of addr. It allocates only where sent is another one.
func canonical(addr netip.Addr, sent string) string {
	var room [64]byte
	text := addr.AppendTo(room[:0])
	if string(text) == sent {
		return sent
	}
	return string(text)
}

// addr is client as an address; the zero Addr for a peer on a unix socket.
func (t *trust) addr(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddr(t.client(r))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
