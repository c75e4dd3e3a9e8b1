package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// Options are what a Service needs.
type Options struct {
	Server    config.Server
	Providers []config.Provider
	Sessions  *session.Manager
	Pages     *pages.Renderer
	Log       *zap.Logger // nil logs nothing
	// Audit hears of every sign-in, refused ones too, and every sign-out. It
	// may be nil.
	Audit func(Audit)
	// KnownHost tells whether some route or public_url serves the host, in the
	// form of a Host header: lower case, with its port unless that is the
	// scheme's own. Without it, only the host of public_url is known.
	KnownHost func(host string) bool
	// RouteOf names the route that a place to return to is on; "" for none. Without
	// it, sessions do not tell what their sign-in was for.
	RouteOf func(target string) string
	// ClientAddr returns the address of a request's client, as far as the proxies
	// in front are trusted; nil takes the peer's. One that is no IP address does
	// not count against floods and guesses.
	ClientAddr func(*http.Request) string
	// Records remember logout tokens that were used. Without them no provider can
	// sign users out (Back-Channel Logout).
	Records session.Records
	// LogoutTargets are URLs elsewhere to which a sign-out may lead, compared
	// character by character.
	LogoutTargets []string
	// KeptForms is where forms that came without a session are kept until their
	// users have signed in (login.keep_forms); nil keeps none.
	KeptForms session.Records
	// Lockout bounds wrong passwords for users accounts.
	Lockout config.Lockout
	// Memory is what Services before this one have counted; nil begins anew.
	Memory *Memory
	// Carry returns what was made of equal settings before and is in use, or what
	// make does. It has run run by itself. Nil makes everything anew, and Run runs it.
	Carry Carry
	// CORSOrigins are the origins whose pages may read what CORS wraps, and ask
	// for tokens.
	CORSOrigins []string
	// Calls returns the transport with its calls to the provider of that name
	// watched; nil watches none.
	Calls func(provider string, next http.RoundTripper) http.RoundTripper
	// Rehearsal makes sign-ins fail, in development; nil in production.
	Rehearsal *Rehearsal
	// Meets judges whether a proof is what a StepUp asks for: the same judgement
	// as the policy's. Without it nothing is ever met.
	Meets func(want StepUp, id *identity.Identity) bool
	// Locked says whom operators have locked; nil = nobody.
	Locked Locked
}

// Service answers the gateway's own endpoints of signing in and out. It is
// safe for concurrent use.
type Service struct {
	prefix    string
	public    *url.URL
	providers []provider
	accounts  []*users  // those of the providers that are files of accounts
	programs  hashSlots // for passwords that do not come from the sign-in page
	sessions  *session.Manager
	cookies   *session.Cookies
	ring      *session.Keyring
	pages     *pages.Renderer
	log       *zap.Logger
	audit     func(Audit)
	knownHost func(string) bool
	routeOf   func(string) string

	clientAddr    func(*http.Request) string
	records       session.Records
	logoutTargets []string
	revocations   *revocations
	forms         keptForms
	judge         func(StepUp, *identity.Identity) bool
	locked        Locked

	lockout     *lockout
	flood       *flood
	rehearsal   *Rehearsal
	carried     bool // the providers, and so somebody else lets them run
	corsOrigins []string
}

var (
	_ httperr.HandlerFunc = (*Service)(nil).Login
	_ httperr.HandlerFunc = (*Service)(nil).Callback
	_ httperr.HandlerFunc = (*Service)(nil).Logout
	_ httperr.HandlerFunc = (*Service)(nil).LogoutDone
	_ httperr.HandlerFunc = (*Service)(nil).BackChannelLogout
	_ httperr.HandlerFunc = (*Service)(nil).FrontChannelLogout
	_ httperr.HandlerFunc = (*Service)(nil).Sessions
	_ httperr.HandlerFunc = (*Service)(nil).EndSessions
	_ httperr.HandlerFunc = (*Service)(nil).Me
	_ httperr.HandlerFunc = (*Service)(nil).Done
	_ httperr.HandlerFunc = (*Service)(nil).Resend
)

// New makes a Service. It reads the files of users providers but asks no
// provider anything: see Run. Errors name the provider.
func New(o Options) (*Service, error) {
	s := &Service{
		prefix:    o.Server.AuthPrefix,
		public:    o.Server.URL(),
		sessions:  o.Sessions,
		cookies:   o.Sessions.Cookies(),
		ring:      o.Sessions.Keyring(),
		pages:     o.Pages,
		log:       o.Log,
		audit:     o.Audit,
		knownHost: o.KnownHost,
		routeOf:   o.RouteOf,
		judge:     o.Meets,
		locked:    o.Locked,

		rehearsal: o.Rehearsal, clientAddr: o.ClientAddr, corsOrigins: o.CORSOrigins,
	}
	s.forms.records, s.forms.ring = o.KeptForms, s.ring
	if s.public.Host == "" {
		return nil, errors.New("login: server.public_url is not an absolute URL")
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.audit == nil {
		s.audit = func(Audit) {}
	}
	if s.routeOf == nil {
		s.routeOf = func(string) string { return "" }
	}
	if s.knownHost == nil {
		s.knownHost = func(host string) bool { return host == s.public.Host }
	}
	s.signOutFrom(o)
	if o.Memory == nil {
		o.Memory = NewMemory()
	}
	s.lockout, s.flood, s.programs = o.Memory.lockoutOf(o.Lockout), &o.Memory.flood, o.Memory.programs
	s.carried = o.Carry != nil
	var errs []error
	for _, cfg := range o.Providers {
		p, err := s.providerOf(cfg, &o)
		if err != nil {
			errs = append(errs, &ProviderError{Provider: cfg.Name, Err: err})
			continue
		}
		s.providers = append(s.providers, p)
		if u, ok := p.(*users); ok {
			s.accounts = append(s.accounts, u)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// ProviderError says what is wrong with the configuration of one provider.
type ProviderError struct {
	Provider string
	Err      error
}

// Error names the provider.
func (e *ProviderError) Error() string { return "provider " + e.Provider + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *ProviderError) Unwrap() error { return e.Err }

// watchCalls is Options.Calls.
type watchCalls func(provider string, next http.RoundTripper) http.RoundTripper

func newProvider(cfg config.Provider, server config.Server, log *zap.Logger, hashing hashSlots, calls watchCalls) (provider, error) {
	if calls == nil {
		calls = func(_ string, next http.RoundTripper) http.RoundTripper { return next }
	}
	switch {
	case cfg.OpenID():
		return newOIDC(cfg, log, calls)
	case cfg.OAuth2():
		return newOAuth2(cfg, log, calls)
	}
	switch cfg.Type {
	case config.ProviderUsers:
		return newUsers(cfg, log, hashing)
	case config.ProviderDev:
		return newDev(cfg, server)
	}
	return nil, fmt.Errorf("unknown type %q", cfg.Type)
}

// Run does the providers' background work: discovery, with patience where a
// provider is down, the fetching of keys, and what is left to do at them after a
// sign-out. It returns when ctx ends.
func (s *Service) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { s.revocations.run(ctx) })
	for _, p := range s.providers {
		if !s.carried {
			all.Go(func() { p.run(ctx) })
		}
	}
	all.Wait()
}

// Ready says of each provider why nobody can sign in with it now, or nil.
func (s *Service) Ready() map[string]error {
	m := make(map[string]error, len(s.providers))
	for _, p := range s.providers {
		m[p.name()] = p.ready()
	}
	return m
}

func (s *Service) provider(name string) provider {
	for _, p := range s.providers {
		if p.name() == name {
			return p
		}
	}
	return nil
}

// origin is the scheme and host that the browser used, as it writes them in
// Origin, or "" when the request came for a host that is not served. The scheme
// is that of public_url, whatever forwarded headers say.
func (s *Service) origin(r *http.Request) string {
	host := s.normalHost(r.Host)
	if host == "" || !s.knownHost(host) {
		return ""
	}
	return s.public.Scheme + "://" + host
}

// normalHost is host[:port] in lower case without the scheme's own port.
func (s *Service) normalHost(host string) string {
	host = strings.ToLower(host)
	if s.public.Scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// live returns the session of a request, or nil when it has none that counts,
// and the candidates it was chosen from. The error is an outage.
func (s *Service) live(r *http.Request) (live *session.Session, candidates session.Candidates, err error) {
	candidates = s.cookies.Read(r.Header)
	if candidates.Len() == 0 {
		return nil, candidates, nil
	}
	live, err = s.sessions.Authenticate(r.Context(), &candidates, false)
	switch {
	case err == nil:
		return live, candidates, nil
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrIdle), errors.Is(err, session.ErrAmbiguous):
		return nil, candidates, nil
	}
	return nil, candidates, storeOutage(err)
}

// redirect sends the browser on. It does not use http.Redirect, which would
// clean the path of a URL that somebody asked for as it is.
func redirect(w http.ResponseWriter, status int, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(status)
}

func noStore(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }
