package lint

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// The longest times that need no reason.
const (
	longIdle     = 4 * time.Hour
	longAbsolute = 7 * 24 * time.Hour
	longGrace    = time.Hour
	longBlind    = 5 * time.Minute
)

func sessionCodes() []Code {
	return []Code{
		{
			ID: "SP020", Severity: Warning, Title: "the session cookie goes along from other sites",
			Why:        "With SameSite=None a page of any site can make a browser send requests in its user's name. A note where the cookie is kept apart for each embedding site.",
			References: []string{"ASVS 3.3.2", "ASVS 3.5.1"},
			Bad: `session: {cookie: {same_site: none}}  # SP020
routes:
  - {name: app, upstream: "http://127.0.0.1:3000", policy: authenticated, cross_site: {mode: enforce}}
`,
			Good: `session: {cookie: {same_site: lax}}
`,
			find: (*linter).sameSiteNone,
		},
		{
			ID: "SP021", Severity: Warning, Title: "the session cookie is for more hosts than one",
			Why:        "With a domain the cookie can't be a __Host- cookie: every host below the domain receives it, and each of them can plant one.",
			References: []string{"ASVS 3.3.3", "RFC 6265 section 8.6"},
			Bad:        "session: {cookie: {domain: example.com}}  # SP021\n",
			Good:       "session: {cookie: {domain: \"\"}}\n",
			find: func(l *linter) {
				if d := l.Session.Cookie.Domain; d != "" {
					l.found("session.cookie.domain", "every host below "+quoted(d)+" gets the session cookie", "remove it, and let each host have sessions of its own")
				}
			},
		},
		{
			ID: "SP022", Severity: Warning, Title: "sessions stay open long without being used",
			Why:        "Whoever comes to a browser that somebody has left is signed in as him for all that time.",
			References: []string{"ASVS 7.3.1", "ASVS 7.1.1"},
			Bad: `session:
  idle_timeout: 10h  # SP022
`,
			Good: `session:
  idle_timeout: 30m
`,
			find: func(l *linter) {
				if d := l.Session.IdleTimeout; d > longIdle {
					l.found("session.idle_timeout", fmt.Sprintf("is %s, more than %s", hours(d), hours(longIdle)), "write idle_timeout: 30m")
				}
			},
		},
		{
			ID: "SP023", Severity: Warning, Title: "sessions live long",
			Why:        "A session that was stolen is good for all that time, and people who have left a company stay in unless their provider tells.",
			References: []string{"ASVS 7.3.2", "ASVS 7.1.1"},
			Bad: `session:
  absolute_timeout: 720h  # SP023
`,
			Good: `session:
  absolute_timeout: 12h
`,
			find: func(l *linter) {
				if d := l.Session.AbsoluteTimeout; d > longAbsolute {
					l.found("session.absolute_timeout", fmt.Sprintf("is %s, more than %s", hours(d), hours(longAbsolute)), "write absolute_timeout: 12h")
				}
			},
		},
		{
			ID: "SP024", Severity: Warning, Title: "sessions outlive their provider's tokens",
			Why:        "For that long nobody asks a provider that is down whether its users may still come in.",
			References: []string{"ASVS 7.6.1"},
			Bad: `session:
  refresh: {grace: 8h}  # SP024
`,
			Good: `session:
  refresh: {grace: 5m}
`,
			find: func(l *linter) {
				if d := l.Session.Refresh.Grace; d > longGrace {
					l.found("session.refresh.grace", fmt.Sprintf("is %s, more than %s", hours(d), hours(longGrace)), "write refresh: {grace: 5m}")
				}
			},
		},
		{
			ID: "SP025", Severity: Warning, Title: "the session store is reached without TLS",
			Why:        "Whoever is on the network between reads and changes sessions. A note where the name has no dot, as in a network of containers.",
			References: []string{"ASVS 12.3.1"},
			Bad: `server: {public_url: "https://app.example.com", trusted_proxies: [127.0.0.1], drain: {delay: 5s}}
session:
  store: valkey
  valkey:
    urls: ["valkey://valkey.internal:6379"]  # SP025
    username: sallyport
    password_file: /run/secrets/valkey
  keys_files: [/run/secrets/session-key]
`,
			Good: `server: {public_url: "https://app.example.com", trusted_proxies: [127.0.0.1], drain: {delay: 5s}}
session:
  store: valkey
  valkey:
    urls: ["valkeys://valkey.internal:6379"]
    username: sallyport
    password_file: /run/secrets/valkey
  keys_files: [/run/secrets/session-key]
`,
			find: (*linter).plainValkey,
		},
		{
			ID: "SP026", Severity: Warning, Title: "the session store asks nobody who he is",
			Why:        "Whoever reaches it can read who is signed in, end sessions, and put them back. A note on this machine.",
			References: []string{"ASVS 13.2.1", "ASVS 13.2.2"},
			Bad: `server: {public_url: "https://app.example.com", trusted_proxies: [127.0.0.1], drain: {delay: 5s}}
session:
  store: valkey
  valkey:  # SP026
    urls: ["valkeys://valkey.internal:6379"]
  keys_files: [/run/secrets/session-key]
`,
			Good: `server: {public_url: "https://app.example.com", trusted_proxies: [127.0.0.1], drain: {delay: 5s}}
session:
  store: valkey
  valkey:
    urls: ["valkeys://valkey.internal:6379"]
    username: sallyport
    password_file: /run/secrets/valkey
  keys_files: [/run/secrets/session-key]
`,
			find: (*linter).openValkey,
		},
		{
			ID: "SP027", Severity: Warning, Title: "revoked tokens count while the store is out of sight",
			Why:        "For that long a gateway that has lost the store goes by the revocations it knows, and accepts tokens that were revoked meanwhile.",
			References: []string{"ASVS 8.3.2"},
			Bad: `tokens:
  revocation: {max_staleness: 1h}  # SP027
`,
			Good: `tokens:
  revocation: {max_staleness: 5s}
`,
			find: func(l *linter) {
				if d := l.Tokens.Revocation.MaxStaleness; d > longBlind {
					l.found("tokens.revocation.max_staleness", fmt.Sprintf("is %s, more than %s", hours(d), hours(longBlind)), "write revocation: {max_staleness: 5s}")
				}
			},
		},
		{
			ID: "SP028", Severity: Warning, Title: "the session cookie can be planted by other hosts",
			Why:        "Only the prefix __Host- makes a browser refuse a cookie that another host of the same domain has set.",
			References: []string{"ASVS 3.3.3", "RFC 6265 section 8.6"},
			Bad:        "session: {cookie: {name: __Secure-session}}  # SP028\n",
			Good:       "session: {cookie: {name: __Host-session}}\n",
			find: func(l *linter) {
				c := l.Session.Cookie
				if rest, ok := strings.CutPrefix(c.Name, "__Secure-"); ok && c.Domain == "" {
					l.found("session.cookie.name", quoted(c.Name)+" has the weaker of the two prefixes", "write __Host-"+rest+", or remove it")
				}
			},
		},
	}
}

// hours writes a duration without the zeros at its end.
func hours(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (l *linter) sameSiteNone() {
	c := l.Session.Cookie
	switch {
	case c.SameSite != "none":
	case c.Partitioned:
		l.foundAs(Note, "session.cookie.same_site", "is none, for a frame of another site", "write lax, unless the application is shown in frames of other sites")
	default:
		l.found("session.cookie.same_site", "is none", "write lax, or partitioned: true beside it where the application is shown in frames of other sites")
	}
}

func (l *linter) plainValkey() {
	addresses, err := l.Session.Valkey.Addresses()
	if l.Session.Store != config.StoreValkey || err != nil {
		return
	}
	for i, a := range addresses {
		host, _, err := net.SplitHostPort(a.Address)
		if a.Network == "unix" || a.TLS || err != nil || config.LoopbackHost(host) {
			continue
		}
		severity := l.code.Severity
		if besides(host) {
			severity = Note
		}
		l.foundAs(severity, item("session.valkey.urls", i), "goes to "+quoted(host)+" without TLS", "write valkeys://, and tls: {ca_file: FILE} beside it where the authority is your own")
	}
}

// besides tells that a name is of the kind that only a network of containers knows:
// it has no dot, or is that of a service of Kubernetes.
func besides(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return !strings.ContainsAny(host, ".:") || strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc.cluster.local")
}

func (l *linter) openValkey() {
	v := l.Session.Valkey
	addresses, err := v.Addresses()
	if l.Session.Store != config.StoreValkey || err != nil || v.Password != "" || v.PasswordFile != "" || v.TLS.CertFile != "" {
		return
	}
	severity := Note
	for _, a := range addresses {
		if host, _, err := net.SplitHostPort(a.Address); a.Network == "unix" || err == nil && config.LoopbackHost(host) {
			continue
		}
		severity = l.code.Severity
	}
	path := "session.valkey.password_file"
	if !l.Given("session.valkey") {
		path = "session.store"
	}
	l.foundAs(severity, path, "there is no password for the session store", "write username and password_file in session.valkey, of a user with the rights that docs/sessions.md lists")
}
