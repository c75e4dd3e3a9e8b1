package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"
)

// maxOpenBytes bounds the tokens that are kept in the clear in memory.
const maxOpenBytes = 16 << 20

// errShortLived tells the operator what no refresh can mend.
var errShortLived = errors.New("the provider's access tokens live for less than session.refresh.min_remaining")

// openTokens remembers opened tokens by session and generation, so that to
// forward one costs no call of the store. It is safe for concurrent use.
type openTokens struct {
	cache *otter.Cache[openKey, openToken]
}

type openKey struct {
	session    Key
	generation uint32
	id         bool // the ID token, not the access token
}

type openToken struct {
	value   string
	expires time.Time // of an access token; zero: unknown
}

func newOpenTokens() openTokens {
	return openTokens{otter.Must(&otter.Options[openKey, openToken]{
		MaximumWeight: maxOpenBytes,
		Weigher:       func(_ openKey, t openToken) uint32 { return uint32(len(t.value) + 200) },
	})}
}

// AccessToken returns the access token of a live session, with at least the
// configured time left: renewed first, if need be. ErrNoTokens means that its
// provider gave none, ErrNotFound that the session is over, because the token
// has ended and can't be renewed. Any other error is an outage.
func (m *Manager) AccessToken(ctx context.Context, key Key) (string, error) {
	r := m.renewer
	if r == nil {
		return "", ErrNoTokens
	}
	s, err := m.store.Get(ctx, key)
	if err != nil {
		return "", err
	}
	if !r.lasts(&s.Grant) {
		if s, err = r.renewNow(ctx, s); err != nil {
			return "", err
		}
	}
	token, err := r.open(ctx, s, false)
	switch {
	case err != nil:
		return "", err
	case token.value == "":
		return "", ErrNoTokens
	case s.Grant.Issued == 0 && !token.expires.IsZero() && time.Until(token.expires) < r.settings.MinRemaining:
		// Only a record of a release that did not write the end gets here.
		return "", r.end(ctx, s, RefreshGrantEnded)
	}
	return token.value, nil
}

// lasts reports whether the access token may be forwarded.
func (r *renewer) lasts(g *Grant) bool {
	return g.Expires == 0 || g.left(time.Now()) >= max(r.settings.MinRemaining, 1)
}

// renewNow renews the tokens of s, which don't last.
func (r *renewer) renewNow(ctx context.Context, s *Session) (*Session, error) {
	now := time.Now()
	if !s.Grant.Renewable {
		// To sign in again is all that helps, and who has a session is not asked to.
		return nil, r.end(ctx, s, RefreshGrantEnded)
	}
	if s.Grant.life() < r.settings.MinRemaining && !r.due(s, now) {
		return nil, errShortLived // as the next one would; it is not asked for with every request
	}
	f, err := r.join(s, now)
	if err != nil {
		return nil, fmt.Errorf("the access token can't be renewed: %w", err)
	}
	renewed, err := f.wait(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("the access token can't be renewed: %w", err)
	case !r.lasts(&renewed.Grant):
		return nil, errShortLived
	}
	return renewed, nil
}

// IDToken returns the ID token of a live session: the newest that its provider
// gave, which may have ended, because it tells who signed in and not who may do
// what. ErrNoTokens means that the provider gave none, ErrNotFound that the session
// is over. Any other error is an outage.
func (m *Manager) IDToken(ctx context.Context, key Key) (string, error) {
	r := m.renewer
	if r == nil {
		return "", ErrNoTokens
	}
	s, err := m.store.Get(ctx, key)
	if err != nil {
		return "", err
	}
	token, err := r.open(ctx, s, true)
	if err == nil && token.value == "" {
		err = ErrNoTokens
	}
	if err != nil {
		return "", err
	}
	return token.value, nil
}

// open returns the access token of s, or its ID token.
func (r *renewer) open(ctx context.Context, s *Session, id bool) (t openToken, err error) {
	key := openKey{s.Key(), s.Grant.Generation, id}
	if t, ok := r.opened.cache.GetIfPresent(key); ok {
		return t, nil
	}
	tokens, err := r.manager.Tokens(ctx, s.Key())
	if err != nil || len(tokens) == 0 {
		return openToken{}, err
	}
	if id {
		t.value, err = r.refresher.IDToken(tokens)
	} else {
		t.value, t.expires, err = r.refresher.AccessToken(tokens)
	}
	if err != nil {
		return openToken{}, err
	}
	r.opened.cache.Set(key, t)
	return t, nil
}
