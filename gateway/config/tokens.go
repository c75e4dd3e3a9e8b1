package config

import (
	"slices"
	"time"
)

// Tokens says which tokens are accepted, and which the gateway makes itself.
type Tokens struct {
	Issuers       []TokenIssuer   `mapstructure:"issuers"`
	Introspection []Introspection `mapstructure:"introspection"`
	Cache         TokenCache      `mapstructure:"cache"`
	DPoP          DPoP            `mapstructure:"dpop"`
	Revocation    TokenRevocation `mapstructure:"revocation"`
	Exchange      TokenExchange   `mapstructure:"exchange"`
}

// TokenIssuer is one issuer of JWT access tokens. Its keys come from JWKSURL,
// JWKSFile or a shared secret; with none of them, from OIDC discovery.
type TokenIssuer struct {
	Issuer     string        `mapstructure:"issuer"`      // the iss of its tokens, byte for byte
	Audiences  []string      `mapstructure:"audiences"`   // one of which tokens must be for
	Algorithms []string      `mapstructure:"algorithms"`  // with which they may be signed
	JWKSURL    string        `mapstructure:"jwks_url"`    // of its keys; "" = discovered
	JWKSFile   string        `mapstructure:"jwks_file"`   // its keys, in a file
	Secret     Secret        `mapstructure:"secret"`      // for HS256; better: secret_file
	SecretFile string        `mapstructure:"secret_file"` // for HS256, of 32 bytes or more
	CAFile     string        `mapstructure:"ca_file"`     // PEM; "" = the system's
	Leeway     time.Duration `mapstructure:"leeway"`      // by which clocks may differ

	// Types are the accepted values of the typ header; "" stands for none.
	// Empty = "", JWT and at+jwt.
	Types          []string      `mapstructure:"types"`
	RequiredClaims []string      `mapstructure:"required_claims"` // besides iss, aud, exp and sub
	MaxLifetime    time.Duration `mapstructure:"max_lifetime"`    // the longest exp - iat; 0 = any
	MaxStale       time.Duration `mapstructure:"max_stale"`       // how long the last good keys serve through an outage of the issuer

	ClaimMapping `mapstructure:",squash"`

	InsecureHTTP bool `mapstructure:"insecure_http"` // http is allowed off loopback
	TrustEmail   bool `mapstructure:"trust_email"`   // its addresses count as verified
}

// ClaimMapping says which claims an identity is made of; dots go into objects.
type ClaimMapping struct {
	SubjectClaim  string `mapstructure:"subject_claim"`  // which claim is the subject
	EmailClaim    string `mapstructure:"email_claim"`    // which claim is the address
	NameClaim     string `mapstructure:"name_claim"`     // which claim is the name for people
	UsernameClaim string `mapstructure:"username_claim"` // which claim is the preferred name
	GroupsClaim   string `mapstructure:"groups_claim"`   // which claim has the groups
}

// The ways in which the gateway proves itself to an authorization server.
const (
	ClientAuthNone       = "none" // a public client; for providers alone
	ClientAuthBasic      = "client_secret_basic"
	ClientAuthPost       = "client_secret_post"
	ClientAuthPrivateKey = "private_key_jwt"
)

// Introspection is one server that is asked about opaque tokens (RFC 7662).
type Introspection struct {
	Name             string   `mapstructure:"name"`               // in logs and metrics
	Endpoint         string   `mapstructure:"endpoint"`           // that is asked (RFC 7662)
	ClientID         string   `mapstructure:"client_id"`          // of the gateway there
	ClientAuth       string   `mapstructure:"client_auth"`        // client_secret_basic | client_secret_post | private_key_jwt
	ClientSecret     Secret   `mapstructure:"client_secret"`      // better: client_secret_file
	ClientSecretFile string   `mapstructure:"client_secret_file"` // the secret and nothing else
	ClientKeyFile    string   `mapstructure:"client_key_file"`    // PEM, for private_key_jwt
	Issuer           string   `mapstructure:"issuer"`             // of its users; an answer that names another one is refused
	Audiences        []string `mapstructure:"audiences"`          // the token must be for one of them; empty = the server decides

	ClaimMapping `mapstructure:",squash"`

	CacheTTL     time.Duration `mapstructure:"cache_ttl"`     // how long an answer counts, at most the token's life
	Timeout      time.Duration `mapstructure:"timeout"`       // of one question
	CAFile       string        `mapstructure:"ca_file"`       // PEM; "" = the system's
	InsecureHTTP bool          `mapstructure:"insecure_http"` // http is allowed off loopback
	TrustEmail   bool          `mapstructure:"trust_email"`   // its addresses count as verified
}

// TokenCache bounds the memory for tokens that were proven already. A MaxBytes
// of 0 turns it off.
type TokenCache struct {
	MaxBytes int64 `mapstructure:"max_bytes" unit:"bytes"` // of memory for tokens that were proven; 0 = prove each time
}

// DPoP says how old a proof of possession may be (RFC 9449).
type DPoP struct {
	MaxAge time.Duration `mapstructure:"max_age"` // of a proof
}

// TokenRevocation says how long a gateway that has lost sight of the store goes
// on accepting tokens by the revocations it knows.
type TokenRevocation struct {
	MaxStaleness time.Duration `mapstructure:"max_staleness"` // for which tokens are accepted while the list can't be read
}

// TokenExchange is the endpoint at which a session gets a token for API clients.
type TokenExchange struct {
	Enabled   bool          `mapstructure:"enabled"`   // POST /.auth/token makes tokens
	Lifetime  time.Duration `mapstructure:"lifetime"`  // of its tokens
	Audiences []string      `mapstructure:"audiences"` // what may be asked for; the first is the default
}

// Assertions are the tokens that the gateway signs for applications.
type Assertions struct {
	Algorithm string        `mapstructure:"algorithm"` // ES256 | EdDSA
	Lifetime  time.Duration `mapstructure:"lifetime"`  // of each
	// KeysFiles are PEM private keys: the first signs, all are published. Empty =
	// made by the gateway and kept in its store.
	KeysFiles []string `mapstructure:"keys_files"`
}

// AcceptsOwnTokens reports whether the gateway accepts access tokens that it has
// signed itself: those of the exchange, and in development those that operators
// mint.
func (c *Config) AcceptsOwnTokens() bool { return c.Tokens.Exchange.Enabled || c.Development() }

// Development reports whether anybody can sign in as anybody: there is a dev
// provider. That works on loopback only.
func (c *Config) Development() bool {
	return slices.ContainsFunc(c.Login.Providers, func(p Provider) bool { return p.Type == ProviderDev })
}
