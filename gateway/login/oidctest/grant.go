package oidctest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"time"
)

// grant is a code that was given out.
type grant struct {
	subject, nonce, challenge, redirectURI string
	used                                   bool
}

// serveAuthorize consents at once and sends the browser back.
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request, script Script) {
	q, ok := p.request(r, script)
	if !ok {
		http.Error(w, "not a pushed request", http.StatusBadRequest)
		return
	}
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || back.Host == "" || q.Get("client_id") != ClientID || q.Get("response_type") != "code" {
		http.Error(w, "not a request for authorization", http.StatusBadRequest)
		return
	}
	subject := script.Subject
	if subject == "" {
		subject = "alice"
	}
	code := rand.Text()
	p.mu.Lock()
	p.authorize = append(p.authorize, q)
	p.grants[code] = grant{
		subject: subject, nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), redirectURI: q.Get("redirect_uri"),
	}
	p.mu.Unlock()

	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.Issuer}}
	if script.Answer != nil {
		script.Answer(answer)
	}
	back.RawQuery = answer.Encode()
	w.Header().Set("Location", back.String())
	w.WriteHeader(http.StatusFound)
}

// serveToken redeems a code once, for the client that it was given to and with
// the verifier of its challenge (RFC 6749, section 4.1.3; RFC 7636, section 4.6).
func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request, script Script) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "not a form", http.StatusBadRequest)
		return
	}
	if r.PostForm.Get("grant_type") == "refresh_token" {
		p.serveRefresh(w, r, script)
		return
	}
	p.mu.Lock()
	p.exchanges = append(p.exchanges, r.PostForm)
	g, known := p.grants[r.PostForm.Get("code")]
	if known {
		spent := g
		spent.used = true
		p.grants[r.PostForm.Get("code")] = spent
	}
	p.mu.Unlock()

	if script.Hold != nil {
		select {
		case <-script.Hold:
		case <-r.Context().Done():
			return
		}
	}
	if script.TokenStatus != 0 {
		w.Header().Set("Location", script.Redirect)
		// It quotes the request, as careless providers do.
		writeJSON(w, script.TokenStatus, map[string]any{"error": script.TokenError, "error_description": r.PostForm.Encode() + r.Header.Get("Authorization")})
		return
	}
	if !authenticated(r, script) {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	challenge := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !known || g.used || g.redirectURI != r.PostForm.Get("redirect_uri") || r.PostForm.Get("grant_type") != "authorization_code" ||
		g.challenge != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	answer := p.tokens(g, script)
	if script.TokenAnswer != nil {
		script.TokenAnswer(answer)
	}
	writeJSON(w, http.StatusOK, answer)
}

func authenticated(r *http.Request, script Script) bool {
	id, secret, basic := r.BasicAuth()
	if script.Assertion != nil {
		return !basic && !r.PostForm.Has("client_secret") && script.Assertion(r.PostForm)
	}
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	if script.Public {
		return id == ClientID && secret == "" && !basic
	}
	return id == ClientID && secret == ClientSecret
}

func (p *Provider) tokens(g grant, script Script) map[string]any {
	access := rand.Text()
	p.mu.Lock()
	p.access["Bearer "+access] = g.subject
	p.mu.Unlock()

	now := time.Now()
	hash := sha256.Sum256([]byte(access))
	claims := merged(map[string]any{
		"iss": p.Issuer, "sub": g.subject, "aud": ClientID, "nonce": g.nonce,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Add(-time.Minute).Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(hash[:len(hash)/2]),
		"sid":     "provider-session-of-" + g.subject,
	}, script.Claims)
	if script.IDTokenClaims != nil {
		script.IDTokenClaims(claims)
	}
	sign := p.Sign
	if script.SignIDToken != nil {
		sign = script.SignIDToken
	}
	return map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": script.Refresh.expiresIn(), "refresh_token": p.newRefreshToken(g, nil),
		"id_token": sign(claims),
	}
}
