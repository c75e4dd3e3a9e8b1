package oidctest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// SignOut is how the provider behaves when somebody signs out.
type SignOut struct {
	WithSignOut  bool            // the metadata names the endpoints
	RevokeStatus int             // anything but 0 fails a revocation
	RevokeError  string          // the error code with RevokeStatus
	HoldRevoke   <-chan struct{} // the revocation endpoint waits for it, or for the client to leave
}

// signOut is what was asked of the provider.
type signOut struct {
	revoked []url.Values
	ended   []url.Values
}

// Revocations are the forms of all revocations by a client that proved itself.
func (p *Provider) Revocations() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]url.Values(nil), p.revoked...)
}

// Ended are the queries of all visits to the page for signing out.
func (p *Provider) Ended() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]url.Values(nil), p.ended...)
}

// serveRevoke is RFC 7009.
func (p *Provider) serveRevoke(w http.ResponseWriter, r *http.Request, script Script) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "not a form", http.StatusBadRequest)
		return
	}
	if script.HoldRevoke != nil {
		select {
		case <-script.HoldRevoke:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case script.RevokeStatus != 0:
		writeJSON(w, script.RevokeStatus, map[string]any{"error": script.RevokeError, "error_description": r.PostForm.Encode()})
		return
	case !authenticated(r, script):
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	p.revoked = append(p.revoked, r.PostForm)
	p.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

// serveEnd signs out at once and sends the browser back (OpenID Connect
// RP-Initiated Logout 1.0).
func (p *Provider) serveEnd(w http.ResponseWriter, r *http.Request, _ Script) {
	q := r.URL.Query()
	p.mu.Lock()
	p.ended = append(p.ended, q)
	p.mu.Unlock()
	back, err := url.Parse(q.Get("post_logout_redirect_uri"))
	if err != nil || back.Host == "" || q.Get("client_id") != ClientID {
		http.Error(w, "you are signed out", http.StatusOK)
		return
	}
	if q.Has("state") {
		back.RawQuery = url.Values{"state": {q.Get("state")}}.Encode()
	}
	w.Header().Set("Location", back.String())
	w.WriteHeader(http.StatusFound)
}

// LogoutClaims are those of a good logout token that was just made. Those of over
// replace them; nil takes one away.
func (p *Provider) LogoutClaims(over map[string]any) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"iss": p.Issuer, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	for name, v := range over {
		if v == nil {
			delete(claims, name)
		} else {
			claims[name] = v
		}
	}
	return claims
}

// LogoutToken makes a logout token (OpenID Connect Back-Channel Logout 1.0).
func (p *Provider) LogoutToken(over map[string]any) string {
	return p.SignType("logout+jwt", p.LogoutClaims(over))
}

// SignType makes a token with the provider's key and a typ; none for "".
func (p *Provider) SignType(typ string, claims map[string]any) string {
	return signTyped(typ, jose.ES256, p.keys.own, claims)
}

// SignKey makes a logout token that names another key than the provider's own.
func (p *Provider) SignKey(kid string, claims map[string]any) string {
	key := p.keys.own
	key.KeyID = kid
	return signTyped("logout+jwt", jose.ES256, key, claims)
}
