//go:build e2e

package e2e_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// site is what a person sees as one site: gateways behind a load balancer
// without stickiness, and a provider of its own where people sign in.
type site struct {
	url      string
	provider *env.OIDCProvider
	gateways []*env.Gateway
	valkey   *env.Valkey // nil with the embedded store

	binary   string
	dirs     []string
	at       []env.Addresses
	observed []string     // environment of the gateways
	only     atomic.Int64 // the one gateway that the balancer sends to; -1 = each in turn
}

// siteOptions shape a site. The zero value is one gateway with the embedded
// store, a provider that is up, and an echo application.
type siteOptions struct {
	gateways     int // more than one, or withValkey: they share a Valkey
	withValkey   bool
	provider     env.OIDCProviderOptions
	providerDown bool               // until somebody starts it
	providers    func(*site) string // more of the list of providers
	session      string             // more of the session section
	login        string             // more of the login section
	routes       []string
	app          func(*site) string // makes an application whose URL is APP in routes
}

// clientSecret is what the site has in common with its provider.
const clientSecret = "the-secret-of-the-client-0123456789"

// adminSecret opens the admin API of every gateway of a site.
const adminSecret = "the-token-of-the-operators-0123456789"

func startSite(t *testing.T, o siteOptions) *site {
	t.Helper()
	s := &site{binary: sallyport, observed: env.Observed(t)}
	s.only.Store(-1)
	s.balance(t)

	client := env.OIDCClient{
		ID: "web", Secret: clientSecret,
		RedirectURIs: []string{s.url + "/.auth/callback/corp"}, Backchannel: s.url + "/.auth/backchannel-logout/corp",
		AfterLogout: []string{s.url + "/.auth/logout/done"},
	}
	o.provider.Clients = append(o.provider.Clients, client)
	s.provider = env.NewOIDCProvider(t, o.provider)
	if !o.providerDown {
		s.provider.Start()
	}

	store := "store: embedded\n  embedded: {path: sessions.db}"
	if o.withValkey || o.gateways > 1 {
		s.valkey = env.StartValkey(t)
		// A machine that is busy with other tests is no outage.
		store = "store: valkey\n  valkey: {" + valkeyAt(s.valkey.URL()) + ", timeout: 1s}"
	}
	routes, key := strings.Join(o.routes, "\n  "), sealingKey("first")
	if o.app != nil {
		routes = strings.ReplaceAll(routes, "APP", o.app(s))
	}
	providers := ""
	if o.providers != nil {
		providers = o.providers(s)
	}
	for n := range max(1, o.gateways) {
		dir := t.TempDir()
		s.dirs, s.at = append(s.dirs, dir), append(s.at, env.Reserve(t))
		env.WriteFile(t, dir, "admin-token", adminSecret)
		env.WriteFile(t, dir, "key", key)
		env.WriteFile(t, dir, "client-secret", client.Secret)
		env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
session:
  %s
  keys_files: [key]
  %s
login:
  providers:
    - {name: corp, type: oidc, issuer: %q, client_id: web, client_secret_file: client-secret,
       scopes: [openid, email, profile, offline_access], groups_claim: groups}
    %s
  %s
routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: assets, paths: [/assets], upstream: "builtin:echo", public: true}
  %s
admin: {token_file: admin-token}
`, store, o.session, s.provider.Issuer, providers, o.login, routes))
		s.gateways = append(s.gateways, nil)
		s.start(t, n)
	}
	return s
}

// sealingKey is the content of a keys file. The same name gives the same key: two
// random ones would have the same id once in 256 runs, which a ring refuses.
func sealingKey(name string) string {
	secret := sha256.Sum256([]byte(name))
	return base64.StdEncoding.EncodeToString(secret[:])
}

// start starts the nth gateway. What its directory holds is up to the test.
func (s *site) start(t *testing.T, n int, environ ...string) {
	t.Helper()
	environ = append(append([]string{"SALLYPORT_SERVER__PUBLIC_URL=" + s.url}, s.observed...), environ...)
	s.gateways[n] = env.StartGateway(t, s.binary, s.dirs[n], s.at[n], environ...)
}

// restart stops the nth gateway in order, and starts it again.
func (s *site) restart(t *testing.T, n int, environ ...string) {
	t.Helper()
	if code := s.gateways[n].Stop(); code != 0 {
		t.Fatalf("the gateway ended with %d:\n%s", code, s.gateways[n].Output())
	}
	s.start(t, n, environ...)
}

// balance starts the load balancer, which is the site's address.
func (s *site) balance(t *testing.T) {
	t.Helper()
	var requests atomic.Int64
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		n := s.only.Load()
		if n < 0 {
			n = requests.Add(1) % int64(len(s.gateways))
		}
		target, err := url.Parse(s.at[n].URL())
		if err != nil {
			panic(err) // it was written by env
		}
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	s.url = strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
}

// output is what all gateways have logged.
func (s *site) output() string {
	var b strings.Builder
	for _, g := range s.gateways {
		b.WriteString(g.Output())
	}
	return b.String()
}

// waitReady waits until people can sign in, at every gateway.
func (s *site) waitReady(t *testing.T) {
	t.Helper()
	waitSignIn(t, s, "corp")
}

func waitSignIn(t *testing.T, s *site, provider string) {
	t.Helper()
	for n := range s.gateways {
		env.WaitUntil(t, "people can sign in with "+provider, func() bool {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.at[n].URL()+"/.auth/login?provider="+provider, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = strings.TrimPrefix(s.url, "http://") // the one that the provider knows
			res, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.StatusCode == http.StatusFound
		})
	}
}
