// Package oidctest is an OpenID provider for tests. Provider is scripted: it
// consents at once as whoever the test chose, checks what a client must do
// right, counts calls, and misbehaves on demand. NewZitadel is a real one. Both
// listen on loopback and know nothing of the gateway.
package oidctest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// The client that every Provider knows.
const (
	ClientID     = "app"
	ClientSecret = "app-secret-of-32-bytes-or-longer" //nolint:gosec // of a provider that exists in tests only
)

// Provider is a scripted OpenID provider (OpenID Connect Core 1.0, Discovery
// 1.0). It is safe for concurrent use.
type Provider struct {
	Issuer string

	keys keys

	mu        sync.Mutex
	script    Script
	grants    map[string]grant // by code
	access    map[string]string
	calls     map[string]int
	authorize []url.Values
	exchanges []url.Values
	refresh   map[string]*refreshGrant // by refresh token
	pushes    map[string]url.Values    // by request_uri
	signOut
}

// Script is how the provider behaves. The zero Script behaves well.
type Script struct {
	Subject string         // who consents; default "alice"
	Claims  map[string]any // further claims of the ID token

	Metadata       func(map[string]any) // changes the discovery document
	MetadataStatus int                  // anything but 0 fails discovery
	KeysStatus     int                  // anything but 0 fails the key set

	Answer func(url.Values) // changes what the browser carries back

	Push       bool                  // requests for authorization must be pushed (RFC 9126)
	PushStatus int                   // anything but 0 fails that, with TokenError
	PushAnswer func(map[string]any)  // changes the answer to a pushed request
	Assertion  func(url.Values) bool // judges the client's assertion (RFC 7523), which it must then have

	Public        bool                               // the client has no secret
	TokenStatus   int                                // anything but 0 fails the exchange, after the code is used
	TokenError    string                             // the error code with TokenStatus
	Redirect      string                             // the Location of TokenStatus and UserinfoStatus
	TokenAnswer   func(map[string]any)               // changes the token response
	IDTokenClaims func(map[string]any)               // changes the ID token before it is signed
	SignIDToken   func(claims map[string]any) string // signs it in another way
	Hold          <-chan struct{}                    // the token endpoint waits for it, or for the client to leave

	Userinfo       func(map[string]any) // changes the userinfo answer
	UserinfoStatus int                  // anything but 0 fails it
	UserinfoType   string               // content type; default application/json
	UserinfoBody   string               // replaces the whole body

	SignOut // see signout.go
	Refresh RefreshScript
}

// The endpoints, as Calls names them.
const (
	Discovery = "discovery"
	Keys      = "keys"
	Authorize = "authorize"
	Token     = "token"
	Push      = "push"
	Userinfo  = "userinfo"
	Refresh   = "refresh" // those to Token that redeem a refresh token

	Revoke     = "revoke"
	EndSession = "end"
)

// New starts a provider, which ends with the test.
func New(tb testing.TB) *Provider {
	tb.Helper()
	p := &Provider{
		keys: newKeys(tb), grants: make(map[string]grant), access: make(map[string]string), calls: make(map[string]int),
		refresh: make(map[string]*refreshGrant),
		pushes:  make(map[string]url.Values),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.counted(Discovery, p.serveMetadata))
	mux.HandleFunc("GET /keys", p.counted(Keys, p.serveKeys))
	mux.HandleFunc("GET /authorize", p.counted(Authorize, p.serveAuthorize))
	mux.HandleFunc("POST /par", p.counted(Push, p.servePush))
	mux.HandleFunc("POST /token", p.counted(Token, p.serveToken))
	mux.HandleFunc("POST /revoke", p.counted(Revoke, p.serveRevoke))
	mux.HandleFunc("GET /end", p.counted(EndSession, p.serveEnd))
	mux.HandleFunc("GET /userinfo", p.counted(Userinfo, p.serveUserinfo))
	srv := httptest.NewServer(mux)
	tb.Cleanup(srv.Close)
	p.Issuer = srv.URL
	return p
}

// Set changes the script from now on.
func (p *Provider) Set(change func(*Script)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.script)
}

// Reset makes the provider behave well again.
func (p *Provider) Reset() { p.Set(func(s *Script) { *s = Script{} }) }

// Calls says how often an endpoint was called.
func (p *Provider) Calls(endpoint string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[endpoint]
}

// Authorizations are the queries of all authorization requests.
func (p *Provider) Authorizations() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]url.Values(nil), p.authorize...)
}

// Exchanges are the forms of all token requests.
func (p *Provider) Exchanges() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]url.Values(nil), p.exchanges...)
}

func (p *Provider) counted(endpoint string, serve func(http.ResponseWriter, *http.Request, Script)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.calls[endpoint]++
		script := p.script
		p.mu.Unlock()
		serve(w, r, script)
	}
}

func (p *Provider) serveMetadata(w http.ResponseWriter, _ *http.Request, script Script) {
	if script.MetadataStatus != 0 {
		w.WriteHeader(script.MetadataStatus)
		return
	}
	meta := map[string]any{
		"issuer":                                p.Issuer,
		"authorization_endpoint":                p.Issuer + "/authorize",
		"token_endpoint":                        p.Issuer + "/token",
		"userinfo_endpoint":                     p.Issuer + "/userinfo",
		"jwks_uri":                              p.Issuer + "/keys",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":      []string{"S256"},

		"authorization_response_iss_parameter_supported": true,
	}
	if script.Push {
		meta["pushed_authorization_request_endpoint"] = p.Issuer + "/par"
		meta["require_pushed_authorization_requests"] = true
	}
	if script.WithSignOut {
		meta["end_session_endpoint"], meta["revocation_endpoint"] = p.Issuer+"/end", p.Issuer+"/revoke"
	}
	if script.Metadata != nil {
		script.Metadata(meta)
	}
	writeJSON(w, http.StatusOK, meta)
}

func (p *Provider) serveKeys(w http.ResponseWriter, _ *http.Request, script Script) {
	if script.KeysStatus != 0 {
		w.WriteHeader(script.KeysStatus)
		return
	}
	writeJSON(w, http.StatusOK, p.keys.public())
}

func (p *Provider) serveUserinfo(w http.ResponseWriter, r *http.Request, script Script) {
	p.mu.Lock()
	subject, ok := p.access[r.Header.Get("Authorization")]
	p.mu.Unlock()
	switch {
	case script.UserinfoStatus != 0:
		w.Header().Set("Location", script.Redirect)
		w.WriteHeader(script.UserinfoStatus)
		return
	case !ok:
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answer := map[string]any{"sub": subject, "email": subject + "@example.com", "email_verified": true}
	if script.Userinfo != nil {
		script.Userinfo(answer)
	}
	if script.UserinfoType != "" {
		w.Header().Set("Content-Type", script.UserinfoType)
	}
	if script.UserinfoBody != "" {
		if script.UserinfoType == "" {
			w.Header().Set("Content-Type", "application/json")
		}
		_, _ = w.Write([]byte(script.UserinfoBody))
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func merged(base, over map[string]any) map[string]any {
	maps.Copy(base, over)
	return base
}
