package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// namespace is the prefix of every metric.
const namespace = "sallyport"

// Metrics are the process's metrics. Labels come from closed sets only: route
// names, outcomes, reasons, credential kinds, configured issuers. Nothing that a
// client chooses is ever a label.
type Metrics struct {
	registry *registry

	requests        *prometheus.CounterVec
	requestSeconds  *prometheus.HistogramVec
	decision        *prometheus.HistogramVec
	upstream        *prometheus.HistogramVec
	credentialBytes *prometheus.CounterVec
	credentialSize  *prometheus.HistogramVec
	storeSeconds    *prometheus.HistogramVec
	storeErrors     *prometheus.CounterVec
	revocation      prometheus.Histogram
	jwksFetches     *prometheus.CounterVec
	openStreams     prometheus.Gauge
	streamsEnded    *prometheus.CounterVec
	refreshes       *prometheus.CounterVec
	shadows         *prometheus.CounterVec
	crossSites      *prometheus.CounterVec
	shieldFindings  *prometheus.CounterVec
	checks          *prometheus.CounterVec

	authorizer        *prometheus.CounterVec
	authorizerSeconds *prometheus.HistogramVec

	providerCalls   *prometheus.CounterVec
	providerSeconds *prometheus.HistogramVec

	auditRecords *prometheus.CounterVec
	tokenCache   *prometheus.CounterVec
	tokenHits    prometheus.Counter // of tokenCache
	tokenMisses  prometheus.Counter

	listeners listeners
	reloads   reloads
	series    seriesTable
	live      live
}

// NewMetrics makes the metrics on a registry of their own, so that two gateways
// can live in one process.
func NewMetrics(version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(histogramOpts(name, help, buckets), labels)
	}
	m := &Metrics{
		registry: newRegistry(),
		requests: counter("requests_total", "Requests by route, outcome of the decision, and its reason.", "route", "outcome", "reason"),
		requestSeconds: histogram("request_seconds", "Time from a request's arrival to the end of its answer, by route; connections that were upgraded are left out.",
			[]float64{.0005, .001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}, "route"),
		decision: histogram("decision_seconds", "Time to decide a request, by credential kind.",
			[]float64{2e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2, 0.1, 1}, "credential"),
		upstream: histogram("upstream_seconds", "Time until an upstream's response header, by route.",
			[]float64{.001, .005, .01, .05, .1, .5, 1, 5, 30}, "route"),
		credentialBytes: counter("credential_bytes_total", "Bytes of credentials on the wire, by kind.", "kind"),
		credentialSize: histogram("credential_size_bytes", "Size of the credential of a request that carries one, by kind.",
			prometheus.ExponentialBuckets(32, 2, 10), "kind"), // up to the longest token that is looked at
		storeSeconds: histogram("store_seconds", "Time of session store operations other than reads from memory.",
			[]float64{1e-5, 1e-4, .001, .005, .01, .05, .1, .5, 1}, "operation"),
		storeErrors: counter("store_errors_total", "Session store operations that could not be answered, by what went wrong.", "operation", "class"),
		revocation: prometheus.NewHistogram(histogramOpts("revocation_seconds", "Time from a revocation until this gateway denied the session.",
			[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 30})),
		jwksFetches: counter("jwks_fetches_total", "Fetches of key sets, by issuer and result.", "issuer", "result"),
		openStreams: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "open_streams", Help: "WebSockets and streaming answers that are open now.",
		}),
		refreshes: counter("refreshes_total", "Refreshes of providers' tokens that were tried, by result.", "result"),
		shadows: counter("shadow_decisions_total", "Decisions on requests by what was decided, and by what would have been if the policies and rules in the mode shadow were enforced.",
			"route", "outcome", "shadow"),
		crossSites: counter("cross_site_total", "Requests and handshakes that pages of other sites had browsers send, by whether they were refused.",
			"route", "kind", "mode"),
		shieldFindings: counter("shield_findings_total", "Weaknesses of applications' answers, by what the shield of the route does about them.",
			"route", "finding", "mode"),
		checks: counter("checks_total", "Requests that other proxies asked about, by the way in which they ask and the outcome of the decision.",
			"dialect", "outcome"),
		streamsEnded: counter("streams_ended_total", "Streams that the gateway ended, by reason.", "why"),
		authorizer: counter("authorizer_requests_total", "Requests that an external authorizer was to decide, by policy and what became of them.",
			"policy", "result"),
		authorizerSeconds: histogram("authorizer_seconds", "Time until an external authorizer's answer, or until none came, by policy.",
			[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 10}, "policy"),
		tokenCache: counter("token_cache_lookups_total", "Look-ups of bearer tokens among those that were proven before, by result.", "result"),
		auditRecords: counter("audit_records_total", "Audit records for a stream of their own, by whether it took them; those that it did not are in the log.",
			"result"),
		providerCalls: counter("provider_calls_total", "Calls to identity providers, by the name of the provider or issuer, what was asked for, and the class of the answer.",
			"provider", "operation", "result"),
		providerSeconds: histogram("provider_seconds", "Time until a provider's answer, or until none came, by what was asked for.",
			[]float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}, "provider", "operation"),
	}
	m.tokenHits, m.tokenMisses = m.tokenCache.WithLabelValues("hit"), m.tokenCache.WithLabelValues("miss")
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the version is the label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.requestSeconds, m.decision, m.upstream, m.credentialBytes, m.credentialSize,
		m.storeSeconds, m.storeErrors, m.revocation, m.jwksFetches, m.openStreams, m.streamsEnded, m.refreshes, m.shadows,
		m.crossSites, m.shieldFindings, m.checks,
		m.authorizer, m.authorizerSeconds, m.providerCalls, m.providerSeconds, m.auditRecords, m.tokenCache, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.listeners = newListeners(m.registry)
	m.reloads = newReloads(m.registry)
	return m
}

// Gatherer returns what /metrics serves.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Request counts a finished request.
func (m *Metrics) Request(e *Event) {
	of := m.series.of(m, e)
	count(of.requests, 1, e.TraceID)
	if e.Shadow != "" {
		m.shadows.WithLabelValues(e.Route, e.Outcome, e.Shadow).Inc()
	}
	if e.CrossSite != "" {
		m.crossSites.WithLabelValues(e.Route, e.CrossSite, e.CrossSiteMode).Inc()
	}
	if of.checks != nil {
		of.checks.Inc()
	}
	if e.timed() {
		observe(of.took, e.Took, e.TraceID)
	}
	if e.DecideTime > 0 {
		observe(of.decision, e.DecideTime, e.TraceID)
	}
	if e.Bytes > 0 {
		of.credentialBytes.Add(float64(e.Bytes))
		of.credentialSize.Observe(float64(e.Bytes))
	}
	if e.UpstreamTime > 0 {
		observe(of.upstream, e.UpstreamTime, e.TraceID)
	}
}

// ShieldFinding returns what counts one finding of a route's shield. finding is
// one word of the closed set of package shield.
func (m *Metrics) ShieldFinding(route, finding, mode string) (increment func()) {
	return m.shieldFindings.WithLabelValues(route, finding, mode).Inc
}

// StoreAnswered is the class of store operations that were answered; "not found"
// is an answer.
const StoreAnswered = "answered"

// Store counts one store operation. class is StoreAnswered, or one word of a
// closed set that says why there was no answer.
func (m *Metrics) Store(operation, class string, took time.Duration) {
	m.storeSeconds.WithLabelValues(operation).Observe(took.Seconds())
	if class != StoreAnswered {
		m.storeErrors.WithLabelValues(operation, class).Inc()
	}
}

// TokenCache counts a look-up of a bearer token among those that were proven before.
func (m *Metrics) TokenCache(hit bool) {
	if hit {
		m.tokenHits.Inc()
		return
	}
	m.tokenMisses.Inc()
}

// Revocation records how long after its revocation a session was denied here.
func (m *Metrics) Revocation(took time.Duration) { m.revocation.Observe(took.Seconds()) }

// NearCache are the figures of the near cache; all but the first two only grow.
type NearCache struct {
	Entries, Bytes                                  int64
	Hits, Misses, Invalidations, Flushes, Evictions uint64
}

// RemoteStore reads the state of a session store on the network, and of the
// cache near to it, when metrics are scraped.
func (m *Metrics) RemoteStore(up, writable func() bool, near func() NearCache) {
	m.live.keep(func(l *live) { l.near = near })
	gauge := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, read))
	}
	counter := func(name, help string, read func(NearCache) uint64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help},
			func() float64 { return float64(read(near())) }))
	}
	yes := func(is func() bool) func() float64 {
		return func() float64 {
			if is() {
				return 1
			}
			return 0
		}
	}
	gauge("store_up", "Whether the session store answered when it was last asked.", yes(up))
	gauge("store_writable", "Whether it did, and took the last write.", yes(writable))
	gauge("near_cache_entries", "Sessions in the near cache.", func() float64 { return float64(near().Entries) })
	gauge("near_cache_bytes", "Memory that the near cache counts for its sessions.", func() float64 { return float64(near().Bytes) })
	counter("near_cache_hits_total", "Look-ups that the near cache answered.", func(n NearCache) uint64 { return n.Hits })
	counter("near_cache_misses_total", "Look-ups that the near cache could not answer.", func(n NearCache) uint64 { return n.Misses })
	counter("near_cache_invalidations_total", "Keys that the store said have changed.", func(n NearCache) uint64 { return n.Invalidations })
	counter("near_cache_flushes_total", "Times that what one connection brought was dropped as a whole.", func(n NearCache) uint64 { return n.Flushes })
	counter("near_cache_evictions_total", "Sessions that were dropped for want of room.", func(n NearCache) uint64 { return n.Evictions })
}

// JWKSFetch counts one fetch of an issuer's key set.
func (m *Metrics) JWKSFetch(issuer, result string) {
	m.jwksFetches.WithLabelValues(issuer, result).Inc()
}

// StreamOpened counts an open stream until the returned function is called.
func (m *Metrics) StreamOpened() (closed func()) {
	m.openStreams.Inc()
	return m.openStreams.Dec
}

// StreamEnded counts a stream that was ended rather than came to its end.
func (m *Metrics) StreamEnded(why string) { m.streamsEnded.WithLabelValues(why).Inc() }

// Refresh counts one refresh of the tokens of a session. result is one word of the
// closed set of package session.
func (m *Metrics) Refresh(result string) { m.refreshes.WithLabelValues(result).Inc() }

// Authorizer counts one request that the authorizer of a policy was to decide. result
// is one word of the closed set of package authorizer; took is 0 where it was not asked.
func (m *Metrics) Authorizer(policy, result string, took time.Duration) {
	m.authorizer.WithLabelValues(policy, result).Inc()
	if took > 0 {
		m.authorizerSeconds.WithLabelValues(policy).Observe(took.Seconds())
	}
}

// AuditRecord counts one record for the audit stream.
func (m *Metrics) AuditRecord(written bool) {
	result := "refused"
	if written {
		result = "written"
	}
	m.auditRecords.WithLabelValues(result).Inc()
}

// ActiveSessions reads the number of sessions when metrics are scraped. which
// says what is counted, "in the store" for one.
func (m *Metrics) ActiveSessions(which string, count func() int) {
	m.live.keep(func(l *live) { l.sessions, l.whichSessions = count, which })
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "sessions_active", Help: "Sessions " + which + ".",
	}, func() float64 { return float64(count()) }))
}

// Locks reads how many locks are in force, by what they are on, when metrics are
// scraped. The words are a closed set.
func (m *Metrics) Locks(active func() map[string]int) {
	m.registry.MustRegister(&gauges{
		read: active,
		desc: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "locks_active"), "Locks that are in force, by what they are on.", []string{"on"}, nil),
	})
}

// gauges is one gauge for each word of a closed set.
type gauges struct {
	read func() map[string]int
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(to chan<- *prometheus.Desc) { to <- g.desc }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	for word, n := range g.read() {
		to <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(n), word)
	}
}

// JWKSAges reads when the key set of each issuer was fetched when metrics are scraped.
// A set that was never fetched has no age and reads as -1.
func (m *Metrics) JWKSAges(fetched func() map[string]time.Time) {
	m.registry.MustRegister(&keySetAges{
		fetched: fetched,
		desc:    prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "jwks_age_seconds"), "Age of the key set in use, by issuer.", []string{"issuer"}, nil),
	})
}

type keySetAges struct {
	fetched func() map[string]time.Time
	desc    *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (k *keySetAges) Describe(to chan<- *prometheus.Desc) { to <- k.desc }

// Collect implements prometheus.Collector.
func (k *keySetAges) Collect(to chan<- prometheus.Metric) {
	for issuer, at := range k.fetched() {
		age := -1.0
		if !at.IsZero() {
			age = time.Since(at).Seconds()
		}
		to <- prometheus.MustNewConstMetric(k.desc, prometheus.GaugeValue, age, issuer)
	}
}
