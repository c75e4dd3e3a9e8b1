// Package authn turns what a request carries into an identity. Each credential
// kind is one Authenticator in one file; a Chain is the ordered list that a
// route accepts. It owns the question "who is this?"; whether he may is the
// policy's, and which answer a refusal gets is the guard's.
package authn

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// Kind names a credential kind in routes, logs and metrics: a closed set.
type Kind string

// The credential kinds.
const (
	KindNone          Kind = "none"
	KindSession       Kind = "session"
	KindBearer        Kind = "bearer"
	KindIntrospection Kind = "introspection"
	KindAPIKey        Kind = "api_key"
	KindBasic         Kind = "basic"
	KindClientCert    Kind = "client_cert"
)

// Secret is a credential's value. It prints as "[redacted]".
type Secret string

// String hides the value from logs and error texts.
func (Secret) String() string { return "[redacted]" }

// GoString hides the value from %#v.
func (Secret) GoString() string { return "[redacted]" }

// Credential is what Extract found: everything that the proof will need, so
// that Authenticate never sees the request.
type Credential struct {
	Kind     Kind
	Value    Secret             // a token; empty for sessions
	Sessions session.Candidates // ids whose keyed check holds; for sessions
	// Certificate is what the client proved to hold the key of, when the
	// connection was made; for client certificates.
	Certificate *x509.Certificate
	Bytes       int       // what the credential costs on the wire
	Client      string    // the client's address, where its failures are counted
	Active      bool      // the request counts as the user's activity
	Evidence    *Evidence // of the possession of a key; nil where there is none
}

// Authenticator is one way to prove who is asking.
//
// Extract takes the credential and does no I/O. ErrNoCredential means "not
// mine, ask the next"; a *Refusal means that it is mine and malformed.
//
// Authenticate proves it. A *Refusal means that the credential is bad; any other
// error that it could not be judged (an outage). On error the identity is nil.
//
// Strip removes the credential from headers that go upstream, whether or not
// it was used.
type Authenticator interface {
	Kind() Kind
	Extract(r *http.Request) (Credential, error)
	Authenticate(ctx context.Context, c Credential) (*identity.Identity, error)
	Strip(h http.Header)
}

// ErrNoCredential means that the request carries no credential of this kind.
var ErrNoCredential = errors.New("authn: no credential")

// Refusal is a definite no. Reason is one of the constants of this package;
// Err tells the operator more and never reaches the client.
type Refusal struct { //nolint:errname // a refusal is an answer, and an error only to travel as one
	Reason string
	Err    error
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Err == nil {
		return r.Reason
	}
	return r.Reason + ": " + r.Err.Error()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// TooMany is neither a yes nor a no: nothing is judged for the time being,
// because too much was wrong before.
type TooMany struct { //nolint:errname // as Refusal
	Reason string
	Wait   time.Duration // until it makes sense to ask again
}

// Error implements error.
func (m *TooMany) Error() string { return m.Reason + ": again in " + m.Wait.String() }

// Reasons of refusals, besides those of package jose.
const (
	ReasonNoCredential          = "no_credential"          //nolint:gosec // a word, not a credential
	ReasonUnsupportedCredential = "unsupported_credential" // an Authorization scheme that the route does not take
	ReasonDuplicateCredential   = "duplicate_credential"   // several Authorization headers, or one beside an API key
	ReasonNoSession             = "no_session"             // unknown, ended or expired
	ReasonSessionIdle           = "session_idle"
	ReasonAmbiguousSession      = "ambiguous_session" // two different live sessions
	ReasonUnknownIssuer         = "unknown_issuer"
	ReasonNoAccessToken         = "no_access_token" // of the session's provider, to forward
	ReasonNoIDToken             = "no_id_token"     // likewise
)

// Chain is the ordered list of what a route accepts. The first credential that
// is present decides, and its failure is final: no other one is tried.
type Chain []Authenticator

// Order returns the chain in the order in which credentials outrank each
// other. What is in the Authorization header comes first, since a client that
// sends a header means it; API keys before the rest, since only they look for a
// second credential beside the header. Then come cookies, and client
// certificates last: browsers and sidecars present one on every connection, and
// whoever has signed in besides means to be that user.
func Order(chain []Authenticator) Chain {
	ordered := slices.Clone(chain)
	slices.SortStableFunc(ordered, func(a, b Authenticator) int { return cmp.Compare(rank(a.Kind()), rank(b.Kind())) })
	return ordered
}

func rank(k Kind) int {
	switch k {
	case KindAPIKey:
		return 0
	case KindSession:
		return 2
	case KindClientCert:
		return 3
	default:
		return 1
	}
}

// inHeader tells whether a kind reads the Authorization header.
func inHeader(k Kind) bool { return rank(k) < rank(KindSession) }

// Extract finds the credential that counts. ErrNoCredential means that the
// request carries none. judgeAuthorization is false on routes that leave the
// Authorization header to the application.
func (c Chain) Extract(r *http.Request, judgeAuthorization bool) (Authenticator, Credential, error) {
	authorization := r.Header["Authorization"]
	if !judgeAuthorization {
		authorization = nil
	}
	if len(authorization) > 1 {
		return nil, Credential{}, &Refusal{Reason: ReasonDuplicateCredential}
	}
	for _, a := range c {
		if !inHeader(a.Kind()) {
			if len(authorization) > 0 {
				break // nobody claimed the header: see below
			}
		} else if !judgeAuthorization {
			continue
		}
		cred, err := a.Extract(r)
		switch {
		case err == nil:
			return a, cred, nil
		case !errors.Is(err, ErrNoCredential):
			return nil, Credential{}, err
		}
	}
	if len(authorization) > 0 {
		// The mere presence of a header never counts, and it is not ignored
		// either: its sender must learn that it proves nothing here.
		return nil, Credential{}, &Refusal{Reason: ReasonUnsupportedCredential}
	}
	return nil, Credential{}, ErrNoCredential
}

// Strip removes every credential of the chain.
func (c Chain) Strip(h http.Header) {
	for _, a := range c {
		a.Strip(h)
	}
}

// cutScheme splits an Authorization value into its scheme, compared without
// regard to case, and the rest (RFC 9110, section 11.6.2).
func cutScheme(value, scheme string) (rest string, ok bool) {
	if len(value) <= len(scheme) || value[len(scheme)] != ' ' || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", false
	}
	return strings.TrimLeft(value[len(scheme):], " "), true
}
