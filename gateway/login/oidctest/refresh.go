package oidctest

import (
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// RefreshScript is how the provider behaves when tokens are renewed. The zero
// script rotates refresh tokens, and ends the whole grant when one comes twice
// (RFC 9700, section 4.14.2).
type RefreshScript struct {
	AccessLife time.Duration // of every access token, in whole seconds; default 5 minutes

	Latency       time.Duration        // before it answers, and before it redeems
	Redeemed      time.Duration        // after it has redeemed, before it answers
	Status        int                  // anything but 0 fails, before the token is redeemed
	Error         string               // the error code with Status
	RetryAfter    string               // the header with Status
	SameToken     bool                 // the refresh token stays good, and is not given again
	NoIDToken     bool                 // none comes
	Subject       string               // who the new ID token is about
	Answer        func(map[string]any) // changes the token response
	IDTokenClaims func(map[string]any) // changes the ID token before it is signed
	SignIDToken   func(claims map[string]any) string
}

func (s RefreshScript) expiresIn() int {
	if s.AccessLife == 0 {
		return 300
	}
	return int(s.AccessLife / time.Second)
}

// refreshGrant is what one sign-in allowed: all refresh tokens that follow from
// each other share it.
type refreshGrant struct {
	grant
	current string // the one that may be redeemed
	ended   bool
}

// newRefreshToken makes the next refresh token of a grant, or the first of one.
func (p *Provider) newRefreshToken(g grant, of *refreshGrant) string {
	token := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	if of == nil {
		of = &refreshGrant{grant: g}
	}
	of.current = token
	p.refresh[token] = of
	return token
}

// EndGrants makes every refresh token worthless, as an administrator would.
func (p *Provider) EndGrants() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.refresh {
		g.ended = true
	}
}

// serveRefresh is RFC 6749, section 6.
func (p *Provider) serveRefresh(w http.ResponseWriter, r *http.Request, script Script) {
	s := script.Refresh
	given := r.PostForm.Get("refresh_token")
	p.mu.Lock()
	p.calls[Refresh]++
	p.exchanges = append(p.exchanges, r.PostForm)
	p.mu.Unlock()
	if !wait(r, s.Latency) {
		return
	}
	if s.Status != 0 {
		if s.RetryAfter != "" {
			w.Header().Set("Retry-After", s.RetryAfter)
		}
		writeJSON(w, s.Status, map[string]any{"error": s.Error, "error_description": r.PostForm.Encode() + r.Header.Get("Authorization")})
		return
	}
	if !authenticated(r, script) {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	g := p.refresh[given]
	good := g != nil && !g.ended && g.current == given
	if g != nil && !good {
		g.ended = true // whoever comes second is a thief, or his victim
	}
	if good && !s.SameToken {
		g.current = "" // until the next is made, below
	}
	p.mu.Unlock()
	if !good {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	answer := p.refreshed(g, given, script)
	if !wait(r, s.Redeemed) {
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// refreshed is the answer to a refresh token that was redeemed.
func (p *Provider) refreshed(g *refreshGrant, given string, script Script) map[string]any {
	s := script.Refresh
	about := g.grant
	if s.Subject != "" {
		about.subject = s.Subject
	}
	script.SignIDToken = s.SignIDToken
	script.IDTokenClaims = func(claims map[string]any) {
		delete(claims, "nonce")
		if s.IDTokenClaims != nil {
			s.IDTokenClaims(claims)
		}
	}
	answer := p.tokens(about, script)
	p.mu.Lock()
	if made, ok := answer["refresh_token"].(string); ok {
		delete(p.refresh, made) // it began a grant of its own
	}
	p.mu.Unlock()
	if delete(answer, "refresh_token"); !s.SameToken {
		answer["refresh_token"] = p.newRefreshToken(g.grant, g)
	} else {
		p.mu.Lock()
		g.current = given
		p.mu.Unlock()
	}
	if s.NoIDToken {
		delete(answer, "id_token")
	}
	if s.Answer != nil {
		s.Answer(answer)
	}
	return answer
}

// wait reports whether the client is still there after d.
func wait(r *http.Request, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// AccessTokens are all access tokens that were given out.
func (p *Provider) AccessTokens() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for header := range p.access {
		all = append(all, strings.TrimPrefix(header, "Bearer "))
	}
	return all
}

// RefreshTokens are all refresh tokens that were given out.
func (p *Provider) RefreshTokens() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.refresh))
}
