package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/lint"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// live tries what a configuration depends on, and returns "subject: check: state" and
// all of it.
func live(t *testing.T, text string) (short []string, all []lint.LiveResult) {
	t.Helper()
	cfg, err := config.Parse("config.yaml", []byte(text), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	all = gateway.CheckLive(t.Context(), cfg)
	for _, one := range all {
		short = append(short, one.Subject+": "+one.Check+": "+one.State)
		if one.Path == "" || one.Detail == "" || one.State == lint.LiveFailing && one.Fix == "" {
			t.Errorf("says too little: %+v", one)
		}
	}
	return short, all
}

func wantStates(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestLiveTriesWhatIsSound(t *testing.T) {
	t.Parallel()
	provider := oidctest.New(t)
	ca := tlstest.New(t)
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	pair := ca.Server("127.0.0.1")
	app.TLS = &tls.Config{Certificates: []tls.Certificate{pair.Load(t)}, MinVersion: tls.VersionTLS12}
	app.StartTLS()
	t.Cleanup(app.Close)
	dir := t.TempDir()
	got, all := live(t, fmt.Sprintf(`
server: {public_url: "http://localhost:8080"}
session: {embedded: {path: %[1]q}}
login: {providers: [{name: corp, type: oidc, issuer: %[2]q, client_id: %[5]q, client_secret: %[6]q}]}
tokens: {issuers: [{issuer: %[2]q, audiences: [api]}]}
routes:
  - {name: app, upstream: %[3]q, policy: authenticated, upstream_tls: {ca_file: %[4]q}, balance: {health: {path: /healthz}}}
`, filepath.Join(dir, "sessions.db"), provider.Issuer, app.URL, ca.CertFile, oidctest.ClientID, oidctest.ClientSecret))
	wantStates(t, got,
		"provider corp: discovery: ok", "provider corp: jwks: ok", "provider corp: clock: ok", "provider corp: redirect_uri: ok", "provider corp: client: ok",
		"issuer "+provider.Issuer+": discovery: ok", "issuer "+provider.Issuer+": jwks: ok", "issuer "+provider.Issuer+": clock: ok",
		"session store: folder: ok",
		"upstream of app: connection: ok", "upstream of app: certificate: "+stateOf(t, pair), "upstream of app: health: ok")
	for _, one := range all {
		if one.Check == "redirect_uri" && !strings.Contains(one.Detail, "http://localhost:8080/.auth/callback/corp") {
			t.Errorf("the redirect URI is not told: %s", one.Detail)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "sessions.db")); err == nil {
		t.Error("the session store was opened")
	}
}

func TestLiveSaysWhatDoesNotWork(t *testing.T) {
	t.Parallel()
	provider := oidctest.New(t)
	provider.Set(func(s *oidctest.Script) { s.KeysStatus = http.StatusInternalServerError })
	dead := deadAddress(t)
	app := httptest.NewTLSServer(http.NotFoundHandler()) // of an authority that nobody knows
	t.Cleanup(app.Close)
	sick := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(sick.Close)
	got, _ := live(t, fmt.Sprintf(`
server: {public_url: "http://localhost:8080"}
session: {store: valkey, valkey: {urls: [%[5]q], timeout: 50ms}, keys_files: [%[6]q]}
login:
  providers:
    - {name: corp, type: oidc, issuer: %[1]q, client_id: %[7]q, client_secret: s}
    - {name: gone, type: oidc, issuer: %[2]q, client_id: app, client_secret: s}
tokens:
  issuers: [{issuer: %[2]q, audiences: [api], jwks_url: %[2]q}]
  introspection: [{name: corp, endpoint: %[2]q, client_id: app, client_secret: s}]
routes:
  - {name: app, upstream: %[2]q, policy: authenticated, providers: [corp]}
  - {name: other, paths: [/other], upstream: %[3]q, policy: authenticated, providers: [corp]}
  - {name: sick, paths: [/sick], upstream: %[4]q, policy: authenticated, providers: [corp], balance: {health: {path: /healthz}}}
`, provider.Issuer, dead, app.URL, sick.URL, strings.Replace(dead, "http://", "valkey://", 1), filepath.Join(secretsOfTheDocs(t), "session-key"), oidctest.ClientID))
	wantStates(t, got,
		"provider corp: discovery: ok", "provider corp: jwks: failing", "provider corp: clock: ok", "provider corp: redirect_uri: ok",
		"provider corp: client: failing", // another secret
		"provider gone: discovery: failing", "provider gone: redirect_uri: unknown",
		"issuer "+dead+": jwks: failing", "introspection corp: connection: failing",
		"session store: round trip: failing",
		"upstream of app: connection: failing",
		"upstream of other: connection: ok", "upstream of other: tls: failing",
		"upstream of sick: connection: ok", "upstream of sick: health: failing")
}

// TestLiveTakesNoPageForAYes: only a provider that sends the browser back knows the
// redirect URI, and only one that says so does not.
func TestLiveTakesNoPageForAYes(t *testing.T) {
	t.Parallel()
	back := func(w http.ResponseWriter, r *http.Request, query string) {
		http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?"+query, http.StatusFound)
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		state  string
		says   string
	}{
		"login_required":      {func(w http.ResponseWriter, r *http.Request) { back(w, r, "error=login_required") }, lint.LiveOK, "is registered"},
		"unauthorized_client": {func(w http.ResponseWriter, r *http.Request) { back(w, r, "error=unauthorized_client") }, lint.LiveFailing, "unauthorized_client"},
		"a refusal": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Invalid parameter: redirect_uri", http.StatusBadRequest)
		}, lint.LiveFailing, "refuses it (400 Bad Request)"},
		"an unknown client": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		}, lint.LiveFailing, "does not know the client"},
		"a page of the provider": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<form>sign in; redirect_uri</form>"))
		}, lint.LiveUnknown, "tells at the first sign-in"},
		"its sign-in": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/signin?next=x", http.StatusFound)
		}, lint.LiveUnknown, "a page of its own"},
		"an error page elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/error?code=redirect_uri_mismatch", http.StatusFound)
		}, lint.LiveFailing, "redirect_uri_mismatch"},
		"trouble": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "redirect_uri", http.StatusBadGateway)
		}, lint.LiveUnknown, "502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			s := httptest.NewServer(mux)
			t.Cleanup(s.Close)
			mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(map[string]any{"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys"})
			})
			mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
				if q := r.URL.Query(); q.Get("prompt") != "none" || q.Get("code_challenge_method") != "S256" || q.Get("client_id") != "app" {
					t.Errorf("was asked %v", q)
				}
				test.answer(w, r)
			})
			_, all := live(t, fmt.Sprintf("login: {providers: [{name: corp, type: oidc, issuer: %q, client_id: app, client_secret: s}]}\nsession: {embedded: {path: \"\"}}\nroutes: [{name: app, upstream: \"builtin:echo\", policy: authenticated}]\n", s.URL))
			i := slices.IndexFunc(all, func(r lint.LiveResult) bool { return r.Check == "redirect_uri" })
			if i < 0 || all[i].State != test.state || !strings.Contains(all[i].Detail, test.says) {
				t.Errorf("got %+v, want %s with %q", all, test.state, test.says)
			}
		})
	}
}

// TestLiveMeasuresTheClock: a provider that is minutes away makes tokens that count
// as expired here.
func TestLiveMeasuresTheClock(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		away time.Duration
		want string
	}{"right": {0, lint.LiveOK}, "half a minute": {-30 * time.Second, lint.LiveWeak}, "an hour": {time.Hour, lint.LiveFailing}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(test.away).UTC().Format(http.TimeFormat))
				_, _ = w.Write([]byte(`{"keys":[]}`))
			}))
			t.Cleanup(s.Close)
			got, _ := live(t, fmt.Sprintf("tokens: {issuers: [{issuer: a, audiences: [api], jwks_url: %q}]}\nsession: {embedded: {path: \"\"}}\nroutes: [{name: app, upstream: \"builtin:echo\", auth: [bearer], policy: authenticated}]\n", s.URL))
			wantStates(t, got, "issuer a: jwks: failing", "issuer a: clock: "+test.want)
		})
	}
}

// TestLiveEndsThoughNobodyAnswers: what listens and says nothing costs a few seconds,
// whatever there is to try.
func TestLiveEndsThoughNobodyAnswers(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	cfg, err := config.Parse("config.yaml", fmt.Appendf(nil, "tokens: {issuers: [{issuer: a, audiences: [api], jwks_url: %[1]q}]}\nsession: {embedded: {path: \"\"}}\nroutes: [{name: app, upstream: %[1]q, auth: [bearer], policy: authenticated, balance: {health: {path: /healthz}}}]\n", silent.URL), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	failing := 0
	for _, one := range gateway.CheckLive(ctx, cfg) {
		if one.State == lint.LiveFailing {
			failing++
		}
	}
	if failing != 2 {
		t.Errorf("%d things fail, want the keys and the health of the application", failing)
	}
}

func stateOf(t *testing.T, pair tlstest.KeyPair) string {
	t.Helper()
	cert, err := x509.ParseCertificate(pair.Load(t).Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if time.Until(cert.NotAfter) < 14*24*time.Hour {
		return lint.LiveWeak
	}
	return lint.LiveOK
}
