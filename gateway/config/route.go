package config

import "time"

// PolicyAuthenticated is the built-in policy: any proven user.
const PolicyAuthenticated = "authenticated"

// The credential kinds that a route can list under auth.
const (
	AuthSession       = "session"
	AuthBearer        = "bearer"
	AuthIntrospection = "introspection"
	AuthAPIKey        = "api_key"
	AuthBasic         = "basic"
	AuthClientCert    = "client_cert"
)

// Route sends some requests to one upstream, and says who may make them.
type Route struct {
	Name     string    `mapstructure:"name"`     // in logs, metrics and assertions
	Hosts    []string  `mapstructure:"hosts"`    // empty = the host of public_url; "*.example.com" = one label
	Paths    []string  `mapstructure:"paths"`    // prefix on whole segments; "=/x" exact; "~^/v[0-9]+/" regexp, always anchored
	Methods  []string  `mapstructure:"methods"`  // that it serves; none = all
	Upstream Upstreams `mapstructure:"upstream"` // one, or a list to balance between
	Host     string    `mapstructure:"host"`     // Host to send upstream; empty = the client's

	// StripPrefix is taken off the path, AddPrefix put in front of what is left.
	StripPrefix string `mapstructure:"strip_prefix"`
	AddPrefix   string `mapstructure:"add_prefix"` // put in front of the path for the application
	// MaxBodyBytes bounds request bodies here, instead of server.limits; 0 = no
	// limit.
	MaxBodyBytes *int64 `mapstructure:"max_body_bytes" unit:"bytes"`
	// Trailers names the trailer fields that pass in requests and answers; those
	// of gRPC answers always do.
	Trailers    []string     `mapstructure:"trailers"`
	Timeouts    Timeouts     `mapstructure:"timeouts"`
	UpstreamTLS ClientTLS    `mapstructure:"upstream_tls"`
	Balance     Balance      `mapstructure:"balance"`
	Streams     RouteStreams `mapstructure:"streams"`
	Shield      Shield       `mapstructure:"shield"`
	CrossSite   CrossSite    `mapstructure:"cross_site"`
	// Preflight lets true CORS preflights pass without a credential.
	Preflight bool `mapstructure:"preflight"`

	Public bool     `mapstructure:"public"` // nobody is authenticated and no policy asked
	Auth   []string `mapstructure:"auth"`   // kinds of credentials that it takes
	Policy string   `mapstructure:"policy"` // who may use it; authenticated = any proven user

	// Providers names the login providers that are offered here; empty = all.
	Providers []string `mapstructure:"providers"`
	Require   Require  `mapstructure:"require"`
	// ForwardAccessToken sends the provider's access token of the session as
	// Authorization: Bearer, with at least session.refresh.min_remaining left.
	ForwardAccessToken bool `mapstructure:"forward_access_token"`
	// ForwardIDToken sends the provider's ID token of the session in the header
	// of that name; empty = it is not sent.
	ForwardIDToken     string             `mapstructure:"forward_id_token"`
	UpstreamCredential UpstreamCredential `mapstructure:"upstream_credential"`

	// TokenAudiences narrows the audiences of the issuers: a token must be for
	// one of these as well. Empty = any that its issuer's entry accepts.
	TokenAudiences []string `mapstructure:"token_audiences"`

	Headers []Header `mapstructure:"headers"`
	// Assertion sends Sallyport-Assertion, a token that the gateway signs, for
	// Audience (empty = the name of the route).
	Assertion bool   `mapstructure:"assertion"`
	Audience  string `mapstructure:"audience"` // of its assertions; default: its name

	AllowEncodedSlash bool `mapstructure:"allow_encoded_slash"` // %2F in a path passes, and counts as a slash
	// UpstreamAuthorization leaves the Authorization header to the application:
	// the gateway neither judges nor removes it on this route.
	UpstreamAuthorization bool `mapstructure:"upstream_authorization"`
}

// Upstreams are the URLs of one application. One alone is written without the
// brackets of a list.
type Upstreams []string

// Timeouts of an upstream. Nothing bounds a whole exchange: a body takes as long
// as it takes, unless nothing of it moves for Idle. Zero means no limit.
type Timeouts struct {
	Connect        time.Duration `mapstructure:"connect"`         // with the TLS handshake
	ResponseHeader time.Duration `mapstructure:"response_header"` // from the end of the request
	Idle           time.Duration `mapstructure:"idle"`            // without a byte in either direction
}

// MaxUpstreams bounds the upstreams of one route.
const MaxUpstreams = 64

// How requests are spread over several upstreams.
const (
	BalanceRoundRobin  = "round_robin"
	BalanceLeastLoaded = "least_loaded"
)

// Balance says how requests are spread over several upstreams, and which of them
// are fit to get any.
type Balance struct {
	Method string `mapstructure:"method"` // round_robin | least_loaded: the less busy of two that are drawn
	// Sticky keeps a session at one upstream, as long as that is fit.
	Sticky bool `mapstructure:"sticky"`
	// MaxConnections bounds the requests of this route that one upstream has at a
	// time; 0 = no limit. Beyond it they wait for Timeouts.Connect, and are 503 then.
	MaxConnections int         `mapstructure:"max_connections"`
	Health         HealthCheck `mapstructure:"health"`
	Ejection       Ejection    `mapstructure:"ejection"`
	// Resolve is how often the name of an upstream is looked up again; 0 = for
	// new connections alone.
	Resolve time.Duration `mapstructure:"resolve"`
}

// HealthCheck asks upstreams how they are. An empty Path turns it off.
type HealthCheck struct {
	Path      string        `mapstructure:"path"`      // asked with GET; "" = off
	Interval  time.Duration `mapstructure:"interval"`  // between two looks
	Timeout   time.Duration `mapstructure:"timeout"`   // of one look
	Status    []int         `mapstructure:"status"`    // that are healthy; empty = 200 to 399
	Healthy   int           `mapstructure:"healthy"`   // checks in a row until one gets requests again
	Unhealthy int           `mapstructure:"unhealthy"` // checks in a row until one gets none
}

// Ejection takes an upstream out of the rotation that fails requests, unless it is
// the only one. Zero Failures turn it off.
type Ejection struct {
	Failures int           `mapstructure:"failures"` // in a row: no connection, no answer, or 502, 503, 504
	Duration time.Duration `mapstructure:"duration"` // the first time; longer each time after
}

// RouteStreams bounds WebSockets and streaming answers. Zero means no limit.
type RouteStreams struct {
	MaxLifetime time.Duration `mapstructure:"max_lifetime"` // after which a stream ends; 0 = with its session
	MaxPerUser  int           `mapstructure:"max_per_user"` // at a time, at this gateway; 0 = any number
}

// What a check does with what it finds, besides ModeEnforce.
const (
	ModeOff    = "off"
	ModeReport = "report"
)

// Shield hardens what an application answers with. Empty values add nothing.
type Shield struct {
	Mode string `mapstructure:"mode"` // off | report | enforce
	// Cookies are the exceptions, by name. The first that fits counts.
	Cookies        []ShieldCookie `mapstructure:"cookies"`
	SameSite       string         `mapstructure:"same_site"`       // lax | strict: for cookies that say nothing
	HostPrefix     bool           `mapstructure:"host_prefix"`     // call cookies __Host-NAME in the browser, where they can be
	KeepDomain     bool           `mapstructure:"keep_domain"`     // leave the Domain of cookies as it is
	HSTS           time.Duration  `mapstructure:"hsts"`            // max-age of Strict-Transport-Security, where the application says nothing
	FrameAncestors string         `mapstructure:"frame_ancestors"` // of Content-Security-Policy, likewise
	ReferrerPolicy string         `mapstructure:"referrer_policy"` // likewise
	RemoveHeaders  []string       `mapstructure:"remove_headers"`  // of answers, besides identity headers
}

// ShieldCookie is what one cookie of the application needs to be: the rest of it
// is hardened as the others are.
type ShieldCookie struct {
	Name       string `mapstructure:"name"`        // or the beginning of names, with a * behind it
	Script     bool   `mapstructure:"script"`      // scripts read it: no HttpOnly
	Insecure   bool   `mapstructure:"insecure"`    // it goes over plain http too: no Secure
	SameSite   string `mapstructure:"same_site"`   // lax | strict | none: whatever the application says
	KeepDomain bool   `mapstructure:"keep_domain"` // other hosts of the site read it
	Untouched  bool   `mapstructure:"untouched"`   // nothing is changed or reported
}

// CrossSite guards requests that pages of other sites make a browser send.
type CrossSite struct {
	Mode      string   `mapstructure:"mode"`      // off | report | enforce: for requests that change something
	WebSocket string   `mapstructure:"websocket"` // off | report | enforce: for WebSocket handshakes
	Origins   []string `mapstructure:"origins"`   // of other sites that may
}

// UpstreamCredential is how the gateway signs in to an application that has a
// login of its own. One of the three is given. Files are read again when they
// change.
type UpstreamCredential struct {
	Username     string `mapstructure:"username"`      // Basic (RFC 7617), with PasswordFile
	PasswordFile string `mapstructure:"password_file"` // the secret and nothing else
	TokenFile    string `mapstructure:"token_file"`    // Bearer (RFC 6750)
	UsersFile    string `mapstructure:"users_file"`    // YAML: a credential for each user
	// Optional forwards requests of users without an entry in UsersFile, without
	// a credential, instead of refusing them.
	Optional bool `mapstructure:"optional"`
}

// File is the file that holds secrets, and its key; both are empty where there is
// none.
func (c *UpstreamCredential) File() (key, name string) {
	switch {
	case c.UsersFile != "":
		return "users_file", c.UsersFile
	case c.TokenFile != "":
		return "token_file", c.TokenFile
	case c.PasswordFile != "":
		return "password_file", c.PasswordFile
	}
	return "", ""
}

// Header sets one request header of the upstream from a claim.
type Header struct {
	Name     string   `mapstructure:"name"`     // of the header
	Claim    string   `mapstructure:"claim"`    // sub, email, groups, iss, ... or a path such as realm_access.roles
	Or       []string `mapstructure:"or"`       // claims in its place, where it is absent; the first that is there
	Match    string   `mapstructure:"match"`    // a regular expression: which items of a list are sent
	Join     string   `mapstructure:"join"`     // between list items; default ","
	Default  string   `mapstructure:"default"`  // used where the claim is absent
	Encoding string   `mapstructure:"encoding"` // percent | utf8 | base64 | rfc2047 | json
	Required bool     `mapstructure:"required"` // refuse the request where the claim is absent
}
