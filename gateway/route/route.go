// Package route finds the route that a request belongs to. It owns how request
// targets and hosts are read, and which of several patterns wins.
//
// There is one reading of every request: a target or host that two programs
// could understand in two ways is refused, never repaired, because the policy
// is asked about one reading and the application acts on the other.
//
// Precedence never depends on the order of the configuration:
//
//  1. The host: an exact name before a wildcard. A host that is listed exactly
//     is never searched for under the wildcard as well.
//  2. The path: an exact path ("=/x") first, then the longest literal prefix; a
//     regular expression counts as long as the literal text it begins with and
//     beats a prefix of the same length.
//  3. The method: one that the routes of that path do not list is refused and
//     never falls through to a wider path.
//
// What a route then demands is compiled here but judged elsewhere: credentials
// by authn, rules by policy, both in the order that guard sets.
package route

import (
	"errors"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/shield"
	"github.com/sallyport/sallyport/policy"
)

// Route is one compiled entry of the configuration. It is immutable. The zero
// Route is not public and its nil Policy denies.
type Route struct {
	Name    string
	Public  bool           // no authentication; the gateway's cookies are removed all the same
	Auth    authn.Chain    // what proves a user here
	Policy  *policy.Set    // who may come in, with Require in it
	Require policy.StepUp  // what every sign-in must have been like here
	Headers *headers.Set   // what the upstream reads about the user
	Assert  headers.Assert // makes the upstream's assertion; nil = it gets none
	Methods []string       // as configured; empty = every method but CONNECT and TRACE
	Host    string         // Host to send upstream; empty = the client's

	Forward   headers.Forward // the provider's access token for the upstream; nil = it gets none
	ForwardID headers.Forward // the provider's ID token, in Headers.IDTokenHeader; nil = it gets none

	// Credential signs the user in to an upstream that has a login of its own; nil =
	// it has none that the gateway knows of. Who has no entry there is refused, unless
	// it is optional.
	Credential         headers.Credential
	CredentialOptional bool

	CrossSite CrossSite      // what pages of other sites may have browsers send
	Shield    *shield.Shield // hardens the upstream's answers; nil = they pass as they are
	Preflight bool           // true CORS preflights pass without a credential

	// Providers names the login providers whose sessions count here; empty = all.
	Providers []string

	AllowEncodedSlash     bool // %2F in the path is accepted and means a slash
	UpstreamAuthorization bool // the Authorization header is the application's
}

// Guard is what becomes of a request that a page of another site had a browser
// send. The zero Guard refuses it.
type Guard uint8

// The guards.
const (
	Enforce Guard = iota
	Report        // it passes, and is reported
	Off           // it is not looked for
)

// CrossSite guards a route against pages of other sites.
type CrossSite struct {
	Requests  Guard    // that change something
	WebSocket Guard    // for handshakes
	Origins   []string // of other sites that may, as browsers write them
}

// The refusals of Match, besides *BadRequest.
var (
	ErrNoRoute = errors.New("route: no route has this path")        // 404
	ErrMethod  = errors.New("route: the method is not listed here") // 405
	ErrHost    = errors.New("route: this host is not served here")  // 421
)

// The reasons of a BadRequest: a closed list.
const (
	ReasonBadMethod      = "bad_method"      // no token (RFC 9110, section 9.1)
	ReasonAbsoluteTarget = "absolute_target" // anything but origin-form (RFC 9112, section 3.2)
	ReasonBadPath        = "bad_path"        // a bad escape, a control character, invalid UTF-8
	ReasonAmbiguousPath  = "ambiguous_path"  // two programs could read it as two paths
	ReasonBadHost        = "bad_host"        // missing or malformed
)

// BadRequest refuses a request that has no single meaning: 400. Detail is fixed
// text and repeats nothing of the request.
type BadRequest struct{ Reason, Detail string } //nolint:errname // named after the status that it becomes

// Error gives the reason and the detail.
func (e *BadRequest) Error() string { return "route: " + e.Reason + ": " + e.Detail }
