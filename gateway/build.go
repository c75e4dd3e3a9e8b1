package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/echo"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/proxy"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/policy"
)

// parts is a built gateway: what it serves, what runs beside, what to close.
type parts struct {
	handler    http.Handler
	admin      http.Handler
	tls        *tls.Config             // of the public listener; nil without a certificate
	streams    *session.Streams        // runs until the drain begins
	background []func(context.Context) // each runs until the drain is over
	closers    []func() error          // in the order of their making
}

// close releases everything, last made first.
func (p *parts) close() error {
	var errs []error
	for _, c := range slices.Backward(p.closers) {
		errs = append(errs, c())
	}
	p.closers = nil
	return errors.Join(errs...)
}

// build makes every object from the configuration. Without open the session
// store is neither opened nor connected to.
func build(ctx context.Context, cfg *config.Config, log *zap.Logger, version string, open bool) (_ *parts, err error) {
	p := &parts{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	metrics := telemetry.NewMetrics(version)

	// What needs no store comes first: most bad configurations never touch one.
	policies, err := buildPolicies(cfg)
	if err != nil {
		return nil, err
	}
	bearer, err := buildBearer(cfg, log, metrics, p)
	if err != nil {
		return nil, err
	}
	if p.tls, err = loadTLS(cfg); err != nil {
		return nil, err
	}
	sessions, store, err := buildSessions(ctx, cfg, log, metrics, open, p)
	if err != nil {
		return nil, err
	}
	p.streams = session.NewStreams(sessions.Live)

	kinds := map[string]authn.Authenticator{
		config.AuthSession: authn.NewSession(sessions),
		config.AuthBearer:  bearer,
	}
	table, err := buildRoutes(cfg, policies, kinds)
	if err != nil {
		return nil, err
	}

	people, err := pages.New(pages.Options{Prefix: cfg.Server.AuthPrefix})
	if err != nil {
		return nil, err
	}
	trusted := newTrust(cfg.Server.TrustedProxies)
	audit := log.Named("audit")
	signIn, err := login.New(login.Options{
		Server: cfg.Server, Providers: cfg.Login.Providers, Sessions: sessions, Pages: people,
		Log: log.Named("login"), KnownHost: table.KnownHost, Audit: auditor(audit, trusted),
	})
	if err != nil {
		return nil, faultsAt(cfg, "login.providers", err)
	}
	p.background = append(p.background, signIn.Run)

	edge := &httperr.Edge{
		Observe: observe,
		Page: func(w http.ResponseWriter, r *http.Request, e *httperr.Error, requestID string) error {
			formToken := ""
			if e.Code == http.StatusForbidden {
				formToken = signIn.FormToken(w, r)
			}
			return people.Error(w, r, e, requestID, formToken)
		},
	}
	frontEdge := *edge
	frontEdge.GRPC = true
	scheme := cfg.Server.URL().Scheme
	front, err := proxy.New(proxy.Options{
		Guard:     guard.New(table, sessions.Cookies(), scheme),
		Challenge: challenger(signIn.LoginURL, cfg.Server.URL().Host),
		Routes:    table.Routes(),
		Builtin:   map[string]http.Handler{"echo": echo.New(cfg.Server.AuthPrefix)},
		Scheme:    scheme, MaxBody: cfg.Server.Limits.MaxBodyBytes,
		Streams: p.streams, Metrics: metrics, Log: log.Named("proxy"), TrustedProxy: trusted.peer,
	})
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, func() error { front.Close(); return nil })

	p.handler = &handler{
		prefix: cfg.Server.AuthPrefix,
		endpoints: map[string]httperr.HandlerFunc{
			"/login":  signIn.Login,
			"/logout": signIn.Logout,
			"/me":     signIn.Me,
		},
		callback: signIn.Callback, knownHost: table.KnownHost, front: front.Serve,
		edge: &frontEdge, ownEdge: edge, trust: trusted, metrics: metrics, log: log.Named("request"), audit: audit,
		formTimeout: cfg.Server.Limits.ReadHeaderTimeout,
	}
	storeCheck := admin.Check{Name: "store", Required: true, Probe: store.Ping}
	if s, ok := store.(*valkeystore.Store); ok {
		storeCheck.FailingSince = s.FailingSince
	}
	checks := []admin.Check{storeCheck}
	checks = append(checks, providerChecks(cfg, signIn)...)
	p.admin = admin.New(metrics.Gatherer(), &httperr.Edge{}, checks)
	return p, nil
}

// buildSessions opens the store and puts the Manager over it.
func buildSessions(ctx context.Context, cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, open bool, p *parts) (*session.Manager, session.Store, error) {
	var ring *session.Keyring
	var err error
	if len(cfg.Session.KeysFiles) > 0 {
		if ring, err = fileKeyring(cfg); err != nil {
			return nil, nil, err
		}
	}
	var store session.Store
	var records session.Records
	touchFailed := func(err error) { log.Warn("the last use of a session could not be kept", zap.Error(err)) }
	switch cfg.Session.Store {
	case config.StoreValkey:
		var s *valkeystore.Store
		if s, err = valkeyStore(cfg, log, metrics, open); err == nil {
			store, records = s, s
			touchFailed = nil // it tells of its outages itself
		}
	default:
		var s *embedded.Store
		if s, err = embeddedStore(cfg, log, metrics, open); err == nil {
			store, records = &measuredStore{Store: s, metrics: metrics}, s
		}
	}
	if err != nil {
		return nil, nil, err
	}
	p.closers = append(p.closers, store.Close)
	if ring == nil {
		if ring, err = storedKeyring(ctx, records); err != nil {
			return nil, nil, err
		}
	}
	manager := session.NewManager(session.Options{
		Store: store, Keyring: ring, Server: cfg.Server, Session: cfg.Session,
		TouchFailed: touchFailed,
	})
	p.closers = append(p.closers, func() error { manager.Close(); return nil })
	if cfg.Session.Store == config.StoreValkey {
		metrics.ActiveSessions("used at this gateway within the last minute", manager.Active)
	}
	return manager, store, nil
}

func embeddedStore(cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, open bool) (*embedded.Store, error) {
	path := cfg.Session.Embedded.Path
	if !open {
		path = ""
	}
	store, err := embedded.Open(embedded.Options{Path: path, Log: log.Named("store")})
	if err != nil {
		return nil, err
	}
	metrics.ActiveSessions("in the store", store.Len)
	return store, nil
}

func valkeyStore(cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, open bool) (*valkeystore.Store, error) {
	store, err := valkeystore.Open(valkeystore.Options{
		Valkey: cfg.Session.Valkey, Cache: cfg.Session.Cache, Log: log.Named("store"), Offline: !open,
		Observe: func(operation string, took time.Duration, class valkeystore.Class) {
			metrics.Store(operation, string(class), took)
		},
		Revoked: metrics.Revocation,
	})
	if err != nil {
		return nil, faultsAt(cfg, "session.valkey", err)
	}
	metrics.RemoteStore(store.Available, store.Writable, func() telemetry.NearCache { return telemetry.NearCache(store.Stats()) })
	return store, nil
}

// buildPolicies compiles the policies, by name.
func buildPolicies(cfg *config.Config) (map[string]*policy.Set, error) {
	engine := policy.NewEngine()
	sets := map[string]*policy.Set{config.PolicyAuthenticated: policy.Authenticated()}
	var faults config.Faults
	for i, p := range cfg.Policies {
		set, err := engine.Compile(p.Name, policyRules(p.Rules))
		if err != nil {
			faults = append(faults, faultsAt(cfg, fmt.Sprintf("policies[%d]", i), err)...)
			continue
		}
		sets[p.Name] = set
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return sets, nil
}

func policyRules(rules []config.Rule) []policy.Rule {
	out := make([]policy.Rule, len(rules))
	for i, r := range rules {
		out[i] = policy.Rule{Name: r.Name, Allow: policyMatch(r.Allow), Deny: policyMatch(r.Deny)}
	}
	return out
}

func policyMatch(m *config.Match) *policy.Match {
	if m == nil {
		return nil
	}
	out := &policy.Match{Groups: m.Groups, Emails: m.Emails, Subjects: m.Subjects}
	for _, c := range m.Claims {
		out.Claims = append(out.Claims, policy.Claim{Name: c.Name, Values: c.Values})
	}
	return out
}

// buildBearer makes the judge of JWTs, with a key source for each issuer.
func buildBearer(cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, p *parts) (*authn.Bearer, error) {
	issuers := make([]authn.Issuer, 0, len(cfg.Tokens.Issuers))
	var faults config.Faults
	for i, c := range cfg.Tokens.Issuers {
		keys, err := keySource(c, log, metrics)
		if err != nil {
			faults = append(faults, faultsAt(cfg, fmt.Sprintf("tokens.issuers[%d]", i), err)...)
			continue
		}
		p.background = append(p.background, keys.Run)
		metrics.JWKSAge(c.Issuer, func() time.Time { return keys.Status().FetchedAt })
		issuers = append(issuers, authn.Issuer{
			Keys:        keys,
			Rules:       jose.Rules{Issuer: c.Issuer, Audiences: c.Audiences, Algorithms: c.Algorithms, Leeway: c.Leeway},
			GroupsClaim: c.GroupsClaim, TrustEmail: c.TrustEmail,
		})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return authn.NewBearer(issuers), nil
}

// buildRoutes compiles the routes.
func buildRoutes(cfg *config.Config, policies map[string]*policy.Set, kinds map[string]authn.Authenticator) (*route.Table, error) {
	var faults config.Faults
	var sets headerSets
	entries := make([]route.Entry, 0, len(cfg.Routes))
	for i, c := range cfg.Routes {
		rt, err := buildRoute(c, policies, kinds, &sets)
		if err != nil {
			faults = append(faults, faultsAt(cfg, fmt.Sprintf("routes[%d]", i), err)...)
			continue
		}
		entries = append(entries, route.Entry{Route: rt, Hosts: c.Hosts, Paths: c.Paths, Methods: c.Methods})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	table, err := route.NewTable(entries, cfg.Server.PublicHosts())
	if err != nil {
		return nil, faultsAt(cfg, "routes", err)
	}
	return table, nil
}

// headerSets gives routes with the same header rules the same compiled set. A
// session remembers its header values for the set that asked last, so a user
// who goes to and fro between such routes finds them ready.
type headerSets []struct {
	rules []config.Header
	set   *headers.Set
}

func (s *headerSets) compile(rules []config.Header) (*headers.Set, error) {
	for _, known := range *s {
		if slices.Equal(known.rules, rules) {
			return known.set, nil
		}
	}
	set, err := headers.Compile(rules, headers.Options{})
	if err != nil {
		return nil, err
	}
	*s = append(*s, struct {
		rules []config.Header
		set   *headers.Set
	}{rules, set})
	return set, nil
}

func buildRoute(c config.Route, policies map[string]*policy.Set, kinds map[string]authn.Authenticator, sets *headerSets) (*route.Route, error) {
	upstream, err := url.Parse(c.Upstream)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	set, err := sets.compile(c.Headers)
	if err != nil {
		return nil, err
	}
	rt := &route.Route{
		Name: c.Name, Public: c.Public, Headers: set, Upstream: upstream, Host: c.Host, Methods: c.Methods,
		AllowEncodedSlash: c.AllowEncodedSlash, UpstreamAuthorization: c.UpstreamAuthorization,
	}
	if c.Public {
		return rt, nil
	}
	var chain []authn.Authenticator
	for _, kind := range c.Auth {
		a, ok := kinds[kind]
		if !ok {
			return nil, fmt.Errorf("auth: no credential kind is called %q", kind)
		}
		chain = append(chain, a)
	}
	rt.Auth = authn.Order(chain)
	if rt.Policy = policies[c.Policy]; rt.Policy == nil {
		return nil, fmt.Errorf("policy: no policy is called %q", c.Policy)
	}
	return rt, nil
}

// challenger says how to get in, by what the route takes.
func challenger(loginURL func(*http.Request) string, realm string) guard.Challenger {
	return func(r *http.Request, v *guard.Verdict) guard.Prompt {
		var c guard.Prompt
		for _, a := range v.Route.Auth {
			switch a.Kind() {
			case authn.KindSession:
				c.LoginURL = loginURL(r)
				c.WWWAuthenticate = append(c.WWWAuthenticate, fmt.Sprintf("Cookie realm=%q", realm))
				if httperr.IsNavigation(r) && signingInHelps(v) {
					c.Location = c.LoginURL
				}
			case authn.KindBearer:
				value := fmt.Sprintf("Bearer realm=%q", realm)
				if v.Kind == authn.KindBearer { // RFC 6750, section 3.1: only where a token was sent
					value += `, error="invalid_token"`
				}
				c.WWWAuthenticate = append(c.WWWAuthenticate, value)
			case authn.KindNone:
			}
		}
		return c
	}
}

// signingInHelps is false where the Authorization header was refused: the
// browser would come back from the sign-in with the same header, without end.
func signingInHelps(v *guard.Verdict) bool {
	return v.Kind != authn.KindBearer && v.Reason != authn.ReasonUnsupportedCredential && v.Reason != authn.ReasonDuplicateCredential
}

// providerChecks shows the state of each provider in /readyz. None is required:
// a provider that is down stops new sign-ins alone.
func providerChecks(cfg *config.Config, signIn *login.Service) []admin.Check {
	var checks []admin.Check
	for _, provider := range cfg.Login.Providers {
		checks = append(checks, admin.Check{
			Name:  "provider " + provider.Name,
			Probe: func(context.Context) error { return signIn.Ready()[provider.Name] },
		})
	}
	return checks
}

// auditor turns what login reports into audit lines.
func auditor(log *zap.Logger, trusted *trust) func(login.Audit) {
	return func(a login.Audit) {
		line := telemetry.Audit{
			Event: a.Event, Outcome: a.Outcome, Reason: a.Reason,
			Provider: a.Provider, Issuer: a.Issuer, Subject: a.Subject, Session: a.Session,
		}
		if a.Request != nil {
			line.ClientAddr = trusted.client(a.Request)
			line.RequestID = a.Request.Header.Get(httperr.RequestIDHeader)
		}
		line.Log(log)
	}
}
