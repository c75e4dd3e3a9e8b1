package compat

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// server carries over where the gateway listens, and what browsers call it.
func (m *importer) server() {
	s := newSection()
	m.listen(s)
	m.publicURL()
	s.set("public_url", m.public, "what browsers type")
	prefix := strings.TrimRight(m.in.text("proxy_prefix"), "/")
	if prefix == "" {
		prefix = OAuth2ProxyPrefix
	}
	s.set("auth_prefix", prefix, "proxies in front send this to the gateway already")
	if prefix != OAuth2ProxyPrefix {
		m.lost("proxy_prefix", "auth, start, sign_in, sign_out and userinfo are served at /oauth2 alone", "let the proxy in front ask there, and send /oauth2/ to the gateway as well")
	}
	m.trusted(s)
	m.out.set("server", s)
	m.admin()
	m.todo("redirect_url", "the redirect URI is another one", "register "+m.public+prefix+"/callback/"+m.provider.name+" at the provider, beside the old one until nobody needs it")
	if !m.in.has("ping_path") && !m.in.has("ready_path") {
		m.todo("ping_path, ready_path", "nothing is served at /ping and /ready", "let probes ask /livez and /readyz at admin.listen")
	}
}

// address takes the scheme off that oauth2-proxy allows before an address.
func address(value, scheme string) string {
	value = strings.TrimSpace(strings.TrimPrefix(value, scheme+"://"))
	if value == "-" {
		return ""
	}
	return value
}

func (m *importer) listen(s *section) {
	plain, secure := m.in.text("http_address"), m.in.text("https_address")
	cert, key, version := m.in.text("tls_cert_file"), m.in.text("tls_key_file"), m.in.text("tls_min_version")
	if a := m.in.alpha; a != nil {
		plain, secure = orText(plain, a.Server.BindAddress), orText(secure, a.Server.SecureBindAddress)
		if t := a.Server.TLS; t != nil {
			cert, key, version = orText(cert, t.Cert.FromFile), orText(key, t.Key.FromFile), orText(version, t.MinVersion)
			if cert == "" || key == "" {
				m.lost("server.tls", "the certificate or its key is no file", "write both into files, and name them in server.tls")
			}
			if len(t.CipherSuites) > 0 {
				m.lost("server.tls.cipherSuites", fates()["tls_cipher_suites"].why, fates()["tls_cipher_suites"].fix)
			}
		}
	}
	force := m.in.flag("force_https", false)
	if cert == "" || key == "" {
		if force {
			m.lost("force_https", "without a certificate here there is nothing to redirect to", "let the proxy in front redirect http to https")
		}
		s.set("listen", orText(address(plain, "http"), "127.0.0.1:4180"))
		return
	}
	listen := orText(address(secure, "https"), ":443")
	if plain = address(plain, "http"); plain == "" {
		s.set("listen", listen)
	} else {
		other := newSection().flow()
		other.set("listen", plain)
		if force {
			other.set("redirect_https", true)
		} else {
			other.set("plain", true)
		}
		first := newSection().flow()
		first.set("listen", listen)
		s.set("listeners", []*section{first, other})
	}
	tls := newSection()
	tls.set("cert_file", cert)
	tls.set("key_file", key)
	if strings.HasSuffix(version, "1.3") {
		tls.set("min_version", "1.3")
	}
	s.set("tls", tls)
}

func orText(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// publicURL finds out what browsers type: the origin of redirect_url.
func (m *importer) publicURL() {
	raw := m.in.text("redirect_url")
	u, err := url.Parse(raw)
	if err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
		if u.Scheme == "http" && !loopback(u.Hostname()) {
			m.lost("redirect_url", "is plain http, where browsers keep no Secure cookies", "serve it by https; public_url says so already")
			u.Scheme = "https"
		}
		m.public, m.host = u.Scheme+"://"+u.Host, u.Hostname()
		return
	}
	m.host = "app.example.com"
	if domains := m.cookieDomains(); len(domains) > 0 {
		m.host = "auth." + domains[0]
	}
	m.public = "https://" + m.host
	m.lost("redirect_url", "does not say the host that browsers type", "write it into server.public_url, which has "+m.public+" now")
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}

// trusted says whose headers are believed. oauth2-proxy believes everybody with
// reverse_proxy, unless it is told whom.
func (m *importer) trusted(s *section) {
	behind := m.in.flag("reverse_proxy", false)
	var networks []string
	for _, one := range m.in.list("trusted_proxy_ips") {
		if strings.HasSuffix(one, "/0") {
			m.lost("trusted_proxy_ips", "a network of everybody is not believed", "write the addresses of your own proxies into server.trusted_proxies")
			continue
		}
		networks = append(networks, one)
	}
	switch {
	case len(networks) > 0:
		s.set("trusted_proxies", networks)
	case behind || m.checks:
		s.set("trusted_proxies", []string{"127.0.0.1"}, "write the addresses of the proxies in front")
		m.todo("reverse_proxy", "oauth2-proxy believed whoever asked", "write the addresses of your proxies into server.trusted_proxies: others are refused at /oauth2/auth")
	}
}

func (m *importer) admin() {
	listen := m.in.text("metrics_address")
	if a := m.in.alpha; a != nil {
		listen = orText(listen, a.MetricsServer.BindAddress)
		if a.MetricsServer.SecureBindAddress != "" || a.MetricsServer.TLS != nil {
			m.lost("metricsServer", fates()["metrics_secure_address"].why, fates()["metrics_secure_address"].fix)
		}
	}
	if listen = address(listen, "http"); listen == "" {
		return
	}
	admin := newSection()
	admin.set("listen", listen, "/livez, /readyz, /metrics")
	host, _, _ := strings.Cut(listen, ":")
	if !loopback(host) {
		admin.set("token_file", m.secret("metrics_address", "admin-token", ""), "for the API of operators; metrics need none")
	}
	m.out.set("admin", admin)
}

// session carries over how long people stay signed in, and where that is kept.
func (m *importer) session() {
	s := newSection()
	if store := m.in.text("session_store_type"); store == "redis" {
		m.valkey(s)
	} else if store != "" && store != "cookie" {
		m.lost("session_store_type", "sessions live in the gateway or in Valkey", "sessions are kept in the file session.embedded.path for now")
	}
	m.redisLeftovers()
	m.expiry(s)
	if !m.in.flag("cookie_secure", true) && strings.HasPrefix(m.public, "http:") {
		m.in.used["cookie_secure"] = true
		m.moot("cookie_secure", fates()["cookie_secure"].why)
	} else if m.in.has("cookie_secure") {
		m.in.used["cookie_secure"] = false
	}
	c := newSection()
	if m.domain = m.cookieDomain(); m.domain != "" {
		c.set("domain", m.domain)
	}
	if same := strings.ToLower(m.in.text("cookie_samesite")); same != "" {
		if slices.Contains([]string{"lax", "strict", "none"}, same) {
			c.set("same_site", same)
		} else {
			m.lost("cookie_samesite", "is not lax, strict or none", "lax is the default of session.cookie.same_site")
		}
	}
	if !c.empty() {
		s.set("cookie", c)
	}
	if !s.empty() {
		m.out.set("session", s)
	}
}

func (m *importer) expiry(s *section) {
	const week = 168 * time.Hour
	expire := week
	if m.in.has("cookie_expire") {
		d, ok := m.in.duration("cookie_expire")
		if !ok || d < time.Second {
			m.lost("cookie_expire", "a session that lasts as long as the browser is open has no end that the gateway could know", "choose session.idle_timeout and session.absolute_timeout")
			return
		}
		expire = d
	}
	// Without an end by idleness, as in oauth2-proxy.
	text := expire.String()
	if whole, ok := strings.CutSuffix(text, "h0m0s"); ok {
		text = whole + "h"
	}
	s.set("idle_timeout", text, "oauth2-proxy has none; 30m would be usual")
	s.set("absolute_timeout", text)
}

func (m *importer) cookieDomains() []string {
	var domains []string
	for _, d := range m.in.list("cookie_domains") {
		d = strings.ToLower(strings.TrimLeft(strings.TrimPrefix(strings.TrimSpace(d), "*"), "."))
		if d != "" && !strings.Contains(d, ".") {
			continue // localhost: browsers take no cookie for a top level
		}
		if d != "" && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	// The longest first, as oauth2-proxy chooses.
	slices.SortStableFunc(domains, func(a, b string) int { return len(b) - len(a) })
	return domains
}

// cookieDomain is the one that covers public_url; there can be but one.
func (m *importer) cookieDomain() string {
	domains := m.cookieDomains()
	chosen := ""
	for _, d := range domains {
		if chosen == "" && (m.host == d || strings.HasSuffix(m.host, "."+d)) {
			chosen = d
		}
	}
	switch {
	case chosen == "" && len(domains) > 0:
		m.lost("cookie_domains", "none of them covers the host of public_url, "+m.host, "write session.cookie.domain, or leave the cookie to one host")
	case chosen == "" && m.in.has("cookie_domains"):
		m.todo("cookie_domains", "a top level such as localhost can't be the domain of a cookie", "sign in at each host, or use a domain such as app.localhost")
	case len(domains) > 1:
		m.lost("cookie_domains", "there is one domain for the cookie, and "+chosen+" is chosen", "run a gateway for each of the others, with the same session.valkey if people shall be signed in at all")
	}
	return chosen
}

// valkey carries over the store that several gateways share.
func (m *importer) valkey(s *section) {
	v, tls := newSection(), newSection().flow()
	from := "redis_connection_url"
	urls := m.in.list(from)
	if m.in.flag("redis_use_sentinel", false) {
		from = "redis_sentinel_connection_urls"
		urls = m.in.list(from)
	} else if m.in.flag("redis_use_cluster", false) {
		from = "redis_cluster_connection_urls"
		urls = m.in.list(from)
	}
	var list []string
	username, password := m.in.text("redis_username"), m.in.text("redis_password")
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			m.lost(from, "holds what is no URL", "write session.valkey.urls")
			continue
		}
		if u.User != nil {
			username = orText(username, u.User.Username())
			if p, given := u.User.Password(); given {
				password = orText(password, p)
			}
		}
		scheme := strings.Replace(u.Scheme, "redis", "valkey", 1)
		if scheme == "unix" {
			list = append(list, "unix://"+u.Path)
			continue
		}
		to := scheme + "://" + u.Host
		if db := strings.Trim(u.Path, "/"); db != "" {
			to += "/" + db
		}
		list = append(list, to)
	}
	s.set("store", config.StoreValkey)
	if len(list) > 0 {
		v.set("urls", list)
	}
	if m.in.text("redis_sentinel_master_name") != "" && from == "redis_sentinel_connection_urls" {
		v.set("sentinel_master", m.in.text("redis_sentinel_master_name"))
		if p := m.in.text("redis_sentinel_password"); p != "" || m.in.elsewhere["redis_sentinel_password"] != "" {
			v.set("sentinel_password_file", m.secret("redis_sentinel_password", "sentinel-password", p))
		}
	}
	if username != "" {
		v.set("username", username)
	}
	if password != "" || username != "" || m.in.elsewhere["redis_password"] != "" {
		v.set("password_file", m.secret("redis_password", "valkey-password", password))
	}
	if ca := m.in.text("redis_ca_path"); ca != "" {
		tls.set("ca_file", ca)
		v.set("tls", tls)
	}
	s.set("valkey", v)
	s.set("keys_files", []string{m.secret("cookie_secret", "session-key", "")}, "the same for every gateway")
	m.in.used["cookie_secret"] = true
	m.todo("cookie_secret", "gateways that share a store seal with a key of ours", "make the file of session.keys_files with `openssl rand -base64 32`")
	m.todo("session_store_type", "the sessions of oauth2-proxy in that store are not read", "people sign in once; the two can share a server")
}

// redisLeftovers marks what only means something with that store.
func (m *importer) redisLeftovers() {
	for _, key := range []string{
		"redis_connection_url", "redis_sentinel_connection_urls", "redis_cluster_connection_urls", "redis_use_sentinel", "redis_use_cluster",
		"redis_sentinel_master_name", "redis_sentinel_password", "redis_username", "redis_password", "redis_ca_path",
	} {
		if m.in.has(key) && !m.in.used[key] {
			m.in.used[key] = true
			m.moot(key, "it does nothing beside the other settings of the store")
		}
	}
}
