package authn

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/maypok86/otter/v2"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

// ReasonMalformedCredential says that the Authorization header has the right
// scheme and can't be read.
const ReasonMalformedCredential = "malformed_credential" //nolint:gosec // a word, not a credential

const (
	// passwordFor is how long a password that was right counts without hashing it
	// again.
	passwordFor = time.Minute
	// maxPasswords bounds how many are remembered.
	maxPasswords = 4096
)

// Accounts are the people whom the gateway itself keeps passwords of.
type Accounts interface {
	// Known tells whether there is an account of that name.
	Known(username string) bool
	// LockedOut returns *TooMany while no password of that account, or from that
	// address, is judged.
	LockedOut(username, address string) error
	// Verify proves a password. A *Refusal is a definite no; any other error, such
	// as of too many hashes being computed, means that it could not be judged. The
	// identity is the caller's own. address is the client's; empty = unknown.
	Verify(ctx context.Context, username, password, address string) (*identity.Identity, error)
	// Generation changes whenever an account may have changed or gone.
	Generation() uint64
}

// TokenKinds are what judges a token that came as a password. Nil kinds accept
// none.
type TokenKinds struct{ Bearer, Introspection, APIKey Authenticator }

// Basic accepts a user name and a password (RFC 7617): those of an account or,
// for clients that know nothing better, a token as the password beside any name.
type Basic struct {
	passwords *Passwords
	tokens    TokenKinds
	client    func(*http.Request) string
}

var _ Authenticator = (*Basic)(nil)

// Passwords judges the passwords of accounts and remembers, for a minute, those
// that were right, since a slow hash on each request would be a gift to whoever
// wants to keep the gateway busy. It is safe for concurrent use.
type Passwords struct {
	accounts Accounts // nil where there are none
	key      [32]byte // of this process alone: what is remembered can't be guessed from
	right    *otter.Cache[[32]byte, *rightPassword]
	flights  flights[*identity.Identity]
}

type rightPassword struct {
	id         *identity.Identity
	until      time.Time
	generation uint64
}

// NewPasswords makes the judge of passwords. accounts may be nil.
func NewPasswords(accounts Accounts) (*Passwords, error) {
	p := &Passwords{accounts: accounts}
	rand.Read(p.key[:])
	var err error
	p.right, err = otter.New(&otter.Options[[32]byte, *rightPassword]{MaximumSize: maxPasswords})
	return p, err
}

// NewBasic makes the authenticator of a route. Routes share passwords, and each
// has token kinds of its own, which judge by that route. client returns the
// address of the client, by which wrong passwords are counted; it may be nil.
func NewBasic(passwords *Passwords, tokens TokenKinds, client func(*http.Request) string) *Basic {
	if client == nil {
		client = func(*http.Request) string { return "" }
	}
	return &Basic{passwords: passwords, tokens: tokens, client: client}
}

// Kind implements Authenticator.
func (*Basic) Kind() Kind { return KindBasic }

// Extract implements Authenticator.
func (b *Basic) Extract(r *http.Request) (Credential, error) {
	value, ok := basicPair(r.Header)
	if !ok {
		return Credential{}, ErrNoCredential
	}
	return Credential{Kind: KindBasic, Value: Secret(value), Bytes: len("Authorization: Basic ") + len(value), Client: b.client(r)}, nil
}

func basicPair(h http.Header) (string, bool) {
	values := h["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	return cutScheme(values[0], "Basic")
}

// Strip implements Authenticator.
func (*Basic) Strip(h http.Header) {
	if _, ok := basicPair(h); ok {
		delete(h, "Authorization")
	}
}

// Authenticate implements Authenticator.
func (b *Basic) Authenticate(ctx context.Context, c Credential) (*identity.Identity, error) {
	username, password, ok := parseBasic(string(c.Value))
	if !ok {
		return nil, &Refusal{Reason: ReasonMalformedCredential}
	}
	if kind := b.tokenKind(username, password); kind != nil {
		c.Value = Secret(password)
		return kind.Authenticate(ctx, c)
	}
	return b.passwords.verify(ctx, username, password, c.Client)
}

// tokenKind returns who judges the password as a token, or nil where it is one
// of an account. A JWT and an API key show what they are; an opaque token looks
// like any password, so the password of an account is never sent to anybody.
func (b *Basic) tokenKind(username, password string) Authenticator {
	known := b.passwords.accounts != nil && b.passwords.accounts.Known(username)
	switch {
	case isAPIKey(password) && b.tokens.APIKey != nil:
		return b.tokens.APIKey
	case strings.Count(password, ".") == 2 && b.tokens.Bearer != nil:
		if known { // whose password may have two dots as well
			if _, err := jose.Parse(password); err != nil {
				return nil
			}
		}
		return b.tokens.Bearer
	case !known && !isAPIKey(password) && b.tokens.Introspection != nil:
		return b.tokens.Introspection
	}
	return nil
}

// parseBasic splits what is after the scheme. The first colon ends the user
// name, so that passwords can hold some (RFC 7617, section 2).
func parseBasic(value string) (username, password string, ok bool) {
	pair, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || !utf8.Valid(pair) {
		return "", "", false
	}
	username, password, ok = strings.Cut(string(pair), ":")
	if !ok || username == "" || password == "" || strings.ContainsFunc(string(pair), unicode.IsControl) {
		return "", "", false
	}
	return username, password, true
}

func (p *Passwords) verify(ctx context.Context, username, password, address string) (*identity.Identity, error) {
	if p.accounts == nil {
		return nil, &Refusal{Reason: ReasonUnsupportedCredential}
	}
	// Before what is remembered is looked at, or it could be guessed at freely.
	if err := p.accounts.LockedOut(username, address); err != nil {
		return nil, err
	}
	key := p.digest(username, password)
	// The generation is read before the password is judged: what is judged by
	// accounts that change meanwhile is remembered as older than they are.
	generation := p.accounts.Generation()
	if known, ok := p.right.GetIfPresent(key); ok && known.generation == generation && time.Now().Before(known.until) {
		return known.id, nil
	}
	return p.flights.do(ctx, key, func(ctx context.Context) (*identity.Identity, error) {
		id, err := p.accounts.Verify(ctx, username, password, address)
		if err != nil {
			p.right.Invalidate(key)
			return nil, err
		}
		id.Ref, id.Memo = key, new(identity.Memo)
		p.right.Set(key, &rightPassword{id: id, until: time.Now().Add(passwordFor), generation: generation})
		return id, nil
	})
}

// digest names a pair without revealing it. The length keeps "a:b" with "c" from
// being "a" with "b:c".
func (p *Passwords) digest(username, password string) (key [32]byte) {
	mac := hmac.New(sha256.New, p.key[:])
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(username)))
	mac.Write(length[:])
	mac.Write([]byte(username))
	mac.Write([]byte(password))
	mac.Sum(key[:0])
	return key
}
