package config

import "time"

// Server is the public side: the addresses, and what holds for all of them.
type Server struct {
	Listen         string     `mapstructure:"listen"`      // the one address, where there are no Listeners: see ParseListen
	Listeners      []Listener `mapstructure:"listeners"`   // several, each with its own settings; Listen is empty then
	PublicURL      string     `mapstructure:"public_url"`  // what browsers type
	AuthPrefix     string     `mapstructure:"auth_prefix"` // where the gateway's own endpoints live
	TLS            TLS        `mapstructure:"tls"`
	HSTS           HSTS       `mapstructure:"hsts"`
	TrustedProxies []string   `mapstructure:"trusted_proxies"` // CIDRs or addresses; empty = nobody is believed
	Limits         Limits     `mapstructure:"limits"`
	Drain          Drain      `mapstructure:"drain"`
}

// Listener is one of several addresses of the same gateway.
type Listener struct {
	Name   string `mapstructure:"name"`   // in messages and explanations; default: what stands at listen
	Listen string `mapstructure:"listen"` // see ParseListen
	// Plain says that this one is without TLS although there is a certificate, as
	// behind a proxy that terminates TLS.
	Plain bool `mapstructure:"plain"`
	// RedirectHTTPS says that this one serves nothing: it is plain http, and sends
	// browsers to public_url's scheme and port.
	RedirectHTTPS bool `mapstructure:"redirect_https"`
	// ProxyProtocol says that each connection begins with a PROXY header of one of
	// TrustedProxies. Nobody else can connect.
	ProxyProtocol bool `mapstructure:"proxy_protocol"`
	// Policy must allow, besides the route's, what comes in here to routes that
	// are not public.
	Policy string `mapstructure:"policy"`
}

// AllListeners returns Listeners, or the one that Listen stands for.
func (s Server) AllListeners() []Listener {
	if len(s.Listeners) > 0 {
		return s.Listeners
	}
	return []Listener{{Name: s.Listen, Listen: s.Listen}}
}

// TLS names the certificates of the listeners; without any they are plain.
type TLS struct {
	CertFile     string        `mapstructure:"cert_file"`      // PEM, with the chain
	KeyFile      string        `mapstructure:"key_file"`       // PEM
	Certificates []Certificate `mapstructure:"certificates"`   // more of them, chosen by the name that a client asks for
	MinVersion   string        `mapstructure:"min_version"`    // 1.2 | 1.3
	ClientCAFile string        `mapstructure:"client_ca_file"` // who signs certificates of clients
	// ClientSubject says which part of a client certificate is the subject of
	// who presents it: cn, dn, uri, dns or email.
	ClientSubject string `mapstructure:"client_subject"`
	ACME          ACME   `mapstructure:"acme"`
}

// Certificate is a chain and its private key, in PEM files.
type Certificate struct {
	CertFile string `mapstructure:"cert_file"` // PEM, with the chain
	KeyFile  string `mapstructure:"key_file"`  // PEM
}

// Pairs returns every certificate that is in files, the first one first: it is
// presented to clients that ask for a name that none has.
func (t TLS) Pairs() []Certificate {
	if t.CertFile == "" {
		return t.Certificates
	}
	return append([]Certificate{{CertFile: t.CertFile, KeyFile: t.KeyFile}}, t.Certificates...)
}

// Given tells whether there is any certificate, or will be one.
func (t TLS) Given() bool { return t.CertFile != "" || len(t.Certificates) > 0 || t.ACME.Given() }

// ACME has certificates issued and renewed (RFC 8555). Without Domains it is off.
type ACME struct {
	Domains      []string `mapstructure:"domains"`       // for which certificates are asked
	Email        string   `mapstructure:"email"`         // where the authority writes when something is wrong
	DirectoryURL string   `mapstructure:"directory_url"` // of the authority
	CAFile       string   `mapstructure:"ca_file"`       // whom the authority's own certificate is from; "" = the system's
	Storage      string   `mapstructure:"storage"`       // a folder for the account, the keys and the certificates
	AcceptTerms  bool     `mapstructure:"accept_terms"`  // of the authority
}

// Given tells whether certificates are to be issued.
func (a ACME) Given() bool { return len(a.Domains) > 0 }

// The parts of a client certificate that can be the subject.
const (
	ClientSubjectCN    = "cn"
	ClientSubjectDN    = "dn"
	ClientSubjectURI   = "uri"
	ClientSubjectDNS   = "dns"
	ClientSubjectEmail = "email"
)

// HSTS tells browsers to come by https alone (RFC 6797). A MaxAge of 0 says
// nothing.
type HSTS struct {
	MaxAge            time.Duration `mapstructure:"max_age"`            // for which browsers remember it
	IncludeSubdomains bool          `mapstructure:"include_subdomains"` // it holds for all below the host too
	Preload           bool          `mapstructure:"preload"`            // the host may be built into browsers
}

// Limits bound what a client may cost. Zero means no limit, but for MaxStreams. A size is written
// in bytes or as 64MiB (unit:"bytes").
type Limits struct {
	MaxConnections int   `mapstructure:"max_connections"`               // open at a time, over all listeners
	MaxStreams     int   `mapstructure:"max_streams"`                   // requests at a time in one HTTP/2 connection
	MaxHeaderBytes int   `mapstructure:"max_header_bytes" unit:"bytes"` // of all header lines together
	MaxHeaders     int   `mapstructure:"max_headers"`                   // lines of one request
	MaxTargetBytes int   `mapstructure:"max_target_bytes" unit:"bytes"` // of path and query
	MaxBodyBytes   int64 `mapstructure:"max_body_bytes" unit:"bytes"`   // of one request
	// MaxIdentityBytes is for what an application is told about its user: identity
	// headers, assertions and tokens together.
	MaxIdentityBytes  int           `mapstructure:"max_identity_bytes" unit:"bytes"`
	ReadHeaderTimeout time.Duration `mapstructure:"read_header_timeout"` // for the header of one request
	IdleTimeout       time.Duration `mapstructure:"idle_timeout"`        // between two requests of a connection
}

// Drain says how the gateway goes away: after Delay, in which it still serves but
// is no longer ready, it takes no more connections, and what is under way has
// Timeout to finish.
type Drain struct {
	Delay   time.Duration `mapstructure:"delay"`   // in which it serves on while it is not ready
	Timeout time.Duration `mapstructure:"timeout"` // for what is under way
}
