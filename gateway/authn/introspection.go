package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

// ReasonTokenInactive: every authorization server that was asked says that the
// token does not count.
const ReasonTokenInactive = "token_inactive" //nolint:gosec // a word, not a credential

// maxOpaque is the longest token that a server is asked about, in bytes.
const maxOpaque = jose.MaxTokenBytes

// Introspection accepts opaque access tokens, of which only the server that
// issued them knows what they mean (RFC 7662). Several servers are asked in
// their order until one of them knows the token.
type Introspection struct {
	servers   []*IntrospectionServer
	audiences []string
}

var _ Authenticator = (*Introspection)(nil)

// NewIntrospection makes the authenticator over at least one server.
func NewIntrospection(servers ...*IntrospectionServer) *Introspection {
	return &Introspection{servers: servers}
}

// For returns the authenticator of a route whose tokens must be for one of the
// audiences besides what each server's entry asks; with none, i itself. What is
// known of tokens is shared.
func (i *Introspection) For(audiences []string) *Introspection {
	if len(audiences) == 0 {
		return i
	}
	return &Introspection{servers: i.servers, audiences: audiences}
}

// Kind implements Authenticator.
func (*Introspection) Kind() Kind { return KindIntrospection }

// Extract implements Authenticator. A token of three parts is a JWT, for Bearer
// to judge, and an API key is the gateway's own: neither is ever sent away.
func (*Introspection) Extract(r *http.Request) (Credential, error) {
	value, ok := opaqueToken(r.Header)
	if !ok {
		return Credential{}, ErrNoCredential
	}
	return Credential{Kind: KindIntrospection, Value: Secret(value), Bytes: len("Authorization: Bearer ") + len(value)}, nil
}

func opaqueToken(h http.Header) (string, bool) {
	value, ok := bearerToken(h)
	return value, ok && strings.Count(value, ".") != 2 && !isAPIKey(value)
}

// Strip implements Authenticator.
func (*Introspection) Strip(h http.Header) {
	if _, ok := opaqueToken(h); ok {
		delete(h, "Authorization")
	}
}

// Authenticate implements Authenticator. A server that can't answer leaves the
// matter open, unless another one knows the token.
func (i *Introspection) Authenticate(ctx context.Context, c Credential) (*identity.Identity, error) {
	token := string(c.Value)
	if !isB64Token(token) {
		return nil, &Refusal{Reason: string(jose.MalformedToken)}
	}
	if len(token) > maxOpaque {
		return nil, &Refusal{Reason: string(jose.TokenTooLarge)}
	}
	digest := sha256.Sum256([]byte(token))
	var trouble error
	for _, s := range i.servers {
		id, err := s.ask(ctx, token, digest)
		if err == nil {
			return i.judgeRoute(id)
		}
		refusal, refused := errors.AsType[*Refusal](err)
		switch {
		case !refused && trouble == nil:
			trouble = fmt.Errorf("introspection at %s: %w", s.name, err)
		case refused && refusal.Reason != ReasonTokenInactive:
			return nil, refusal // this server knows the token, so nobody else does
		}
	}
	if trouble != nil {
		return nil, trouble
	}
	return nil, &Refusal{Reason: ReasonTokenInactive}
}

func (i *Introspection) judgeRoute(id *identity.Identity) (*identity.Identity, error) {
	if len(i.audiences) == 0 {
		return id, nil
	}
	claims, _ := id.Claims.(identity.MapClaims)
	if !meets(claims["aud"], i.audiences) {
		return nil, &Refusal{Reason: string(jose.WrongAudience)}
	}
	return id, nil
}

// meets tells whether an aud, a string or a list of strings, names one of the
// audiences. It does not allocate.
func meets(aud any, audiences []string) bool {
	switch aud := aud.(type) {
	case string:
		return slices.Contains(audiences, aud)
	case []any:
		for _, one := range aud {
			if s, ok := one.(string); ok && slices.Contains(audiences, s) {
				return true
			}
		}
	}
	return false
}

// isB64Token reports whether a token is of the form that RFC 6750, section 2.1
// gives it. What is not can be no server's, and need not be asked about.
func isB64Token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return s != ""
}
