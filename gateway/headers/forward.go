package headers

import (
	"context"
	"strings"

	"github.com/sallyport/sallyport/gateway/identity"
)

// Forward returns the access token of the provider behind a session, to be sent
// to an application that calls APIs with it. A nil Forward sends none. Errors are
// those of an authn.Authenticator.
type Forward func(ctx context.Context, id *identity.Identity) (token string, err error)

const (
	authorization = "Authorization"
	bearer        = "Bearer "
)

// WithAccessToken returns these headers and Authorization with token (RFC 6750,
// section 2.1), or a *TooLargeError. The result is kept, so that asking again with
// the same token allocates nothing.
func (p *Prepared) WithAccessToken(token string) (*Prepared, error) {
	if p == nil {
		p = &Prepared{maxBytes: DefaultMaxBytes}
	}
	if q := p.forwarding.Load(); q != nil {
		if kept, ok := strings.CutPrefix(q.pairs[len(q.pairs)-1].value, bearer); ok && kept == token {
			return q, nil
		}
	}
	q := &Prepared{size: p.size + lineSize(authorization, bearer+token), maxBytes: p.maxBytes}
	if q.size > q.maxBytes {
		return nil, &TooLargeError{Size: q.size, Limit: q.maxBytes}
	}
	q.pairs = append(append(make([]pair, 0, len(p.pairs)+1), p.pairs...), pair{authorization, bearer + token})
	p.forwarding.Store(q)
	return q, nil
}
