package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/carried"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/lock"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/gateway/tracing"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// core is what lives as long as the process, whichever configuration it serves by:
// the store and what follows it, the keys, the metrics, and what is remembered of
// requests. What one configuration makes are parts.
type core struct {
	log     *zap.Logger
	version string
	open    bool // false: nothing is opened, connected to or kept

	metrics     *telemetry.Metrics
	events      *telemetry.Events // the last of the audit trail
	audit       *telemetry.Trail
	sampler     *telemetry.Sampler
	tracer      *tracing.Tracer // nil where nothing is traced
	audited     *config.Audit   // by which the trail was opened; nil before
	auditKey    config.Secret   // that it was opened with
	denied      *denials
	signIns     *login.Memory
	connections *upstream.Connections
	draining    atomic.Bool // the end was asked for
	visitors    *admin.Visitors
	jobs        admin.Jobs
	known       admin.Known // of what readiness looks at
	since       time.Time   // of the start

	dev *development // nil in production

	// From here on they are there once the first configuration was built.
	store       session.Store
	records     session.Records
	feeds       session.Feeds
	touchFailed func(error)
	activity    *session.Activity
	keyring     *sealing.Ring
	sealing     *session.Keyring // of keyring
	signed      *sealedRing
	keyNews     *keyNews        // nil where no other gateway uses the store
	ring        *assertion.Ring // signs
	revocations *authn.Revocations
	keys        *authn.APIKeys
	locks       *lock.Locks      // nil where nothing is opened
	streams     *session.Streams // runs until the drain begins

	reloads reloads
	reload  func(ctx context.Context, trigger string) error // nil where nothing is served

	live     atomic.Pointer[parts] // by which requests are judged
	base     context.Context       //nolint:containedctx // of everything that runs, from Run to its end
	shelf    carried.Shelf         // what parts hand on to the next
	retiring sync.WaitGroup        // parts of former configurations

	background []func(context.Context) // each runs until the drain is over
	closers    []func() error          // in the order of their making
}

// newCore makes what needs no configuration.
func newCore(log *zap.Logger, version string, open bool) *core {
	events := telemetry.NewEvents()
	metrics := telemetry.NewMetrics(version)
	sampler := telemetry.NewSampler(metrics)
	audit := telemetry.NewTrail(log.Named("audit"), events)
	c := &core{
		log: log, version: version, open: open, since: time.Now(), base: context.Background(),
		metrics: metrics, sampler: sampler, denied: newDenials(), visitors: admin.NewVisitors(),
		signIns: login.NewMemory(), connections: upstream.NewConnections(log.Named("upstream")),
		events: events, audit: audit,
		background: []func(context.Context){sampler.Run},
		closers:    []func() error{func() error { return audit.Use(nil) }},
	}
	// What is scraped is that of the configuration that counts by then.
	c.metrics.JWKSAges(ofNow(c, (*parts).keyAges))
	c.metrics.Certificates(ofNow(c, (*parts).certificateEnds))
	c.metrics.Upstreams(ofNow(c, func(p *parts) []telemetry.RouteUpstreams { return p.upstreams.figures() }))
	return c
}

// ofNow reads something of the parts that count when it is called.
func ofNow[T any](c *core, read func(*parts) T) func() T {
	return func() (zero T) {
		if p := c.now(); p != nil {
			return read(p)
		}
		return zero
	}
}

// now is what requests are judged by at this moment.
func (c *core) now() *parts { return c.live.Load() }

// close releases everything, last made first.
func (c *core) close() error {
	var errs []error
	if p := c.live.Load(); p != nil {
		errs = append(errs, p.end())
	}
	c.retiring.Wait()
	c.connections.Close()
	for _, one := range slices.Backward(c.closers) {
		errs = append(errs, one())
	}
	c.closers = nil
	return errors.Join(errs...)
}

// prepare opens what outlives a configuration, as the first one says. It does
// nothing when that was done.
func (c *core) prepare(ctx context.Context, cfg *config.Config) error {
	if c.store != nil {
		return nil
	}
	if err := errors.Join(c.openAudit(cfg), c.openTracing(cfg)); err != nil {
		return err
	}
	unusable := c.openStore(ctx, cfg)
	if unusable != nil {
		if c.open {
			return unusable
		}
		// What comes after it has faults of its own.
		if err := c.openStore(ctx, inMemory(cfg)); err != nil {
			return cfg.Together(unusable, err)
		}
	}
	c.revocations = authn.NewRevocations(c.feeds, cfg.Tokens.Revocation.MaxStaleness)
	c.keys = authn.NewAPIKeys(c.feeds, cfg.Tokens.Revocation.MaxStaleness, c.log.Named("apikeys"))
	c.openLocks(ctx, cfg)
	ring, err := openRing(ctx, cfg, c.log, c.signed, c.open)
	if err != nil {
		return cfg.Together(unusable, err)
	}
	c.ring = ring
	c.background = append(c.background, c.revocations.Run, c.keys.Run, c.connections.Run)
	watch := &keyWatch{core: c, log: c.log.Named("keys")}
	c.metrics.Keys(watch.ages)
	if c.open {
		c.background = append(c.background, c.ring.Run, watch.run)
	}
	if c.keyNews != nil {
		c.background = append(c.background, func(ctx context.Context) {
			c.keyNews.run(ctx, map[string]func(){newsOfSealing: c.keyring.Wake, newsOfSigning: c.ring.Wake})
		})
	}
	c.streams = session.NewStreams(c.sessionLives, func(id *identity.Identity) bool {
		return c.revocations.Revoked(id) || c.keys.Revoked(id)
	})
	return unusable
}

// inMemory is a configuration that needs no store.
func inMemory(cfg *config.Config) *config.Config {
	other := *cfg
	other.Session.Store, other.Session.KeysFiles = config.StoreEmbedded, nil
	return &other
}

// sessionLives is Manager.Live of the configuration that counts now.
func (c *core) sessionLives(ctx context.Context, key session.Key) (*identity.Identity, error) {
	return c.now().sessions.Live(ctx, key)
}

// openStore opens the store, and reads or makes the ring that seals.
func (c *core) openStore(ctx context.Context, cfg *config.Config) error {
	if err := judgeKeyFiles(cfg); err != nil {
		if !c.open && cfg.Session.Store == config.StoreValkey {
			err = cfg.Together(err, valkeyFaults(cfg))
		}
		return err
	}
	var err error
	switch cfg.Session.Store {
	case config.StoreValkey:
		err = c.openValkey(cfg)
	default:
		err = c.openEmbedded(cfg)
	}
	if err != nil {
		return err
	}
	c.store = c.dev.over(c.store)
	c.activity = session.NewActivity(c.store, c.touchFailed)
	c.closers = append(c.closers, c.store.Close, func() error { c.activity.Close(); return nil })
	return c.openSealing(ctx, cfg)
}

func (c *core) openEmbedded(cfg *config.Config) error {
	path := cfg.Session.Embedded.Path
	if !c.open {
		path = ""
	}
	store, err := embedded.Open(embedded.Options{Path: path, Log: c.log.Named("store")})
	if err != nil {
		return err
	}
	c.metrics.ActiveSessions("in the store", store.Len)
	c.store, c.records, c.feeds = &measuredStore{Store: store, metrics: c.metrics}, store, store
	c.touchFailed = func(err error) { c.log.Warn("the last use of a session could not be kept", zap.Error(err)) }
	return nil
}

// valkeyFaults are those of the way to Valkey.
func valkeyFaults(cfg *config.Config) error {
	store, err := valkeystore.Open(valkeystore.Options{Valkey: cfg.Session.Valkey, Cache: cfg.Session.Cache, Offline: true})
	if err != nil {
		return faultsAt(cfg, "session.valkey", err)
	}
	return store.Close()
}

func (c *core) openValkey(cfg *config.Config) error {
	store, err := valkeystore.Open(valkeystore.Options{
		Valkey: cfg.Session.Valkey, Cache: cfg.Session.Cache, Log: c.log.Named("store"), Offline: !c.open,
		Observe: func(ctx context.Context, operation string, took time.Duration, class valkeystore.Class) {
			c.metrics.Store(operation, string(class), took)
			c.tracer.Store(ctx, operation, string(class), took)
		},
		Revoked: c.metrics.Revocation,
	})
	if err != nil {
		return faultsAt(cfg, "session.valkey", err)
	}
	c.metrics.RemoteStore(store.Available, store.Writable, func() telemetry.NearCache { return telemetry.NearCache(store.Stats()) })
	c.metrics.ActiveSessions("used at this gateway within the last minute", ofNow(c, func(p *parts) int { return p.sessions.Active() }))
	c.store, c.records, c.feeds = store, store, store // it tells of its outages itself
	if c.open {
		c.keyNews = newKeyNews(store)
	}
	return nil
}

// readiness is what is looked at of it; needed says that what is configured
// can't do without signing keys.
func (c *core) readiness(needed bool) []admin.Check {
	storeCheck := admin.Check{Name: "store", Required: true, Probe: c.store.Ping}
	if s, ok := c.store.(*valkeystore.Store); ok {
		storeCheck.FailingSince = s.FailingSince
	}
	return []admin.Check{storeCheck, {
		Name: "signing keys", Required: needed,
		Probe: func(context.Context) error { return c.ring.Ready() },
	}, {
		Name: "sealing keys", Required: true,
		Probe: func(context.Context) error { return c.keyring.Ready() },
	}, {
		Name: "locks", Required: true,
		Probe: func(context.Context) error { return c.locks.Ready() },
	}, c.auditCheck()}
}
