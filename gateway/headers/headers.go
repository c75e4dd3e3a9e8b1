// Package headers owns what applications read about the user: the identity
// headers of a request, and the cookies that belong to the gateway alone.
//
// The order is always the same: Strip deletes every inbound copy of an identity
// header in every spelling, then Apply sets the gateway's own. Everything that
// can fail happens before, in Prepare, so that a request is either forwarded
// with all of its headers or not forwarded at all.
//
// Who the user is, is authentication's to say; where the request goes, the
// front ends'. The client address and the forwarding headers that the proxy
// sets itself (X-Forwarded-For, -Host, -Proto) are deleted here and set there.
package headers

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// DefaultMaxBytes is the size that all identity headers of a request may have
// together where Options do not say otherwise.
const DefaultMaxBytes = 16 << 10

// Options are what Compile makes a Set with besides the rules.
type Options struct {
	// MaxBytes limits all identity headers of one request together: names,
	// values and four bytes a line for ": " and the line end. Zero means
	// DefaultMaxBytes.
	MaxBytes int

	// IDToken is the name of the header that WithIDToken sets; empty = none. In
	// Authorization the token has the scheme Bearer.
	IDToken string

	// SetsAuthorization says that the gateway sets that header as well, so that
	// the client's goes.
	SetsAuthorization bool

	// Strip are names of headers that are deleted besides those that the set can
	// set: those of other routes, whose applications may be the same.
	Strip []string
}

// Set is the compiled header list of one route: it knows which headers to
// delete and which to set. It is immutable and safe for concurrent use. A nil
// Set deletes the well-known identity headers and sets none.
type Set struct {
	fields   []field
	idToken  string // canonical; empty = it sets none
	maxBytes int
	own      map[string]struct{} // folded names of what is deleted
	pairs    pairSet             // beginnings worth a closer look: those of own and of the well-known names
}

// AssertionHeader carries the token that the gateway signs for an application.
// No other header may have a name that begins like the gateway's.
const AssertionHeader = "Sallyport-Assertion"

// Assert makes that token about a user. A nil Assert makes none.
type Assert func(id *identity.Identity, now time.Time) (string, error)

// Prepared are the identity headers of one user on one route. Its headers never
// change and it is safe for concurrent use; a nil Prepared sets nothing.
type Prepared struct {
	pairs []pair
	size  int
	set   *Set
	more  [extras]atomic.Pointer[Prepared] // what was made last of this with one of each
}

type pair struct{ name, value string }

// MissingError says that a required header has no value for this user: the
// request must not be forwarded.
type MissingError struct{ Header, Claim string }

// Error names the header and the claim, never a value.
func (e *MissingError) Error() string {
	return fmt.Sprintf("headers: %s is required and the user has no claim %s", e.Header, e.Claim)
}

// TooLargeError says that the identity headers exceed the limit. They are never
// cut short: half of a list of groups is another list of groups.
type TooLargeError struct{ Size, Limit int }

// Error gives both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("headers: the identity headers take %d bytes, the limit is %d", e.Size, e.Limit)
}

// Names returns the canonical names of the headers that the set can set from
// claims, in the order in which Apply does.
func (s *Set) Names() []string {
	if s == nil {
		return nil
	}
	names := make([]string, len(s.fields))
	for i := range s.fields {
		names[i] = s.fields[i].name
	}
	return names
}

// IDTokenHeader is the canonical name of the header that WithIDToken sets; empty
// where the set has none.
func (s *Set) IDTokenHeader() string {
	if s == nil {
		return ""
	}
	return s.idToken
}

func (s *Set) limit() int {
	if s == nil {
		return DefaultMaxBytes
	}
	return s.maxBytes
}

// Prepare computes the headers for id, or says why they cannot be set: a
// *MissingError or a *TooLargeError. A nil id, on a public route, gets none.
//
// The result is kept in id.Memo, so that the next request of a session on this
// route computes nothing.
func (s *Set) Prepare(id *identity.Identity) (*Prepared, error) {
	if s == nil || id == nil {
		return nil, nil // a nil *Prepared is valid and sets nothing
	}
	if v, ok := id.Memo.Load(s); ok {
		if p, ok := v.(*Prepared); ok {
			return p, nil
		}
	}
	p := &Prepared{pairs: make([]pair, 0, len(s.fields)), set: s}
	for i := range s.fields {
		f := &s.fields[i]
		value, ok := f.value(id)
		if !ok {
			if f.required {
				return nil, &MissingError{Header: f.name, Claim: strings.Join(f.claims, ", ")}
			}
			continue
		}
		p.size += lineSize(f.name, value)
		p.pairs = append(p.pairs, pair{f.name, value})
	}
	if p.size > s.maxBytes {
		return nil, &TooLargeError{Size: p.size, Limit: s.maxBytes}
	}
	id.Memo.Store(s, p)
	return p, nil
}

func lineSize(name, value string) int { return len(name) + len(value) + len(": \r\n") }

// Apply sets the headers in h, where Strip has been before. It only copies, and
// allocates once.
func (p *Prepared) Apply(h http.Header) {
	if p == nil || len(p.pairs) == 0 {
		return
	}
	values := make([]string, len(p.pairs))
	for i, one := range p.pairs {
		values[i] = one.value
		h[one.name] = values[i : i+1 : i+1]
	}
}

// Each calls f for every header, in the set's order. Names are canonical.
func (p *Prepared) Each(f func(name, value string)) {
	if p == nil {
		return
	}
	for _, one := range p.pairs {
		f(one.name, one.value)
	}
}
