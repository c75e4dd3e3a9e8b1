package config

// The proxies that the check endpoints speak to.
const (
	DialectNginx   = "nginx"
	DialectTraefik = "traefik"
	DialectCaddy   = "caddy"
	DialectHAProxy = "haproxy"
	DialectEnvoy   = "envoy"
)

// Dialects are all of them.
func Dialects() []string {
	return []string{DialectNginx, DialectTraefik, DialectCaddy, DialectHAProxy, DialectEnvoy}
}

// ForwardAuth is the auth service of another proxy, asked by HTTP. Each dialect
// has an endpoint of its own, below the auth prefix: check/nginx and so on.
type ForwardAuth struct {
	Enabled []string `mapstructure:"enabled"` // Dialects; empty = none
}

// ExtAuthz is the auth service of Envoy, asked by gRPC. An empty Listen turns it
// off.
type ExtAuthz struct {
	Listen string      `mapstructure:"listen"` // see ParseListen
	TLS    ListenerTLS `mapstructure:"tls"`    // with ClientCAFile only clients with such a certificate can connect
}

// ListenerTLS is the certificate of a listener that is not public; without any it
// is plain. ClientCAFile has the authorities of client certificates.
type ListenerTLS struct {
	CertFile     string `mapstructure:"cert_file"`      // PEM, with the chain
	KeyFile      string `mapstructure:"key_file"`       // PEM
	ClientCAFile string `mapstructure:"client_ca_file"` // who signs certificates of clients; with it each needs one
}

// TLS is the same in the words of the public listeners.
func (t ListenerTLS) TLS() TLS {
	return TLS{CertFile: t.CertFile, KeyFile: t.KeyFile, ClientCAFile: t.ClientCAFile}
}

// Compat are the endpoints of other products, for those who come from them. Those at
// which other proxies ask refuse everybody where none is trusted: pages may still
// lead to the others.
type Compat struct {
	OAuth2Proxy bool `mapstructure:"oauth2_proxy"` // /oauth2/auth, /oauth2/start, /oauth2/sign_out, /oauth2/userinfo
	// ForwardedHeaders says that the proxy that asks at /oauth2/auth sets
	// X-Forwarded-Method, -Proto, -Host and -Uri, as Traefik does. Otherwise its Host
	// is believed, and what stands in those can refuse alone.
	ForwardedHeaders bool `mapstructure:"forwarded_headers"`
}

// ChecksOnly tells whether requests may be judged here that others forward, so
// that a route needs no upstream.
func (c *Config) ChecksOnly() bool {
	return len(c.ForwardAuth.Enabled) > 0 || c.ExtAuthz.Listen != "" || c.Compat.OAuth2Proxy && len(c.Server.TrustedProxies) > 0
}
