package config

import (
	"fmt"
	"io"
	"time"
)

// Config is the whole configuration: one YAML file, with the environment over
// it. Load returns it checked; each constructor takes its own section of it.
//
// Lists of objects are used throughout and never maps keyed by hosts, headers
// or claims, because such keys would be folded to lower case.
type Config struct {
	Server  Server  `mapstructure:"server"`
	Admin   Admin   `mapstructure:"admin"`
	Session Session `mapstructure:"session"`
	Login   Login   `mapstructure:"login"`
	Tokens  Tokens  `mapstructure:"tokens"`

	Assertions Assertions `mapstructure:"assertions"`

	ForwardAuth ForwardAuth `mapstructure:"forward_auth"`
	ExtAuthz    ExtAuthz    `mapstructure:"ext_authz"`
	Compat      Compat      `mapstructure:"compat"`

	Policies []Policy `mapstructure:"policies"`
	Routes   []Route  `mapstructure:"routes"`
	Pages    Pages    `mapstructure:"pages"`
	Log      Log      `mapstructure:"log"`
	Audit    Audit    `mapstructure:"audit"`
	Tracing  Tracing  `mapstructure:"tracing"`
	Lint     Lint     `mapstructure:"lint"`

	// The short form: one application behind one OpenID provider. Load turns
	// it into one provider, one route and its policy, so nothing else reads these.

	Issuer           string `mapstructure:"issuer"`             // of the provider
	ClientID         string `mapstructure:"client_id"`          // from the provider
	ClientSecretFile string `mapstructure:"client_secret_file"` // the secret and nothing else; none for a public client
	Upstream         string `mapstructure:"upstream"`           // where the application is
	Allow            *Match `mapstructure:"allow"`              // whom it lets in; nil = every user of the provider

	source source // where each key was written, for error messages
}

// Pages is how the pages that people see are made one's own.
type Pages struct {
	Name     string `mapstructure:"name"`      // what people read on the pages
	LogoFile string `mapstructure:"logo_file"` // "" = our own
	Color    string `mapstructure:"color"`     // of buttons, #rrggbb; "" = our own
}

// Admin is the operators' listener. An empty Listen turns it off.
type Admin struct {
	Listen    string      `mapstructure:"listen"`     // the operators' address; "" = no such listener
	TokenFile string      `mapstructure:"token_file"` // or tls.client_ca_file; one of them is required when not on loopback
	Hosts     []string    `mapstructure:"hosts"`      // names by which it is asked, besides addresses and names without a dot
	TLS       ListenerTLS `mapstructure:"tls"`        // with ClientCAFile such a certificate is as good as the token
}

// The session stores.
const (
	StoreEmbedded = "embedded"
	StoreValkey   = "valkey"
)

// What a sign-in does whose user has session.max_per_user sessions already.
const (
	WhenFullOldestOut = "oldest_out"
	WhenFullRefuse    = "refuse"
)

// Session says how long sessions live and where.
type Session struct {
	Store           string        `mapstructure:"store"` // embedded | valkey
	Embedded        Embedded      `mapstructure:"embedded"`
	Valkey          Valkey        `mapstructure:"valkey"`
	Cache           Cache         `mapstructure:"cache"`
	Cookie          Cookie        `mapstructure:"cookie"`
	IdleTimeout     time.Duration `mapstructure:"idle_timeout"`     // after the last request
	AbsoluteTimeout time.Duration `mapstructure:"absolute_timeout"` // whatever the activity
	KeysFiles       []string      `mapstructure:"keys_files"`       // first seals, all open; empty = made and kept in the embedded store
	KeysWarnAge     time.Duration `mapstructure:"keys_warn_age"`    // of a key of either ring, from which on operators are told; 0 = never
	MaxPerUser      int           `mapstructure:"max_per_user"`     // sessions that one user can have at a time; 0 = any number
	WhenFull        string        `mapstructure:"when_full"`        // oldest_out | refuse: what a sign-in beyond them does
	Refresh         Refresh       `mapstructure:"refresh"`
}

// Refresh says when the provider's tokens of a session are renewed.
type Refresh struct {
	Ahead        time.Duration `mapstructure:"ahead"`         // before the access token expires
	Grace        time.Duration `mapstructure:"grace"`         // how long a session goes on after that while the provider is down
	MinRemaining time.Duration `mapstructure:"min_remaining"` // what a token that is forwarded has left at least
}

// Embedded is the built-in store. An empty Path keeps sessions in memory only.
type Embedded struct {
	Path string `mapstructure:"path"` // the file; "" = memory alone
}

// Valkey is the store that several gateways share. Addresses returns the
// entries of URLs parsed: one server, the seeds of a cluster or, with a
// SentinelMaster, the sentinels who know where that master is.
type Valkey struct {
	URLs                 []string      `mapstructure:"urls"`                   // valkey://host:port/database, valkeys:// with TLS, unix:///path?db=database
	SentinelMaster       string        `mapstructure:"sentinel_master"`        // the name that the sentinels have for it; "" = no sentinels
	Username             string        `mapstructure:"username"`               // "" = the default user
	Password             Secret        `mapstructure:"password"`               // better: password_file
	PasswordFile         string        `mapstructure:"password_file"`          // read again for each connection
	SentinelUsername     string        `mapstructure:"sentinel_username"`      // where the sentinels have credentials of their own
	SentinelPassword     Secret        `mapstructure:"sentinel_password"`      // better: sentinel_password_file
	SentinelPasswordFile string        `mapstructure:"sentinel_password_file"` // where the sentinels have their own
	TLS                  ClientTLS     `mapstructure:"tls"`                    // for valkeys:// alone
	Timeout              time.Duration `mapstructure:"timeout"`                // hard deadline of every call
	KeyPrefix            string        `mapstructure:"key_prefix"`             // begins every key; two installations on one Valkey need different ones
}

// ClientTLS is for connections that the gateway makes. An empty CAFile stands for
// the system's authorities, an empty ServerName for the host of the URL.
type ClientTLS struct {
	CAFile     string `mapstructure:"ca_file"`     // PEM; "" = the system's
	CertFile   string `mapstructure:"cert_file"`   // of the gateway, as a client
	KeyFile    string `mapstructure:"key_file"`    // PEM, of the client certificate
	ServerName string `mapstructure:"server_name"` // that the certificate must be for; "" = the host of the address
}

// Cache bounds the copies of Valkey's sessions in a gateway's memory. A
// MaxBytes of 0 turns it off.
type Cache struct {
	MaxBytes     int64         `mapstructure:"max_bytes" unit:"bytes"` // of memory; 0 = off
	MaxStaleness time.Duration `mapstructure:"max_staleness"`          // what a connection that was cut silently can cost
}

// Cookie shapes the session cookie. An empty Name is chosen by public_url:
// __Host-sp on https, __Secure-sp with a domain, sp on plain-http loopback.
type Cookie struct {
	Name     string `mapstructure:"name"`      // default: __Host-sp, or sp on plain http
	Domain   string `mapstructure:"domain"`    // "" = the host alone
	SameSite string `mapstructure:"same_site"` // lax | strict | none
	// Partitioned keeps the cookie apart for each site that embeds this one in a
	// frame (CHIPS).
	Partitioned bool `mapstructure:"partitioned"`
}

// Login lists the ways to sign in.
type Login struct {
	Providers     []Provider `mapstructure:"providers"`
	LogoutTargets []string   `mapstructure:"logout_targets"` // URLs elsewhere to which a sign-out may lead
	KeepForms     bool       `mapstructure:"keep_forms"`     // a form that was sent without a session is kept, sealed, until its user has signed in
	CORSOrigins   []string   `mapstructure:"cors_origins"`   // whose pages may read the gateway's own answers
	Lockout       Lockout    `mapstructure:"lockout"`
}

// Lockout slows down who guesses passwords of users providers.
type Lockout struct {
	Attempts   int           `mapstructure:"attempts"`    // wrong passwords of one account
	PerAddress int           `mapstructure:"per_address"` // wrong passwords from one address
	Window     time.Duration `mapstructure:"window"`      // within which they count, and for which it is closed
}

// The provider types.
const (
	ProviderDev   = "dev"
	ProviderOIDC  = "oidc"
	ProviderUsers = "users"

	// ProviderOAuth2 speaks OAuth 2.0 without OpenID Connect; the others are
	// the same, or oidc, with what is known of them filled in.
	ProviderOAuth2    = "oauth2"
	ProviderGitHub    = "github"
	ProviderGitLab    = "gitlab"
	ProviderGoogle    = "google"
	ProviderMicrosoft = "microsoft"
	ProviderKakao     = "kakao"
	ProviderNaver     = "naver"
)

// Provider is one way to sign in. Which fields apply depends on Type.
type Provider struct {
	Name  string `mapstructure:"name"`  // in addresses, logs and policies
	Type  string `mapstructure:"type"`  // what kind of provider it is
	Title string `mapstructure:"title"` // what the sign-in page calls it; default: the name

	// oidc
	Issuer           string   `mapstructure:"issuer"`             // whose discovery document is read
	ClientID         string   `mapstructure:"client_id"`          // from the provider
	ClientSecret     Secret   `mapstructure:"client_secret"`      // better: client_secret_file
	ClientSecretFile string   `mapstructure:"client_secret_file"` // the secret and nothing else
	Scopes           []string `mapstructure:"scopes"`             // that are asked for
	CAFile           string   `mapstructure:"ca_file"`            // PEM; "" = the system's
	InsecureHTTP     bool     `mapstructure:"insecure_http"`      // http to a provider that is not on loopback
	TrustEmail       bool     `mapstructure:"trust_email"`        // take email as verified though the provider does not say so

	ClaimMapping `mapstructure:",squash"`

	// oidc and oauth2
	BackChannelURL string `mapstructure:"back_channel_url"` // where the gateway itself reaches the issuer, if elsewhere than browsers
	ClientAuth     string `mapstructure:"client_auth"`      // none | client_secret_basic | client_secret_post | private_key_jwt; empty = by what is given
	ClientKeyFile  string `mapstructure:"client_key_file"`  // PEM, for private_key_jwt
	// AuthorizationParams are more parameters of the authorization request.
	AuthorizationParams []Param `mapstructure:"authorization_params"`

	// oauth2
	AuthorizationURL string `mapstructure:"authorization_url"` // where browsers are sent
	TokenURL         string `mapstructure:"token_url"`         // where codes are redeemed
	UserinfoURL      string `mapstructure:"userinfo_url"`      // where the user is told
	RevocationURL    string `mapstructure:"revocation_url"`    // where tokens are taken back (RFC 7009)

	// github, google, microsoft
	Organizations []string `mapstructure:"organizations"` // whose members may sign in; empty = anybody
	HostedDomain  string   `mapstructure:"hosted_domain"` // google: of a Workspace, whose users alone may come in
	Tenant        string   `mapstructure:"tenant"`        // microsoft: whose users may come in

	// dev
	Identities []DevIdentity `mapstructure:"identities"`

	// users
	File string `mapstructure:"file"` // of the accounts
}

// Param is one parameter of a request.
type Param struct {
	Name  string `mapstructure:"name"`  // of the parameter
	Value string `mapstructure:"value"` // of the parameter
}

// DevIdentity is somebody whom a developer can pick on the sign-in page.
type DevIdentity struct {
	Subject string   `mapstructure:"subject"` // who it is
	Email   string   `mapstructure:"email"`   // counts as verified
	Name    string   `mapstructure:"name"`    // for people
	Groups  []string `mapstructure:"groups"`  // for policies
}

// Log says what is logged and how.
type Log struct {
	Level  string `mapstructure:"level"`  // debug | info | warn | error
	Format string `mapstructure:"format"` // json | console
}

// Secret is a value that cannot print itself.
type Secret string

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// Format hides the value from every verb, also from those that do not fit.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }
