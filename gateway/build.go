package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/carried"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/echo"
	"github.com/sallyport/sallyport/gateway/extauthz"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/listener/acme"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/proxy"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/policy"
)

// parts are what one configuration makes: what is served by it, what runs beside,
// what to close. Everything that outlives it belongs to core.
type parts struct {
	core         *core
	hold         *carried.Hold // what outlives it where it is unchanged
	life         lifetime
	cfg          *config.Config
	handler      http.Handler
	redirect     http.Handler // of the listeners that redirect to https
	admin        http.Handler
	api          []admin.Endpoint // of the operators
	trust        *trust
	sessions     *session.Manager
	signIn       *login.Service
	accounts     *accounts               // that are bound to it while the parts count
	issuerKeys   map[string]*jwks.Source // by issuer
	upstreams    pools
	guard        *guard.Guard
	entrances    map[string]*guard.Entrance    // the listeners with policies
	tls          *tls.Config                   // of the public listeners; nil without a certificate
	acme         *acme.Manager                 // nil where no certificate is to be issued
	extAuthz     *extauthz.Service             // nil where Envoy does not ask by gRPC
	checkTLS     *tls.Config                   // of that listener; nil without a certificate
	adminTLS     *tls.Config                   // of the operators' listener; nil without a certificate
	certificates []func() map[string]time.Time // when they run out, by name
	background   []func(context.Context)       // each runs until the last request is over
	checks       []admin.Check                 // what readiness looks at
	closers      []func() error                // in the order of their making
}

// build makes every object from the first configuration. Without open the session
// store is neither opened nor connected to. The core that closes them all is the
// parts' own.
func build(ctx context.Context, cfg *config.Config, log *zap.Logger, version string, open bool) (*parts, error) {
	return newCore(log, version, open).first(ctx, cfg)
}

// first builds by the first configuration, or closes everything.
func (c *core) first(ctx context.Context, cfg *config.Config) (*parts, error) {
	p, err := c.build(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	p.accounts.signIn.Store(p.signIn)
	c.live.Store(p)
	return p, nil
}

// build makes the parts of a configuration. It changes nothing of what serves.
func (c *core) build(ctx context.Context, cfg *config.Config) (_ *parts, err error) {
	log, metrics := c.log, c.metrics
	trusted := newTrust(cfg.Server.TrustedProxies)
	p := &parts{core: c, cfg: cfg, trust: trusted, hold: c.shelf.Hold()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()

	if err = c.dev.mayHavePanel(cfg); err != nil {
		return nil, err
	}
	// What needs no store comes first: most bad configurations never touch one.
	// A step that finds faults does not keep the next ones from telling theirs.
	found := &findings{cfg: cfg}
	policies, err := buildPolicies(cfg, newAuthorizers(log, metrics, p))
	found.add(err)
	issuers, err := buildIssuers(cfg, log, metrics, p)
	found.add(err)
	noIssuers := err != nil
	found.add(buildCertificates(cfg, log, metrics, p))
	found.add(buildExtAuthzCertificates(cfg, log, metrics, p))
	found.add(buildAdminCertificates(cfg, log, metrics, p))
	found.add(judgeKeyFiles(cfg))
	people, err := buildPages(cfg)
	found.add(err)
	if found.any() && (c.opens() || found.other) {
		return nil, found.all()
	}
	found.add(c.prepare(ctx, cfg))
	if found.any() && (c.opens() || found.other) {
		return nil, found.all()
	}
	p.sessions = session.NewManager(session.Options{
		Store: c.store, Records: c.records, Keyring: c.sealing, Server: cfg.Server, Session: cfg.Session,
		Activity: c.activity,
	})
	p.closers = append(p.closers, func() error { p.sessions.Close(); return nil })
	signing := newSigning(cfg, c.ring)
	if own, ok := signing.ownIssuer(); ok {
		issuers = append(issuers, own)
	}

	logins, watch := &appLogins{cfg: cfg}, newWatch(c, p.hold)
	creds, table := &credentials{}, &route.Table{}
	if !noIssuers { // no judge is made of some of the issuers
		if creds, err = buildCredentials(p, issuers); err != nil {
			return nil, cfg.Together(found.all(), err)
		}
		var routed *route.Table
		if routed, err = buildRoutes(cfg, policies, creds, logins, signing, watch); err == nil {
			table = routed
		}
		found.add(err)
	}
	p.background = append(p.background, func(ctx context.Context) {
		followFiles(ctx, slices.Concat(policies.files, logins.files), log.Named("files"))
	})

	var keptForms session.Records
	if cfg.Login.KeepForms {
		keptForms = c.records
	}
	signIn, err := login.New(login.Options{
		Server: cfg.Server, Providers: cfg.Login.Providers, Sessions: p.sessions, Pages: people,
		Log: log.Named("login"), KnownHost: table.KnownHost, RouteOf: routeOf(table, cfg.Server.URL()), Audit: auditor(c.audit, trusted), KeptForms: keptForms,
		ClientAddr: trusted.client, Records: c.records, LogoutTargets: cfg.Login.LogoutTargets,
		Locked: locked(c.locks, trusted),
		Memory: c.signIns, Carry: p.carry,
		Calls: c.calls, Rehearsal: c.dev.signIns(), Meets: meetsStepUp, Lockout: cfg.Login.Lockout, CORSOrigins: cfg.Login.CORSOrigins,
	})
	if err != nil {
		found.add(faultsAt(cfg, "login.providers", err))
	}
	p.entrances, err = buildEntrances(cfg, policies)
	found.add(err)
	targets, err := buildTargets(cfg, table, map[string]http.Handler{"echo": echo.New(cfg.Server.AuthPrefix)}, log.Named("upstream"), p)
	found.add(err)
	if found.any() {
		return nil, found.all()
	}
	p.signIn, p.accounts = signIn, creds.accounts
	startRenewing(p, signIn)
	p.background = append(p.background, signIn.Run)

	edge := &httperr.Edge{
		Observe: observe,
		Page: func(w http.ResponseWriter, r *http.Request, e *httperr.Error, requestID string) error {
			formToken := ""
			if e.Code == http.StatusForbidden {
				formToken = signIn.SignOutToken(r)
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
	p.guard = guard.New(guard.Options{
		Entrances: cfg.ExtAuthz.Listen != "", Listeners: p.entrances,
		Routes: table, Cookies: p.sessions.Cookies(), Scheme: scheme, Client: trusted.addr, Denied: c.denied.keep,
		Locks: c.locks, OwnIssuer: ownIssuerName(cfg),
	})
	front, err := proxy.New(proxy.Options{
		Guard:     p.guard,
		Now:       func() *guard.Guard { return c.now().guard },
		Challenge: challenger(func(r *http.Request, want policy.StepUp) string { return signIn.StepUpURL(r, login.StepUp(want)) }, cfg.Server.URL().Host),
		Targets:   targets,
		Scheme:    scheme, MaxBody: cfg.Server.Limits.MaxBodyBytes,
		Streams: c.streams, Metrics: metrics, Log: log.Named("proxy"), TrustedProxy: trusted.peer, Trace: c.traceUpstream(),
	})
	if err != nil {
		return nil, err
	}

	watching := observer{
		trust: trusted, metrics: metrics, tracer: c.tracer, log: log.Named("request"), audit: c.audit, final: newFinalHeaders(cfg.Server.HSTS, &c.draining),
	}
	ingress := asked{cfg: cfg, table: table, signIn: signIn, edge: edge, watch: &watching, log: log}
	p.extAuthz = ingress.extAuthz(p, policies, p.sessions.Cookies().Owns)
	subtrees := map[string]httperr.HandlerFunc{
		"/backchannel-logout/":  signIn.BackChannelLogout,
		"/frontchannel-logout/": signIn.FrontChannelLogout,
	}
	checks := ingress.forwardAuth(p)
	if checks != nil {
		subtrees[checkSubtree] = checks.Serve
	}

	own := map[string]httperr.HandlerFunc{
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
	}
	c.dev.mount(own, p, signIn, signing)
	p.handler = &handler{
		prefix:    cfg.Server.AuthPrefix,
		endpoints: shared(signIn, own),
		subtrees:  subtrees, compat: ingress.compatible(p, checks),
		callback: signIn.Callback, knownHost: table.KnownHost, front: front.Serve,
		edge: &frontEdge, ownEdge: edge, watch: watching, limits: cfg.Server.Limits,
		formTimeout: cfg.Server.Limits.ReadHeaderTimeout,
	}
	turning := watching
	turning.final = newFinalHeaders(config.HSTS{}, &c.draining)
	p.redirect = &handler{
		redirect: redirectHTTPS(cfg.Server, table.ServedHost, p.prove()),
		ownEdge:  edge, watch: turning, limits: cfg.Server.Limits,
		formTimeout: cfg.Server.Limits.ReadHeaderTimeout,
	}
	p.checks = append(p.checks, c.readiness(signing.needed)...)
	p.checks = append(p.checks, providerChecks(cfg, signIn)...)
	p.checks = append(p.checks, c.reloads.readiness())
	inventory := &inventory{cfg: cfg, table: table, policies: policies, signIn: signIn, issuers: issuers, pools: p.upstreams}
	explain := &explainer{cfg: cfg, guard: p.guard, entrances: p.entrances, sessions: p.sessions, denied: c.denied}
	sessionPages, sessionForms := admin.SessionPages(p.sessions, c.audit, &c.jobs)
	locking := &locker{cfg: cfg, locks: c.locks}
	lockPages, lockForms := admin.LockPages(locking, c.audit)
	keys := c.keysOf(signing)
	keyPages, keyForms := admin.KeyPages(keys, &c.jobs)
	p.api = slices.Concat(
		admin.TokenEndpoints(&tokenRevoker{list: c.revocations, issuers: cfg.Tokens.Issuers, audit: c.audit}),
		signing.api(c.audit),
		admin.LockEndpoints(locking, c.audit),
		admin.Keys(keys),
		apiKeyEndpoints(cfg, c.keys, c.audit),
		admin.ExplainEndpoints(explain),
		admin.ShieldEndpoints(watch.Report),
		admin.ReloadEndpoints(c.reloads.status, c.reloadFor),
		admin.InventoryEndpoints(inventory),
		admin.SessionEndpoints(p.sessions, c.audit),
		admin.EventEndpoints(c.events, &c.draining),
		admin.StatsEndpoints(c.sampler.Stats),
		admin.DescriptionEndpoints(),
	)
	p.admin = admin.New(admin.Options{
		Metrics: metrics.Gatherer(), Edge: &httperr.Edge{}, Checks: p.checks, Known: &c.known, Draining: c.draining.Load,
		API:   p.api,
		Forms: slices.Concat(sessionForms, lockForms, keyForms, admin.ReloadForms(c.reloadFor)),
		Overview: &admin.Overview{Stats: c.sampler.Stats, Configuration: c.reloads.status, Reloadable: c.reloads.follows, Warnings: func(ctx context.Context) []string {
			all := c.allKeys(ctx, signing)
			return admin.KeyWarnings(&all, time.Now())
		}},
		Pages: slices.Concat(
			sessionPages,
			lockPages,
			admin.EventPages(c.events, explain),
			admin.InventoryPages(inventory),
			admin.ShieldPages(watch.Report),
			keyPages,
		),
		Gate: adminGate(c, cfg),
	})
	return p, nil
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
