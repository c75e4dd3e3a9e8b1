package config

import (
	"fmt"
	"slices"
)

// ingress checks the sections by which other proxies ask. Whoever may ask sees
// what a session holds and says what was requested, so that nobody may unless he
// is named.
func (k *checker) ingress() {
	for i, dialect := range k.ForwardAuth.Enabled {
		at := item("forward_auth.enabled", i)
		k.oneOf(at, dialect, Dialects()...)
		if slices.Index(k.ForwardAuth.Enabled, dialect) < i {
			k.fault(at, fmt.Sprintf("%q is listed twice", shorten(dialect)), "remove it here")
		}
	}
	if len(k.ForwardAuth.Enabled) > 0 {
		k.askers("forward_auth.enabled")
	}
	k.extAuthz()
	if k.Compat.ForwardedHeaders && !k.Compat.OAuth2Proxy {
		k.fault("compat.forwarded_headers", "does not apply without oauth2_proxy", "write oauth2_proxy: true, or remove it")
	}
}

func (k *checker) extAuthz() {
	const at = "ext_authz"
	e := k.ExtAuthz
	if e.Listen == "" {
		if e.TLS != (ListenerTLS{}) {
			k.missing(at+".listen", "is missing beside tls", "write listen: 127.0.0.1:9191, or remove tls")
		}
		return
	}
	k.listen(at+".listen", e.Listen)
	k.askers(at + ".listen")
	for i, l := range k.Server.AllListeners() {
		if sameListen(e.Listen, l.Listen) {
			k.fault(at+".listen", "is the same address as "+k.listenPath(i), "give the gRPC listener an address of its own")
		}
	}
	if k.Admin.Listen != "" && sameListen(e.Listen, k.Admin.Listen) {
		k.fault(at+".listen", "is the same address as admin.listen", "give the gRPC listener an address of its own")
	}
	k.listenerTLS(at+".tls", e.TLS)
}

// askers wants to know who may ask.
func (k *checker) askers(at string) {
	if len(k.Server.TrustedProxies) == 0 && !k.lost.touches("server.trusted_proxies") {
		k.fault(at, "lets other proxies ask, and server.trusted_proxies is empty, so that none may",
			"write the addresses of the proxies that ask in server.trusted_proxies, such as [127.0.0.1], or unix")
	}
}
