package policy

import (
	"net/netip"
	"time"
)

// Version is that of the vocabulary: what Input holds, what expressions can name
// and what an external authorizer is sent. A name may be added under a version,
// but none removed, and none may change its meaning.
const Version = 1

// Identity is what policies see of a user. It is the policy language's own
// view, so that the gateway's type can change without breaking a rule.
type Identity struct {
	Issuer            string
	Subject           string
	Email             string
	EmailVerified     bool
	Name              string
	PreferredUsername string
	Groups            []string
	Claims            Claims // nil: there are none

	ACR      string    // authentication context class
	AMR      []string  // how he proved himself
	AuthTime time.Time // when he last did; zero when unknown

	Provider   string // the login provider or other source that vouches for him
	Credential string // the kind of credential that came with the request
}

// VerifiedEmail returns the address in lower case (ASCII), or "" where nobody
// vouches for it.
func (id *Identity) VerifiedEmail() string {
	var buf [maxAddress]byte
	return string(foldAddress(&buf, id.Email, id.EmailVerified))
}

// Scopes returns the scopes of an access token (RFC 6749, section 3.3).
func (id *Identity) Scopes() []string { return scopes(id.Claims) }

// Claims are what else is known of a user.
type Claims interface {
	// Claim returns the claim called name as JSON decodes it, or nil when there
	// is none. A claim that is null is nil too.
	Claim(name string) any
	// All returns every claim, in a map that the caller may keep.
	All() map[string]any
}

// Request is what policies see of a request. Path is the canonical path by
// which the route was found, never the bytes that the client sent.
type Request struct {
	Method   string
	Host     string
	Path     string
	RawQuery string
	Header   map[string][]string // as in http.Header; only read
}

// Client is who is at the other end of the connection. Address is what the
// trusted proxies say; the zero Addr, where it is not known, is in no network.
type Client struct{ Address netip.Addr }

// String returns the address, or "" where it is not known. One that is mapped to
// IPv6 is the IPv4 address that it is.
func (c Client) String() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.Unmap().WithZone("").String()
}

// Input is everything that a decision can depend on.
type Input struct {
	Route    string
	Identity Identity
	Request  Request
	Client   Client
	Now      time.Time
}
