//go:build e2e

package env

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/porttest"
)

// How an OIDCProvider takes pushed authorization requests (RFC 9126).
const (
	PAROff      = ""
	PAROptional = "optional"
	PARRequired = "required"
)

// OIDCClient is one client of an OIDCProvider. It is confidential, and public
// with an empty Secret.
type OIDCClient struct {
	ID, Secret    string
	RedirectURIs  []string
	AfterLogout   []string // where an RP-initiated logout may lead
	Backchannel   string   // where the provider tells of logouts; empty = it does not
	Authenticates string   // token_endpoint_auth_method; empty = client_secret_basic, or none
	JWKS          string   // of a client that authenticates with private_key_jwt
}

// OIDCProviderOptions says what a provider is like. The zero value, with a
// client, is an ordinary one.
type OIDCProviderOptions struct {
	Clients     []OIDCClient
	Port        int // 0 = a free one
	PAR         string
	AccessToken time.Duration // how long access tokens live; 0 = an hour
	IgnoreACR   bool          // a sign-in is never stronger for being asked to be

	// What makes tokens large.
	TokenBytes int // of an access token, and of a refresh token; 0 = 43
	Groups     int // of everybody; 0 = those of the account
	BulkBytes  int // of one more claim of the ID token
}

// OIDCProvider is the npm package oidc-provider in a process of its own, with the
// accounts alice and bob. All it knows is in memory: a restart forgets sessions
// and keys, as a provider does that was set up anew.
type OIDCProvider struct {
	Issuer string

	t       testing.TB
	dir     string
	node    string
	environ []string
	process *Process
}

// OIDCCounts is how often a provider was asked for something.
type OIDCCounts struct {
	Authorization int `json:"authorization"` // by browsers
	PAR           int `json:"par"`           // pushed requests that were taken
	S256          int `json:"s256"`          // of both, with a PKCE challenge
	Login         int `json:"login"`         // forms that a person has sent
	EndSession    int `json:"end_session"`
	Revocation    int `json:"revocation"`
	Introspection int `json:"introspection"`
	Userinfo      int `json:"userinfo"`

	TokenPending int `json:"token_pending"` // requests for tokens whose answers are late

	Token       map[string]int `json:"token"`   // tokens that were issued, by grant type
	Refused     map[string]int `json:"refused"` // requests for them that were not granted, by error
	Backchannel struct {
		OK     int `json:"ok"`
		Failed int `json:"failed"`
	} `json:"backchannel"`
}

// Codes is how many codes were redeemed.
func (c OIDCCounts) Codes() int { return c.Token["authorization_code"] }

// Refreshes is how many refresh tokens were redeemed.
func (c OIDCCounts) Refreshes() int { return c.Token["refresh_token"] }

// StartOIDCProvider starts a provider and waits until it answers.
func StartOIDCProvider(tb testing.TB, o OIDCProviderOptions) *OIDCProvider {
	tb.Helper()
	p := NewOIDCProvider(tb, o)
	p.Start()
	return p
}

// NewOIDCProvider prepares a provider that is down until Start.
func NewOIDCProvider(tb testing.TB, o OIDCProviderOptions) *OIDCProvider {
	tb.Helper()
	if o.Port == 0 {
		o.Port = porttest.Free(tb)
	}
	source := nodeDir(tb)
	installed := NPM(tb, source)
	p := &OIDCProvider{
		Issuer: fmt.Sprintf("http://127.0.0.1:%d", o.Port),
		t:      tb, dir: tb.TempDir(), node: filepath.Join(installed, "node_modules", "node", "bin", "node"),
	}
	script, err := os.ReadFile(filepath.Join(source, "op.mjs"))
	if err != nil {
		tb.Fatal(err)
	}
	WriteFile(tb, p.dir, "op.mjs", string(script))
	if err := os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(p.dir, "node_modules")); err != nil {
		tb.Fatal(err)
	}
	options, err := json.Marshal(map[string]any{
		"issuer": p.Issuer, "port": o.Port, "par": o.PAR, "ignore_acr": o.IgnoreACR,
		"access_token_seconds": max(1, int(orDefault(o.AccessToken, time.Hour).Seconds())),
		"token_bytes":          orDefault(o.TokenBytes, 43), "groups": o.Groups, "bulk_bytes": o.BulkBytes,
		"clients": clientMetadata(tb, o.Clients),
	})
	if err != nil {
		tb.Fatal(err)
	}
	p.environ = []string{"OP_OPTIONS=" + string(options), "OP_SECRETS=" + run.SecretsFile()}
	return p
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// clientMetadata is RFC 7591, section 2.
func clientMetadata(tb testing.TB, clients []OIDCClient) []map[string]any {
	tb.Helper()
	all := make([]map[string]any, len(clients))
	for i, c := range clients {
		method := "client_secret_basic"
		if c.Secret == "" {
			method = "none"
		}
		m := map[string]any{
			"client_id": c.ID, "redirect_uris": c.RedirectURIs, "post_logout_redirect_uris": c.AfterLogout,
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"token_endpoint_auth_method": orDefault(c.Authenticates, method),
		}
		if c.Secret != "" {
			m["client_secret"] = c.Secret
		}
		if c.AfterLogout == nil {
			delete(m, "post_logout_redirect_uris")
		}
		if c.Backchannel != "" {
			m["backchannel_logout_uri"], m["backchannel_logout_session_required"] = c.Backchannel, true
		}
		if c.JWKS != "" {
			m["jwks"] = json.RawMessage(c.JWKS)
		}
		all[i] = m
	}
	return all
}

// Start starts the provider, again after Kill.
func (p *OIDCProvider) Start() {
	p.t.Helper()
	p.process = Start(p.t, p.dir, p.environ, p.node, "op.mjs")
	p.process.WaitHTTP(p.Issuer + "/test/counts")
}

// Kill ends the provider at once.
func (p *OIDCProvider) Kill() {
	p.t.Helper()
	p.process.end(syscall.SIGKILL)
}

// Output returns what the provider has logged since it was started.
func (p *OIDCProvider) Output() string { return p.process.Output() }

// Counts asks what the provider was asked for so far.
func (p *OIDCProvider) Counts() OIDCCounts {
	p.t.Helper()
	var c OIDCCounts
	if err := json.Unmarshal(p.test(http.MethodGet, "counts", ""), &c); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// OIDCBehaviour is how a provider treats requests for tokens.
type OIDCBehaviour struct {
	Delay  time.Duration // before it answers, and after it has done what it was asked for
	Status int           // refuse with this status; 0 = answer
	Error  string        // and this error; empty = temporarily_unavailable
}

// Behave changes how the provider treats requests for tokens from now on.
func (p *OIDCProvider) Behave(b OIDCBehaviour) {
	p.t.Helper()
	text, err := json.Marshal(map[string]any{
		"token_delay_ms": b.Delay.Milliseconds(), "token_status": b.Status, "refuse": orDefault(b.Error, "temporarily_unavailable"),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.test(http.MethodPost, "behaviour", string(text))
}

// Logout ends the sessions of an account at the provider, as its administrator
// would, and returns when every client has been told.
func (p *OIDCProvider) Logout(account string) {
	p.t.Helper()
	p.test(http.MethodPost, "logout?account="+url.QueryEscape(account), "")
}

// LogoutOldest is Logout for the oldest of the sessions only.
func (p *OIDCProvider) LogoutOldest(account string) {
	p.t.Helper()
	p.test(http.MethodPost, "logout?oldest=1&account="+url.QueryEscape(account), "")
}

func (p *OIDCProvider) test(method, what, body string) []byte {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.Issuer+"/test/"+what, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	client := &http.Client{Timeout: doTimeout}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatalf("provider: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= http.StatusBadRequest {
		p.t.Fatalf("provider: %s: %s, %v: %s", what, res.Status, err, text)
	}
	return text
}

// nodeDir finds what belongs to Node from any package of the module.
func nodeDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return filepath.Join(dir, "gateway", "e2e", "testdata", "node")
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	tb.Fatalf("no go.mod above the working directory (%v)", err)
	return ""
}
