package lint

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

const year = 365 * 24 * time.Hour

func serverCodes() []Code {
	return []Code{
		{
			ID: "SP001", Severity: Warning, Title: "cookies without Secure on a network",
			Why:        "Cookies are set without Secure, and go over the network in clear: whoever listens in can take over a session.",
			References: []string{"ASVS 3.3.1", "ASVS 12.2.1", "RFC 6265 section 8.3"},
			Bad: `server:
  listen: ":8080"
  public_url: http://localhost:8080  # SP001
`,
			Good: `server:
  listen: 127.0.0.1:8080
  public_url: http://localhost:8080
`,
			find: (*linter).plainCookies,
		},
		{
			ID: "SP002", Severity: Warning, Title: "browsers are not told to keep to https",
			Why:        "Without Strict-Transport-Security for a year, somebody on the way can lead a browser to plain http the next time it comes.",
			References: []string{"ASVS 3.4.1", "RFC 6797 section 6.1.1"},
			Bad: `server:
  public_url: https://app.example.com
  tls: {cert_file: /run/secrets/app.crt, key_file: /run/secrets/app.key}
  hsts: {max_age: 24h}  # SP002
`,
			Good: `server:
  public_url: https://app.example.com
  tls: {cert_file: /run/secrets/app.crt, key_file: /run/secrets/app.key}
  hsts: {max_age: 8760h}
`,
			find: (*linter).shortHSTS,
		},
		{
			ID: "SP003", Severity: Warning, Title: "a wide network is trusted",
			Why:        "Everybody there can say from which address a request came, and ask at the check endpoints in anybody's name.",
			References: []string{"ASVS 4.1.3", "RFC 7239 section 8.1"},
			Bad: `server:
  public_url: https://app.example.com
  trusted_proxies: [0.0.0.0/1, "128.0.0.0/1"]  # SP003 SP003
`,
			Good: `server:
  public_url: https://app.example.com
  trusted_proxies: [10.0.7.0/24]
`,
			find: (*linter).wideTrust,
		},
		{
			ID: "SP004", Severity: Note, Title: "the proxy that terminates TLS is not trusted",
			Why:        "Its X-Forwarded-For is not believed, so that all people have the proxy's address: in the log, in policies, and where wrong passwords are counted.",
			References: []string{"RFC 9700 section 4.13", "ASVS 6.3.1"},
			Bad: `server:
  public_url: https://app.example.com  # SP004
`,
			Good: `server:
  public_url: https://app.example.com
  trusted_proxies: [127.0.0.1]
`,
			find: (*linter).untrustedProxy,
		},
		{
			ID: "SP005", Severity: Note, Title: "a listener without TLS on a network",
			Why:        "Session cookies and tokens are readable between the proxy that terminates TLS and the gateway, for whoever is on that network.",
			References: []string{"ASVS 12.3.3", "RFC 9700 section 4.13"},
			Bad: `server:
  public_url: https://app.example.com
  trusted_proxies: [10.0.7.0/24]
  listen: ":8080"  # SP005
`,
			Good: `server:
  public_url: https://app.example.com
  trusted_proxies: [10.0.7.0/24]
  listen: ":8443"
  tls: {cert_file: /run/secrets/app.crt, key_file: /run/secrets/app.key}
`,
			find: (*linter).plainListener,
		},
		{
			ID: "SP006", Severity: Warning, Title: "a limit of what clients may cost is off",
			Why:        "A few clients can use up the memory or the connections of the gateway, and keep everybody else out.",
			References: []string{"CWE 770"},
			Bad: `server:
  public_url: https://app.example.com
  trusted_proxies: [127.0.0.1]
  limits: {read_header_timeout: 0s}  # SP006
`,
			Good: `server:
  public_url: https://app.example.com
  trusted_proxies: [127.0.0.1]
  limits: {read_header_timeout: 5s}
`,
			find: (*linter).noLimits,
		},
		{
			ID: "SP007", Severity: Note, Title: "one of several gateways leaves without a warning",
			Why:        "A balancer sends requests to it until it notices that nobody listens any more; they fail.",
			References: []string{"Sallyport docs/listeners.md"},
			Bad: `server:
  public_url: https://app.example.com
  trusted_proxies: [127.0.0.1]
  drain: {timeout: 30s}  # SP007
session:
  store: valkey
  valkey: {urls: ["valkeys://valkey.internal:6379"], username: sallyport, password_file: /run/secrets/valkey}
  keys_files: [/run/secrets/session-key]
`,
			Good: `server:
  public_url: https://app.example.com
  trusted_proxies: [127.0.0.1]
  drain: {delay: 5s, timeout: 30s}
session:
  store: valkey
  valkey: {urls: ["valkeys://valkey.internal:6379"], username: sallyport, password_file: /run/secrets/valkey}
  keys_files: [/run/secrets/session-key]
`,
			find: (*linter).noDrainDelay,
		},
		{
			ID: "SP008", Severity: Warning, Title: "certificates from a test authority",
			Why:        "No browser trusts what a staging directory issues. People who learn to click warnings away do so for an attacker's certificate as well.",
			References: []string{"ASVS 12.2.2"},
			Bad: `server:
  public_url: https://app.example.com
  tls:
    acme:
      domains: [app.example.com]
      accept_terms: true
      directory_url: https://acme-staging-v02.api.letsencrypt.org/directory  # SP008
`,
			Good: `server:
  public_url: https://app.example.com
  tls:
    acme:
      domains: [app.example.com]
      accept_terms: true
`,
			find: (*linter).stagingAuthority,
		},
		{
			ID: "SP009", Severity: Warning, Title: "debug logging",
			Why:        "It tells more of people and of the inside than a log of production should hold, and fills disks.",
			References: []string{"ASVS 13.4.2", "ASVS 16.2.5"},
			Bad:        "log: {level: debug}  # SP009\n",
			Good:       "log: {level: info}\n",
			find: func(l *linter) {
				if l.Log.Level == "debug" {
					l.found("log.level", "is debug", "write log: {level: info}")
				}
			},
		},
		{
			ID: "SP010", Severity: Warning, Title: "the operators' listener can be reached from other machines",
			Why:        "Metrics and the state of the gateway are open to whoever reaches it, and a token that goes in clear opens its API. A note where there is TLS and no client certificate is asked for.",
			References: []string{"ASVS 13.4.5", "ASVS 8.4.2", "ASVS 12.3.1"},
			Bad: `admin:
  listen: ":9080"  # SP010
  token_file: /run/secrets/admin
`,
			Good: `admin:
  listen: 127.0.0.1:9080
`,
			find: (*linter).openAdmin,
		},
		{
			ID: "SP011", Severity: Warning, Title: "Envoy asks over a network without proof",
			Why:        "The requests that Envoy sends hold cookies and tokens, and the answers identities. Without a certificate on both sides others can read them, or ask themselves.",
			References: []string{"ASVS 12.3.1", "ASVS 12.3.5"},
			Bad: `server: {public_url: "https://app.example.com", trusted_proxies: [10.0.7.0/24]}
ext_authz:
  listen: ":9191"  # SP011
`,
			Good: `server: {public_url: "https://app.example.com", trusted_proxies: [10.0.7.0/24]}
ext_authz:
  listen: ":9191"
  tls: {cert_file: /run/secrets/app.crt, key_file: /run/secrets/app.key, client_ca_file: /run/secrets/clients.crt}
`,
			find: (*linter).plainExtAuthz,
		},
		{
			ID: "SP012", Severity: Note, Title: "forwarded headers are believed at /oauth2/auth",
			Why:        "Which request is judged is then what X-Forwarded-Uri and its like say. A proxy that passes on its client's own is one that anybody can deceive.",
			References: []string{"ASVS 4.1.3", "RFC 7239 section 8.1"},
			Bad: `server: {public_url: "https://app.example.com", trusted_proxies: [10.0.7.0/24]}
compat: {oauth2_proxy: true, forwarded_headers: true}  # SP012
`,
			Good: `server: {public_url: "https://app.example.com", trusted_proxies: [10.0.7.0/24]}
forward_auth: {enabled: [traefik]}
`,
			find: func(l *linter) {
				if l.Compat.ForwardedHeaders {
					l.found("compat.forwarded_headers", "takes the proxy's word for what was asked", "use forward_auth: {enabled: [traefik]}, or make sure that the proxy sets X-Forwarded-Method, -Proto, -Host and -Uri itself")
				}
			},
		},
	}
}

func (l *linter) plainCookies() {
	if !l.Server.Secure() && !l.Server.ListensLocally() {
		l.found("server.public_url", "is plain http, while the gateway can be reached from other machines", "write public_url: https://NAME, or listen on 127.0.0.1")
	}
}

func (l *linter) shortHSTS() {
	s := l.Server
	if s.Secure() && s.TLS.Given() && !s.Loopback() && s.HSTS.MaxAge < year {
		l.found("server.hsts.max_age", fmt.Sprintf("is %s, and a year is the least that audits accept", s.HSTS.MaxAge), "write hsts: {max_age: 8760h}, or remove it")
	}
}

// wideTrust has other bounds for private addresses, which an installation has for
// itself, than for those that anybody may have.
func (l *linter) wideTrust() {
	for i, entry := range l.Server.TrustedProxies {
		p, err := netip.ParsePrefix(entry)
		if err != nil {
			continue
		}
		least := 12
		switch {
		case p.Addr().Is4() && p.Addr().IsPrivate():
			least = 8
		case !p.Addr().Is4() && p.Addr().IsPrivate():
			least = 8
		case !p.Addr().Is4():
			least = 24
		}
		if p.Bits() < least {
			l.found(item("server.trusted_proxies", i), quoted(entry)+" is a large part of all addresses there are", "write the addresses of your own proxies, such as 10.0.7.0/24")
		}
	}
}

func (l *linter) untrustedProxy() {
	s := l.Server
	if s.Secure() && !s.TLS.Given() && len(s.TrustedProxies) == 0 {
		l.found("server.public_url", "is https, there is no certificate here, and server.trusted_proxies is empty", "write the address of the proxy that terminates TLS in server.trusted_proxies, or a certificate in server.tls")
	}
}

func (l *linter) plainListener() {
	if !l.Server.Secure() {
		return
	}
	for i, at := range l.Server.AllListeners() {
		a, err := config.ParseListen(at.Listen)
		if err != nil || a.Network != "tcp" || config.LocalListen(at.Listen) || at.RedirectHTTPS || l.Server.TLS.Given() && !at.Plain {
			continue
		}
		path := "server.listen"
		if len(l.Server.Listeners) > 0 {
			path = item("server.listeners", i) + ".listen"
		}
		l.found(path, quoted(at.Listen)+" takes plain http from other machines", "write server.tls, or listen where only the proxy reaches it: 127.0.0.1, unix:///run/sallyport.sock")
	}
}

func (l *linter) noLimits() {
	limits := l.Server.Limits
	for _, one := range []struct {
		key, write string
		off        bool
	}{
		{"max_connections", "10000", limits.MaxConnections == 0},
		{"max_header_bytes", "32KiB", limits.MaxHeaderBytes == 0},
		{"max_headers", "128", limits.MaxHeaders == 0},
		{"max_target_bytes", "16KiB", limits.MaxTargetBytes == 0},
		{"read_header_timeout", "10s", limits.ReadHeaderTimeout == 0},
		{"idle_timeout", "2m", limits.IdleTimeout == 0},
	} {
		if one.off {
			l.found("server.limits."+one.key, "is off", "write limits: {"+one.key+": "+one.write+"}, or remove it")
		}
	}
}

func (l *linter) noDrainDelay() {
	if l.Session.Store == config.StoreValkey && l.Server.Drain.Delay == 0 {
		path := "server.drain.delay"
		if !l.Given("server") {
			path = "session"
		}
		l.found(path, "sessions are shared by several gateways, and server.drain.delay is 0", "write server.drain: {delay: 5s}, as long as your balancer takes to notice that one is not ready")
	}
}

func (l *linter) stagingAuthority() {
	acme := l.Server.TLS.ACME
	if acme.Given() && strings.Contains(acme.DirectoryURL, "staging") {
		l.found("server.tls.acme.directory_url", "is the directory of a test authority", "remove it for Let's Encrypt's own, or write your authority's")
	}
}

func (l *linter) openAdmin() {
	a, err := config.ParseListen(l.Admin.Listen)
	switch tls := l.Admin.TLS; {
	case err != nil || a.Network != "tcp" || config.LocalListen(l.Admin.Listen):
	case tls.CertFile == "":
		l.found("admin.listen", quoted(l.Admin.Listen)+" can be reached from other machines by plain http", "listen on 127.0.0.1, or write admin.tls with cert_file, key_file and client_ca_file")
	case tls.ClientCAFile == "":
		l.foundAs(Note, "admin.listen", quoted(l.Admin.Listen)+" can be reached from other machines with a token alone", "write client_ca_file in admin.tls, and give operators certificates")
	}
}

func (l *linter) plainExtAuthz() {
	e := l.ExtAuthz
	a, err := config.ParseListen(e.Listen)
	if err == nil && a.Network == "tcp" && !config.LocalListen(e.Listen) && (e.TLS.CertFile == "" || e.TLS.ClientCAFile == "") {
		l.found("ext_authz.listen", quoted(e.Listen)+" can be reached from other machines, without a certificate on both sides", "write ext_authz.tls with cert_file, key_file and client_ca_file, or listen on 127.0.0.1")
	}
}
