package proxy

import (
	"net"
	"net/http/httputil"
	"strings"
)

// forwarded tells the upstream about the client: the address chain, and the
// host and scheme that the browser sees. What the client itself said is gone
// by now; only a trusted proxy's chain is continued.
func (p *Proxy) forwarded(pr *httputil.ProxyRequest) {
	peer, _, err := net.SplitHostPort(pr.In.RemoteAddr)
	if err != nil {
		peer = "" // a unix socket has no address
	}
	chain := peer
	if p.TrustedProxy(pr.In.RemoteAddr) {
		if prior := strings.Join(pr.In.Header["X-Forwarded-For"], ", "); prior != "" && peer != "" {
			chain = prior + ", " + peer
		} else if prior != "" {
			chain = prior
		}
	}
	h := pr.Out.Header
	values := [3]string{chain, pr.In.Host, p.Scheme}
	if chain != "" {
		h["X-Forwarded-For"] = values[0:1:1]
	}
	h["X-Forwarded-Host"] = values[1:2:2]
	h["X-Forwarded-Proto"] = values[2:3:3]
}
