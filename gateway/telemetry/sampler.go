package telemetry

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	// SampleEvery is the time between two samples.
	SampleEvery = time.Second
	// keptSamples make ten minutes.
	keptSamples = 600
	// maxNames bounds the outcomes and credential kinds that are told apart. Both are
	// of closed sets that are smaller.
	maxNames = 24
)

// Stats are the figures of the last minutes: of each, one number a sample, all lists
// of one length, oldest first. Rates are per second. A time is in seconds, and 0
// where nothing was measured.
type Stats struct {
	Started int64   `json:"started"` // when this process began, in seconds since 1970
	Times   []int64 `json:"times"`   // the end of each sample, likewise

	Requests        map[string][]float32 `json:"requests"`         // by the outcome of the decision
	CredentialBytes map[string][]float32 `json:"credential_bytes"` // by kind

	Decision Quantiles `json:"decision"` // time to decide
	Upstream Quantiles `json:"upstream"` // time until an upstream's response header
	Store    Quantiles `json:"store"`    // time of operations of the session store

	StoreOperations []float32 `json:"store_operations"`
	StoreErrors     []float32 `json:"store_errors"`

	// Of the cache near to a session store on the network; nil without one.
	CacheHits   []float32 `json:"cache_hits,omitempty"`
	CacheMisses []float32 `json:"cache_misses,omitempty"`

	// Of the bearer tokens that were proven before; nil while none has come.
	TokenCacheHits   []float32 `json:"token_cache_hits,omitempty"`
	TokenCacheMisses []float32 `json:"token_cache_misses,omitempty"`

	Sessions      []float32 `json:"sessions"`
	SessionsWhich string    `json:"sessions_which"` // what is counted, such as "in the store"
	Streams       []float32 `json:"streams"`        // WebSockets and streaming answers that are open
	Connections   []float32 `json:"connections"`    // client connections that are open
}

// Quantiles are estimates from the buckets of a histogram.
type Quantiles struct {
	P50 []float32 `json:"p50"`
	P90 []float32 `json:"p90"`
	P99 []float32 `json:"p99"`
}

// live is what can be asked how things stand at any time.
type live struct {
	mu            sync.Mutex
	near          func() NearCache
	sessions      func() int
	whichSessions string
	connections   func() int64
}

func (l *live) keep(change func(*live)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// Sampler reads the metrics once a second and keeps what charts draw, in memory that
// does not grow.
type Sampler struct {
	metrics *Metrics
	started time.Time

	mu     sync.Mutex
	ring   []sample // at most keptSamples
	next   int
	before totals

	outcomes, kinds names
}

// sample is what one second brought.
type sample struct {
	at                         int64
	requests, bytes            [maxNames]float32
	decision, upstream, store  [3]float32
	operations, errors         float32
	hits, misses               float32
	tokenHits, tokenMisses     float32
	sessions, streams, clients float32
}

// names gives each name of a small set a place.
type names []string

func (n *names) place(name string) int {
	if i := slices.Index(*n, name); i >= 0 {
		return i
	}
	if len(*n) < maxNames {
		*n = append(*n, name)
	}
	return len(*n) - 1
}

// totals are counters as they stood.
type totals struct {
	at              time.Time
	requests, bytes [maxNames]float64
	decision        histogram
	upstream        histogram
	store           histogram
	errors          float64
	near            NearCache

	tokenHits, tokenMisses float64
}

// NewSampler makes a Sampler of metrics. Run must be called.
func NewSampler(m *Metrics) *Sampler { return &Sampler{metrics: m, started: time.Now()} }

// Run takes samples until ctx ends.
func (s *Sampler) Run(ctx context.Context) {
	s.take(time.Now())
	tick := time.NewTicker(SampleEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.take(now)
		case <-ctx.Done():
			return
		}
	}
}

// take makes a sample of what has changed since the last time.
func (s *Sampler) take(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.metrics
	is := totals{at: now}
	each(m.requests, func(d *dto.Metric) {
		is.requests[s.outcomes.place(label(d, "outcome"))] += d.GetCounter().GetValue()
	})
	each(m.credentialBytes, func(d *dto.Metric) {
		is.bytes[s.kinds.place(label(d, "kind"))] += d.GetCounter().GetValue()
	})
	each(m.decision, func(d *dto.Metric) { is.decision.add(d.GetHistogram()) })
	each(m.upstream, func(d *dto.Metric) { is.upstream.add(d.GetHistogram()) })
	each(m.storeSeconds, func(d *dto.Metric) { is.store.add(d.GetHistogram()) })
	each(m.storeErrors, func(d *dto.Metric) { is.errors += d.GetCounter().GetValue() })
	each(m.tokenHits, func(d *dto.Metric) { is.tokenHits = d.GetCounter().GetValue() })
	each(m.tokenMisses, func(d *dto.Metric) { is.tokenMisses = d.GetCounter().GetValue() })

	one := sample{at: now.Unix()}
	each(m.openStreams, func(d *dto.Metric) { one.streams = float32(d.GetGauge().GetValue()) })
	m.live.keep(func(l *live) {
		if l.near != nil {
			is.near = l.near()
		}
		if l.sessions != nil {
			one.sessions = float32(l.sessions())
		}
		if l.connections != nil {
			one.clients = float32(l.connections())
		}
	})
	was := s.before
	s.before = is
	took := now.Sub(was.at).Seconds()
	if was.at.IsZero() || took <= 0 {
		return
	}
	rate := func(is, was float64) float32 { return float32(max(0, is-was) / took) }
	for i := range maxNames {
		one.requests[i] = rate(is.requests[i], was.requests[i])
		one.bytes[i] = rate(is.bytes[i], was.bytes[i])
	}
	one.decision, _ = is.decision.since(&was.decision)
	one.upstream, _ = is.upstream.since(&was.upstream)
	var operations float64
	one.store, operations = is.store.since(&was.store)
	one.operations, one.errors = rate(operations, 0), rate(is.errors, was.errors)
	one.hits = rate(float64(is.near.Hits), float64(was.near.Hits))
	one.misses = rate(float64(is.near.Misses), float64(was.near.Misses))
	one.tokenHits, one.tokenMisses = rate(is.tokenHits, was.tokenHits), rate(is.tokenMisses, was.tokenMisses)
	if len(s.ring) < keptSamples {
		s.ring = append(s.ring, one)
		return
	}
	s.ring[s.next] = one
	s.next = (s.next + 1) % keptSamples
}

// Stats returns what is kept.
func (s *Sampler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*sample, 0, len(s.ring))
	for i := range s.ring {
		list = append(list, &s.ring[(s.next+i)%len(s.ring)])
	}
	column := func(read func(*sample) float32) []float32 {
		out := make([]float32, len(list))
		for i, one := range list {
			out[i] = read(one)
		}
		return out
	}
	quantiles := func(read func(*sample) *[3]float32) Quantiles {
		at := func(q int) []float32 { return column(func(one *sample) float32 { return read(one)[q] }) }
		return Quantiles{P50: at(0), P90: at(1), P99: at(2)}
	}
	byName := func(n names, read func(*sample) *[maxNames]float32) map[string][]float32 {
		out := make(map[string][]float32, len(n))
		for i, name := range n {
			if name == "" {
				name = "none"
			}
			out[name] = column(func(one *sample) float32 { return read(one)[i] })
		}
		return out
	}
	stats := Stats{
		Started:         s.started.Unix(),
		Requests:        byName(s.outcomes, func(one *sample) *[maxNames]float32 { return &one.requests }),
		CredentialBytes: byName(s.kinds, func(one *sample) *[maxNames]float32 { return &one.bytes }),
		Decision:        quantiles(func(one *sample) *[3]float32 { return &one.decision }),
		Upstream:        quantiles(func(one *sample) *[3]float32 { return &one.upstream }),
		Store:           quantiles(func(one *sample) *[3]float32 { return &one.store }),
		StoreOperations: column(func(one *sample) float32 { return one.operations }),
		StoreErrors:     column(func(one *sample) float32 { return one.errors }),
		Sessions:        column(func(one *sample) float32 { return one.sessions }),
		Streams:         column(func(one *sample) float32 { return one.streams }),
		Connections:     column(func(one *sample) float32 { return one.clients }),
		Times:           make([]int64, len(list)),
	}
	for i, one := range list {
		stats.Times[i] = one.at
	}
	if s.before.tokenHits+s.before.tokenMisses > 0 {
		stats.TokenCacheHits = column(func(one *sample) float32 { return one.tokenHits })
		stats.TokenCacheMisses = column(func(one *sample) float32 { return one.tokenMisses })
	}
	s.metrics.live.keep(func(l *live) {
		stats.SessionsWhich = l.whichSessions
		if l.near != nil {
			stats.CacheHits = column(func(one *sample) float32 { return one.hits })
			stats.CacheMisses = column(func(one *sample) float32 { return one.misses })
		}
	})
	return stats
}

// each reads all series of a collector.
func each(c prometheus.Collector, read func(*dto.Metric)) {
	series := make(chan prometheus.Metric, 64)
	go func() {
		c.Collect(series)
		close(series)
	}()
	for one := range series {
		var d dto.Metric
		if one.Write(&d) == nil {
			read(&d)
		}
	}
}

func label(d *dto.Metric, name string) string {
	for _, l := range d.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
