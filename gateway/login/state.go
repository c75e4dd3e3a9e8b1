package login

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// A sign-in must come back within attemptLifetime (RFC 9700, section 4.7: state
// is short-lived).
const attemptLifetime = 10 * time.Minute

// maxState bounds the state parameter: a return URL of the largest size and
// what is around it, in base64.
const maxState = 8 << 10

var errState = errors.New("login: state was not made here")

// attempt is one sign-in by redirect, between leaving for the provider and
// coming back. It travels sealed in the state parameter.
type attempt struct {
	Nonce    nonce  `json:"n"`
	KeyID    byte   `json:"k"` // of the key from which the secrets below are derived
	ReturnTo string `json:"r,omitempty"`
	Origin   string `json:"o"` // scheme://host where the provider sends the browser back to
	Started  int64  `json:"t"` // Unix seconds
	Wish     wish   `json:"w,omitzero"`
	Again    bool   `json:"g,omitempty"` // begun by a stale callback, which happens once

	hash bool // the browser keeps a fragment for the return URL

	verifier string // PKCE code verifier (RFC 7636), never in a URL
	idNonce  string // nonce of the ID token
	state    string // as it came back; empty before
	redirect string // the redirect URI: the same in both requests (RFC 6749, section 4.1.3)
}

func (s *Service) newAttempt(origin, returnTo string) *attempt {
	a := &attempt{Nonce: newNonce(), ReturnTo: returnTo, Origin: origin, Started: time.Now().Unix()}
	a.KeyID, _ = s.ring.Sign(session.PurposeNonce, nil)
	s.derive(a)
	return a
}

// derive computes the secrets of an attempt from its nonce: so the PKCE verifier
// is in no cookie and no URL, and the server keeps nothing. It fails when the
// ring has the key no more.
func (s *Service) derive(a *attempt) bool {
	verifier, ok := s.ring.SignWith(a.KeyID, session.PurposeNonce, append([]byte("pkce verifier\x00"), a.Nonce...))
	idNonce, _ := s.ring.SignWith(a.KeyID, session.PurposeNonce, append([]byte("id token nonce\x00"), a.Nonce...))
	a.verifier = base64.RawURLEncoding.EncodeToString(verifier[:])
	a.idNonce = base64.RawURLEncoding.EncodeToString(idNonce[:])
	return ok
}

// redirectURI is where the provider sends the browser of this attempt.
func (s *Service) redirectURI(origin, provider string) string {
	return origin + s.prefix + "/callback/" + provider
}

// sealState makes the state parameter. It is bound to the provider, so that
// state made for one is worth nothing at another's callback (mix-up, RFC 9700,
// section 4.4).
func (s *Service) sealState(a *attempt, provider string) (string, error) {
	return s.seal(session.PurposeState, provider, a)
}

// openState reverses sealState, however old the state is.
func (s *Service) openState(state, provider string) (*attempt, error) {
	state, hash := strings.CutSuffix(state, hashSuffix)
	a := new(attempt)
	if !s.open(session.PurposeState, provider, state, a) || !a.Nonce.valid() || !s.derive(a) {
		return nil, errState
	}
	a.redirect, a.hash, a.state = s.redirectURI(a.Origin, provider), hash, state
	return a, nil
}

// expired reports whether the attempt is too old, or from a clock that is wrong.
func (a *attempt) expired(now time.Time) bool {
	age := now.Sub(time.Unix(a.Started, 0))
	return age >= attemptLifetime || age < -time.Minute
}

// nonce is the short random name of an attempt, as it stands in the cookie.
type nonce string

const (
	nonceBytes = 9
	nonceChars = 12
)

func newNonce() nonce {
	var b [nonceBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process rather than return weak bytes
	return nonce(base64.RawURLEncoding.EncodeToString(b[:]))
}

func (n nonce) valid() bool {
	if len(n) != nonceChars {
		return false
	}
	for _, c := range []byte(n) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
