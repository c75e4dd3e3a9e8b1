package login_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/policy"
)

// gateway is a Service behind a real listener, as build.go would mount it.
type gateway struct {
	URL     string
	Host    string
	Service *login.Service
	Store   *memoryStore
	Manager *session.Manager
	secret  []byte
	flush   func() // writes all activity; the last thing to do with the Manager

	mu     sync.Mutex
	audits []login.Audit
	errs   []string // what operators read of refused requests
	log    *lockedBuffer
}

type options struct {
	providers []config.Provider
	atURL     func(gateway string) []config.Provider // providers that must know the gateway's own URL
	tls       bool
	known     []string // further hosts
	cookie    config.Cookie

	maxPerUser    int
	whenFull      string
	logoutTargets []string

	like   *gateway // shares its keys and its store
	secure bool     // public_url is https, whatever the listener speaks
	forms  session.Records
	change func(*login.Options)
}

func newGateway(t *testing.T, providers ...config.Provider) *gateway {
	t.Helper()
	return newGatewayWith(t, options{providers: providers})
}

func newGatewayWith(t *testing.T, o options) *gateway {
	t.Helper()
	g := &gateway{Store: newMemoryStore(), log: new(lockedBuffer)}
	mux := http.NewServeMux()
	srv := httptest.NewUnstartedServer(mux)
	if o.tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	g.URL, g.Host = srv.URL, srv.Listener.Addr().String()

	server := config.Server{Listen: g.Host, PublicURL: g.URL, AuthPrefix: "/.auth"}
	if o.secure {
		server.PublicURL = "https://" + g.Host
	}
	g.secret = make([]byte, session.KeySize)
	rand.Read(g.secret)
	if o.like != nil {
		g.secret, g.Store = o.like.secret, o.like.Store
	}
	ring, err := session.NewKeyring(g.secret)
	if err != nil {
		t.Fatal(err)
	}
	g.Manager = session.NewManager(session.Options{
		Store: g.Store, Keyring: ring, Server: server,
		Session: config.Session{Cookie: o.cookie, IdleTimeout: 30 * time.Minute, AbsoluteTimeout: 12 * time.Hour, MaxPerUser: o.maxPerUser, WhenFull: o.whenFull},
	})
	g.flush = sync.OnceFunc(g.Manager.Close)
	t.Cleanup(g.flush)
	if o.atURL != nil {
		o.providers = o.atURL(g.URL)
	}
	renderer, err := pages.New(pages.Options{Prefix: "/.auth"})
	if err != nil {
		t.Fatal(err)
	}
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(g.log), zap.DebugLevel))
	settings := login.Options{
		Server: server, Providers: o.providers, Sessions: g.Manager, Pages: renderer, Log: log, KeptForms: o.forms,
		Records: g.Store, LogoutTargets: o.logoutTargets,
		Audit: func(a login.Audit) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.audits = append(g.audits, a)
		},
		KnownHost: func(host string) bool {
			return host == g.Host || slices.Contains(o.known, host)
		},
		Meets: func(want login.StepUp, id *identity.Identity) bool {
			p := policy.StepUp(want)
			return p.MetBy(id.ACR, id.AMR, id.AuthTime, time.Now())
		},
	}
	if o.change != nil {
		o.change(&settings)
	}
	g.Service, err = login.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { g.Service.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })

	edge := &httperr.Edge{
		Page: func(w http.ResponseWriter, r *http.Request, e *httperr.Error, id string) error {
			token := ""
			if e.Code == http.StatusForbidden {
				token = g.Service.SignOutToken(r)
			}
			return renderer.Error(w, r, e, id, token)
		},
		Observe: func(_ http.ResponseWriter, _ *http.Request, e *httperr.Error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.errs = append(g.errs, e.Error())
		},
	}
	mux.Handle("/.auth/login", edge.Handle(g.Service.Login))
	mux.Handle("/.auth/callback/", edge.Handle(g.Service.Callback))
	mux.Handle("/.auth/logout", edge.Handle(g.Service.Logout))
	mux.Handle("/.auth/logout/done", edge.Handle(g.Service.LogoutDone))
	mux.Handle("/.auth/backchannel-logout/", edge.Handle(g.Service.BackChannelLogout))
	mux.Handle("/.auth/frontchannel-logout/", edge.Handle(g.Service.FrontChannelLogout))
	mux.Handle("/.auth/sessions", edge.Handle(g.Service.Sessions))
	mux.Handle("/.auth/sessions/end", edge.Handle(g.Service.EndSessions))
	mux.Handle("/.auth/me", edge.Handle(g.Service.Me))
	mux.Handle("/.auth/done", edge.Handle(g.Service.Done))
	mux.Handle("/.auth/resend", edge.Handle(g.Service.Resend))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the application") })
	return g
}

// waitReady waits until people can sign in with every provider.
func (g *gateway) waitReady(t *testing.T) *gateway {
	t.Helper()
	waitFor(t, "the providers to be ready", func() bool {
		for _, err := range g.Service.Ready() {
			if err != nil {
				return false
			}
		}
		return true
	})
	return g
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

func (g *gateway) auditLog() []login.Audit {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]login.Audit(nil), g.audits...)
}

// everythingLogged is all that an operator could read.
func (g *gateway) everythingLogged() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String() + strings.Join(g.errs, "\n")
}

// withQuery changes the query of a URL.
func withQuery(t *testing.T, raw string, change func(url.Values)) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	change(q)
	u.RawQuery = q.Encode()
	return u.String()
}

// corp is an oidc provider of the configuration.
func corp(p *oidctest.Provider) config.Provider {
	return config.Provider{
		Name: "corp", Type: config.ProviderOIDC, Issuer: p.Issuer, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret,
		Scopes: []string{"openid", "email", "profile"}, ClaimMapping: usualClaims(),
	}
}

func usualClaims() config.ClaimMapping {
	return config.ClaimMapping{
		SubjectClaim: "sub", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups",
	}
}

func devProvider() config.Provider {
	return config.Provider{Name: "dev", Type: config.ProviderDev, Identities: []config.DevIdentity{
		{Subject: "alice", Email: "alice@example.com", Name: "Alice", Groups: []string{"staff", "admin"}},
		{Subject: "mallory"},
	}}
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func rewrite(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
