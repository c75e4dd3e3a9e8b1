package headers

import (
	"context"
	"strings"

	"github.com/sallyport/sallyport/gateway/identity"
)

// Forward returns a token of the provider behind a session, to be sent to an
// application: its access token, or its ID token. A nil Forward sends none. Errors
// are those of an authn.Authenticator.
type Forward func(ctx context.Context, id *identity.Identity) (token string, err error)

// Credential returns the Authorization by which the gateway signs in for a user to
// an application that has a login of its own, or false where it has none for him.
// A nil Credential signs nobody in. It asks nobody, and does not allocate.
type Credential func(id *identity.Identity) (authorization string, ok bool)

const (
	authorization = "Authorization"
	bearer        = "Bearer "
)

// extra is what some routes add to the headers of a user.
type extra uint8

const (
	assertion extra = iota
	accessToken
	idToken
	credential
	extras
)

// WithAssertion returns these headers and AssertionHeader with token, or a
// *TooLargeError. The result is kept, so that asking again with the same token
// allocates nothing. That holds for all that adds something.
func (p *Prepared) WithAssertion(token string) (*Prepared, error) {
	return p.with(assertion, AssertionHeader, "", token)
}

// WithAccessToken returns these headers and Authorization with token (RFC 6750,
// section 2.1), or a *TooLargeError.
func (p *Prepared) WithAccessToken(token string) (*Prepared, error) {
	return p.with(accessToken, authorization, bearer, token)
}

// WithIDToken returns these headers and token in the header that the Set has for
// it, or a *TooLargeError. Where it has none, nothing is added.
func (p *Prepared) WithIDToken(token string) (*Prepared, error) {
	if p == nil || p.set.IDTokenHeader() == "" {
		return p, nil
	}
	scheme := ""
	if p.set.idToken == authorization {
		scheme = bearer
	}
	return p.with(idToken, p.set.idToken, scheme, token)
}

// WithCredential returns these headers and Authorization as it is given, or a
// *TooLargeError.
func (p *Prepared) WithCredential(value string) (*Prepared, error) {
	return p.with(credential, authorization, "", value)
}

func (p *Prepared) with(what extra, name, scheme, token string) (*Prepared, error) {
	if p == nil {
		p = &Prepared{}
	}
	if q := p.more[what].Load(); q != nil {
		if kept, ok := strings.CutPrefix(q.pairs[len(q.pairs)-1].value, scheme); ok && kept == token {
			return q, nil
		}
	}
	q := &Prepared{size: p.size + lineSize(name, scheme+token), set: p.set}
	if q.size > p.set.limit() {
		return nil, &TooLargeError{Size: q.size, Limit: p.set.limit()}
	}
	q.pairs = append(append(make([]pair, 0, len(p.pairs)+1), p.pairs...), pair{name, scheme + token})
	p.more[what].Store(q)
	return q, nil
}
