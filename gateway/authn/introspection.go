package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

// ReasonTokenInactive says that no authorization server that was asked knows
// the token, or that it is over.
const ReasonTokenInactive = "token_inactive"

// maxOpaque is the longest token that a server is asked about, in bytes.
const maxOpaque = jose.MaxTokenBytes

// Introspection accepts opaque access tokens, of which only the server that
// issued them knows what they mean (RFC 7662). Several servers are asked in
// their order until one of them knows the token.
type Introspection struct {
	o         IntrospectionOptions
	audiences []string // that a route accepts; nil = any that the server's entry does
}

var _ Authenticator = (*Introspection)(nil)

// IntrospectionOptions are what an Introspection needs.
type IntrospectionOptions struct {
	Servers []*IntrospectionServer // at least one
	// Revocations are the tokens that were taken back here, whatever their server
	// says; nil = none ever are.
	Revocations *Revocations
	// Possession judges proofs for tokens that are bound to a key.
	Possession Possession
}

// NewIntrospection makes the authenticator.
func NewIntrospection(o IntrospectionOptions) *Introspection { return &Introspection{o: o} }

// For returns an authenticator for a route that accepts tokens for one of these
// audiences alone. It shares what is known of tokens with i. Without audiences it
// is i.
func (i *Introspection) For(audiences []string) *Introspection {
	if len(audiences) == 0 {
		return i
	}
	return &Introspection{o: i.o, audiences: slices.Clone(audiences)}
}

// Kind implements Authenticator.
func (*Introspection) Kind() Kind { return KindIntrospection }

// Extract implements Authenticator. A token of three parts is a JWT, for Bearer
// to judge, and an API key is the gateway's own: neither is ever sent away.
func (*Introspection) Extract(r *http.Request) (Credential, error) {
	value, scheme, ok := opaqueToken(r.Header)
	if !ok {
		return Credential{}, ErrNoCredential
	}
	return Credential{
		Kind: KindIntrospection, Value: Secret(value), Bytes: len("Authorization: ") + len(scheme) + 1 + len(value),
		Evidence: evidence(r, scheme),
	}, nil
}

func opaqueToken(h http.Header) (token, scheme string, ok bool) {
	token, scheme, ok = accessToken(h)
	return token, scheme, ok && strings.Count(token, ".") != 2 && !isAPIKey(token)
}

// Strip implements Authenticator.
func (*Introspection) Strip(h http.Header) {
	if _, _, ok := opaqueToken(h); ok {
		delete(h, "Authorization")
		delete(h, dpopHeader)
	}
}

// Authenticate implements Authenticator.
func (i *Introspection) Authenticate(ctx context.Context, c Credential) (*identity.Identity, error) {
	// 1. Some server knows it.
	a, err := i.ask(ctx, string(c.Value))
	if err != nil {
		return nil, err
	}
	// 2. Nobody has taken it back here.
	now := time.Now()
	if err := i.o.Revocations.judge(ctx, a.facts, now); err != nil {
		return nil, err
	}
	// 3. Who sends it has the key that it is bound to.
	if err := i.o.Possession.judge(ctx, a.confirmation, c.Value, c.Evidence, now); err != nil {
		return nil, err
	}
	// 4. It is for this route.
	if i.audiences != nil && !meets(a.audience, i.audiences) {
		return nil, &Refusal{Reason: string(jose.WrongAudience), Err: errors.New("for another route")}
	}
	return a.id, nil
}

// ask goes through the servers. One that can't answer leaves the matter open,
// unless another one knows the token.
func (i *Introspection) ask(ctx context.Context, token string) (*answer, error) {
	if !isB64Token(token) {
		return nil, &Refusal{Reason: string(jose.MalformedToken)}
	}
	if len(token) > maxOpaque {
		return nil, &Refusal{Reason: string(jose.TokenTooLarge)}
	}
	digest := sha256.Sum256([]byte(token))
	var trouble error
	for _, s := range i.o.Servers {
		a, err := s.ask(ctx, token, digest)
		if err == nil {
			return a, nil
		}
		refusal, refused := errors.AsType[*Refusal](err)
		switch {
		case !refused && trouble == nil:
			trouble = fmt.Errorf("introspection at %s: %w", s.cfg.Name, err)
		case refused && refusal.Reason != ReasonTokenInactive:
			return nil, refusal // this server knows the token, so nobody else does
		}
	}
	if trouble != nil {
		return nil, trouble
	}
	return nil, &Refusal{Reason: ReasonTokenInactive}
}

// meets tells whether one of the audiences of a token is one of those asked for.
func meets(has, want []string) bool {
	return slices.ContainsFunc(has, func(aud string) bool { return slices.Contains(want, aud) })
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
