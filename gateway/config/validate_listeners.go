package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// listenFix is what to write as a listen address.
const listenFix = "write 127.0.0.1:8080, :8080, unix:///run/sallyport.sock?mode=0660, or systemd"

// listenKey is the key under which the addresses stand.
func (k *checker) listenKey() string {
	if len(k.Server.Listeners) > 0 {
		return "server.listeners"
	}
	return "server.listen"
}

// listenPath is where the address of a listener stands.
func (k *checker) listenPath(i int) string {
	if len(k.Server.Listeners) > 0 {
		return item("server.listeners", i) + ".listen"
	}
	return "server.listen"
}

func (k *checker) listeners() {
	s := k.Server
	if k.given("server.listeners") && len(s.Listeners) == 0 {
		k.missing("server.listeners", "is an empty list, so that nobody could come in", "write [{listen: 127.0.0.1:8080}], or remove it")
	}
	if len(s.Listeners) == 0 {
		k.listen("server.listen", s.Listen)
		return
	}
	if k.given("server.listen") {
		k.fault("server.listen", "is given beside listeners", "move it to listeners as {listen: "+excerpt(s.Listen)+"}, or remove it")
	}
	policies := k.policyNames()
	serving := false
	for i, l := range s.Listeners {
		at := item("server.listeners", i)
		if l.Listen == "" {
			k.missing(at+".listen", "is missing", listenFix)
		} else {
			k.listen(at+".listen", l.Listen)
		}
		for j, other := range s.Listeners[:i] {
			if sameListen(l.Listen, other.Listen) {
				k.fault(at+".listen", "is the same address as "+k.listenPath(j), "give each listener an address of its own")
			} else if l.Name == other.Name {
				k.fault(at+".name", fmt.Sprintf("%q is the name of another listener", shorten(l.Name)), "give each listener a name of its own")
			}
		}
		if k.given(at+".name") && !isDescriptorName(l.Name) {
			k.fault(at+".name", fmt.Sprintf("%q is not a name", shorten(l.Name)), "write letters, digits and . _ -")
		}
		if l.Policy != "" {
			k.routePolicy(at+".policy", l.Policy, policies)
		}
		k.proxyProtocol(at, l)
		k.redirecting(at, l)
		serving = serving || !l.RedirectHTTPS
	}
	if !serving {
		k.missing("server.listeners", "only redirect, so that nothing is served", "add one without redirect_https")
	}
}

// proxyProtocol wants to know whose word about the client is taken. Everybody
// else's would be taken as well otherwise.
func (k *checker) proxyProtocol(at string, l Listener) {
	if !l.ProxyProtocol || k.lost.touches("server.trusted_proxies") {
		return
	}
	unix, addresses := false, false
	for _, entry := range k.Server.TrustedProxies {
		unix, addresses = unix || entry == "unix", addresses || entry != "unix"
	}
	const path = "server.trusted_proxies"
	switch overUnix := strings.HasPrefix(l.Listen, "unix:"); {
	case overUnix && !unix:
		k.missing(path, "does not hold unix, while "+at+".proxy_protocol is on, so that nobody could connect there", "add unix, if every process that may open the socket is a proxy of yours")
	case !overUnix && !addresses:
		k.missing(path, "names no address, while "+at+".proxy_protocol is on, so that nobody could connect there", "write the addresses of the proxies that send the PROXY header")
	}
}

func (k *checker) redirecting(at string, l Listener) {
	if !l.RedirectHTTPS {
		return
	}
	if !k.Server.Secure() {
		k.fault(at+".redirect_https", "redirects to https, but server.public_url is http", "write public_url: https://..., or remove redirect_https")
	}
	if l.Policy != "" {
		k.fault(at+".policy", "is given beside redirect_https, where nothing is served that it could protect", "remove it")
	}
}

// sameListen tells whether two listeners can't both have their address. Port 0
// stands for any that is free, and one name of systemd's for several sockets.
func sameListen(a, b string) bool {
	one, err := ParseListen(a)
	if err != nil {
		return false
	}
	other, err := ParseListen(b)
	return err == nil && one.Network == other.Network && one.Address == other.Address && !strings.HasSuffix(one.Address, ":0")
}

func (k *checker) limits() {
	l := k.Server.Limits
	for _, limit := range []struct {
		key string
		n   int64
	}{
		{"max_connections", int64(l.MaxConnections)},
		{"max_header_bytes", int64(l.MaxHeaderBytes)},
		{"max_headers", int64(l.MaxHeaders)},
		{"max_target_bytes", int64(l.MaxTargetBytes)},
		{"max_body_bytes", l.MaxBodyBytes},
		{"max_identity_bytes", int64(l.MaxIdentityBytes)},
		{"read_header_timeout", int64(l.ReadHeaderTimeout)},
		{"idle_timeout", int64(l.IdleTimeout)},
	} {
		k.notNegative("server.limits."+limit.key, limit.n)
	}
	if l.MaxStreams < 1 || l.MaxStreams > 100_000 {
		k.fault("server.limits.max_streams", "is not between 1 and 100000", "write 250, or as many requests as one client may have under way at a time")
	}
	d := k.Server.Drain
	k.noWait("server.drain.delay", d.Delay)
	k.noWait("server.drain.timeout", d.Timeout)
}

func (k *checker) noWait(path string, d time.Duration) {
	if d < 0 {
		k.fault(path, "is negative", "write 0s for no wait, or a positive value")
	}
}

// hsts refuses what browsers would ignore, and what a list that browsers ship
// would not take: whoever writes preload wants it to work.
func (k *checker) hsts() {
	const at = "server.hsts"
	h := k.Server.HSTS
	switch {
	case h.MaxAge < 0:
		k.fault(at+".max_age", "is negative", "write 0s to say nothing, or 8760h for a year")
	case h.MaxAge%time.Second != 0:
		k.fault(at+".max_age", "is not a whole number of seconds", "write 8760h for a year")
	case h.MaxAge > 0 && !k.Server.Secure():
		k.fault(at+".max_age", "is given, but server.public_url is http", "write public_url: https://..., or remove it")
	case h.MaxAge == 0 && (h.IncludeSubdomains || h.Preload):
		k.missing(at+".max_age", "is missing, so that the rest of hsts says nothing", "write max_age: 8760h")
	}
	if h.Preload && (!h.IncludeSubdomains || h.MaxAge < 365*24*time.Hour) {
		k.fault(at+".preload", "needs include_subdomains and a max_age of a year", "write {max_age: 8760h, include_subdomains: true, preload: true}, or remove preload")
	}
}

// everyListenerPlain tells whether no certificate would ever be presented.
func (k *checker) everyListenerPlain() bool {
	return !slices.ContainsFunc(k.Server.AllListeners(), func(l Listener) bool { return !l.Plain && !l.RedirectHTTPS })
}
