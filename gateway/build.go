package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/echo"
	"github.com/sallyport/sallyport/gateway/extauthz"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/listener/acme"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/proxy"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/policy"
)

// parts is a built gateway: what it serves, what runs beside, what to close.
type parts struct {
	handler      http.Handler
	redirect     http.Handler // of the listeners that redirect to https
	admin        http.Handler
	trust        *trust
	metrics      *telemetry.Metrics
	draining     atomic.Bool // the end was asked for
	guard        *guard.Guard
	entrances    map[string]*guard.Entrance    // the listeners with policies
	tls          *tls.Config                   // of the public listeners; nil without a certificate
	acme         *acme.Manager                 // nil where no certificate is to be issued
	extAuthz     *extauthz.Service             // nil where Envoy does not ask by gRPC
	checkTLS     *tls.Config                   // of that listener; nil without a certificate
	streams      *session.Streams              // runs until the drain begins
	certificates []func() map[string]time.Time // when they run out, by name
	background   []func(context.Context)       // each runs until the drain is over
	checks       []admin.Check                 // what readiness looks at
	closers      []func() error                // in the order of their making
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
	trusted := newTrust(cfg.Server.TrustedProxies)
	metrics := telemetry.NewMetrics(version)
	p := &parts{trust: trusted, metrics: metrics}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()

	// What needs no store comes first: most bad configurations never touch one.
	policies, err := buildPolicies(cfg, newAuthorizers(log, metrics, p))
	if err != nil {
		return nil, err
	}
	issuers, err := buildIssuers(cfg, log, metrics, p)
	if err != nil {
		return nil, err
	}
	if err = errors.Join(buildCertificates(cfg, log, metrics, p), buildExtAuthzCertificates(cfg, log, metrics, p)); err != nil {
		return nil, err
	}
	if len(p.certificates) > 0 {
		metrics.Certificates(p.certificateEnds)
	}
	kept, err := buildSessions(ctx, cfg, log, metrics, open, p)
	if err != nil {
		return nil, err
	}
	sessions, store := kept.manager, kept.store
	revocations := authn.NewRevocations(kept.feeds, cfg.Tokens.Revocation.MaxStaleness)
	signing, err := buildSigning(ctx, cfg, log, sessions.Keyring(), kept.records, open, p)
	if err != nil {
		return nil, err
	}
	if own, ok := signing.ownIssuer(); ok {
		issuers = append(issuers, own)
	}

	creds, err := buildCredentials(cfg, log, kept, issuers, revocations, trusted.client)
	if err != nil {
		return nil, err
	}
	p.background = append(p.background, revocations.Run, creds.keys.Run)
	p.streams = session.NewStreams(sessions.Live, func(id *identity.Identity) bool {
		return revocations.Revoked(id) || creds.keys.Revoked(id)
	})
	logins, watch := &appLogins{cfg: cfg}, newWatch(metrics)
	table, err := buildRoutes(cfg, policies, creds, logins, signing, watch)
	if err != nil {
		return nil, err
	}
	p.background = append(p.background, func(ctx context.Context) {
		followFiles(ctx, slices.Concat(policies.files, logins.files), log.Named("files"))
	})

	people, err := buildPages(cfg)
	if err != nil {
		return nil, err
	}
	events := telemetry.NewEvents()
	audit := telemetry.NewTrail(log.Named("audit"), events)
	var keptForms session.Records
	if cfg.Login.KeepForms {
		keptForms = kept.records
	}
	signIn, err := login.New(login.Options{
		Server: cfg.Server, Providers: cfg.Login.Providers, Sessions: sessions, Pages: people,
		Log: log.Named("login"), KnownHost: table.KnownHost, Audit: auditor(audit, trusted), KeptForms: keptForms,
		ClientAddr: trusted.client, Records: kept.records, LogoutTargets: cfg.Login.LogoutTargets,
		Meets: meetsStepUp, Lockout: cfg.Login.Lockout, CORSOrigins: cfg.Login.CORSOrigins,
	})
	if err != nil {
		return nil, faultsAt(cfg, "login.providers", err)
	}
	creds.accounts.signIn = signIn
	startRenewing(cfg, kept, signIn, metrics, audit)
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
	frontEdge.Page = func(w http.ResponseWriter, r *http.Request, e *httperr.Error, requestID string) error {
		if written, err := signIn.ErrorPage(w, r, e, requestID); written || err != nil {
			return err
		}
		return edge.Page(w, r, e, requestID)
	}
	scheme := cfg.Server.URL().Scheme
	denied := newDenials()
	if p.entrances, err = buildEntrances(cfg, policies); err != nil {
		return nil, err
	}
	p.guard = guard.New(guard.Options{
		Entrances: len(p.entrances) > 0 || cfg.ExtAuthz.Listen != "",
		Routes:    table, Cookies: sessions.Cookies(), Scheme: scheme, Client: trusted.addr, Denied: denied.keep,
	})
	targets, upstreams, err := buildTargets(cfg, table, map[string]http.Handler{"echo": echo.New(cfg.Server.AuthPrefix)}, log.Named("upstream"), p)
	if err != nil {
		return nil, err
	}
	metrics.Upstreams(upstreams.figures)
	front, err := proxy.New(proxy.Options{
		Guard:     p.guard,
		Challenge: challenger(func(r *http.Request, want policy.StepUp) string { return signIn.StepUpURL(r, login.StepUp(want)) }, cfg.Server.URL().Host),
		Targets:   targets,
		Scheme:    scheme, MaxBody: cfg.Server.Limits.MaxBodyBytes,
		Streams: p.streams, Metrics: metrics, Log: log.Named("proxy"), TrustedProxy: trusted.peer,
	})
	if err != nil {
		return nil, err
	}

	watching := observer{
		trust: trusted, metrics: metrics, log: log.Named("request"), audit: audit, final: newFinalHeaders(cfg.Server.HSTS, &p.draining),
	}
	ingress := asked{cfg: cfg, table: table, signIn: signIn, edge: edge, watch: &watching, log: log}
	p.extAuthz = ingress.extAuthz(p, policies, sessions.Cookies().Owns)
	subtrees := map[string]httperr.HandlerFunc{
		"/backchannel-logout/":  signIn.BackChannelLogout,
		"/frontchannel-logout/": signIn.FrontChannelLogout,
	}
	checks := ingress.forwardAuth(p)
	if checks != nil {
		subtrees[checkSubtree] = checks.Serve
	}

	p.handler = &handler{
		prefix: cfg.Server.AuthPrefix,
		endpoints: shared(signIn, map[string]httperr.HandlerFunc{
			"/login":  signIn.Login,
			"/logout": signIn.Logout,
			"/me":     signIn.Me,
			"/done":   signIn.Done,
			"/resend": signIn.Resend,

			"/logout/done":  signIn.LogoutDone,
			"/sessions":     signIn.Sessions,
			"/sessions/end": signIn.EndSessions,

			jwksPath:     signing.serveJWKS,
			metadataPath: signing.serveMetadata,
			tokenPath:    signIn.Token(signing.exchange()),
		}),
		subtrees: subtrees, compat: ingress.compatible(p, checks),
		callback: signIn.Callback, knownHost: table.KnownHost, front: front.Serve,
		edge: &frontEdge, ownEdge: edge, watch: watching, limits: cfg.Server.Limits,
		formTimeout: cfg.Server.Limits.ReadHeaderTimeout,
	}
	turning := watching
	turning.final = newFinalHeaders(config.HSTS{}, &p.draining)
	p.redirect = &handler{
		redirect: redirectHTTPS(cfg.Server, table.ServedHost, p.prove()),
		ownEdge:  edge, watch: turning, limits: cfg.Server.Limits,
		formTimeout: cfg.Server.Limits.ReadHeaderTimeout,
	}
	storeCheck := admin.Check{Name: "store", Required: true, Probe: store.Ping}
	if s, ok := store.(*valkeystore.Store); ok {
		storeCheck.FailingSince = s.FailingSince
	}
	p.checks = append(p.checks, storeCheck, admin.Check{
		Name: "signing keys", Required: signing.needed,
		Probe: func(context.Context) error { return signing.ring.Ready() },
	})
	p.checks = append(p.checks, providerChecks(cfg, signIn)...)
	p.admin = admin.New(admin.Options{
		Metrics: metrics.Gatherer(), Edge: &httperr.Edge{}, Checks: p.checks, Draining: p.draining.Load,
		API: slices.Concat(
			admin.TokenEndpoints(&tokenRevoker{list: revocations, issuers: cfg.Tokens.Issuers, audit: audit}),
			signing.api(audit),
			apiKeyEndpoints(cfg, creds, audit),
			admin.ExplainEndpoints(&explainer{cfg: cfg, guard: p.guard, entrances: p.entrances, sessions: sessions, denied: denied}),
			admin.ShieldEndpoints(watch.Report),
			admin.UpstreamEndpoints(upstreams.status),
		),
		Pages: admin.ShieldPages(watch.Report),
		Token: func() (config.Secret, error) { return config.ReadSecret("", cfg.Admin.TokenFile) },
	})
	return p, nil
}

// kept is what lives in the store.
type kept struct {
	manager *session.Manager
	store   session.Store
	records session.Records
	feeds   session.Feeds
}

// buildSessions opens the store and puts the Manager over it.
func buildSessions(ctx context.Context, cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, open bool, p *parts) (*kept, error) {
	var ring *session.Keyring
	var err error
	if len(cfg.Session.KeysFiles) > 0 {
		if ring, err = fileKeyring(cfg); err != nil {
			return nil, err
		}
	}
	var k kept
	touchFailed := func(err error) { log.Warn("the last use of a session could not be kept", zap.Error(err)) }
	switch cfg.Session.Store {
	case config.StoreValkey:
		var s *valkeystore.Store
		if s, err = valkeyStore(cfg, log, metrics, open); err == nil {
			k.store, k.records, k.feeds = s, s, s
			touchFailed = nil // it tells of its outages itself
		}
	default:
		var s *embedded.Store
		if s, err = embeddedStore(cfg, log, metrics, open); err == nil {
			k.store, k.records, k.feeds = &measuredStore{Store: s, metrics: metrics}, s, s
		}
	}
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, k.store.Close)
	if ring == nil {
		if ring, err = storedKeyring(ctx, k.records); err != nil {
			return nil, err
		}
	}
	k.manager = session.NewManager(session.Options{
		Store: k.store, Keyring: ring, Server: cfg.Server, Session: cfg.Session,
		TouchFailed: touchFailed,
	})
	p.closers = append(p.closers, func() error { k.manager.Close(); return nil })
	if cfg.Session.Store == config.StoreValkey {
		metrics.ActiveSessions("used at this gateway within the last minute", k.manager.Active)
	}
	return &k, nil
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
func auditor(trail *telemetry.Trail, trusted *trust) func(login.Audit) {
	return func(a login.Audit) {
		line := telemetry.Audit{
			Event: a.Event, Outcome: a.Outcome, Reason: a.Reason,
			Provider: a.Provider, Issuer: a.Issuer, Subject: a.Subject, Session: a.Session,
		}
		if a.Request != nil {
			line.ClientAddr = trusted.client(a.Request)
			line.RequestID = a.Request.Header.Get(httperr.RequestIDHeader)
		}
		trail.Record(&line)
	}
}
