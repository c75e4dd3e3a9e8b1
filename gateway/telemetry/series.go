package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// seriesKey is what tells requests apart in metrics. All of it is of closed sets.
type seriesKey struct{ route, outcome, reason, credential, dialect string }

// requestSeries are the series that requests with the same key count in; nil are
// those that none had anything for so far. It is immutable.
type requestSeries struct {
	requests        prometheus.Counter
	checks          prometheus.Counter
	took            prometheus.Observer
	decision        prometheus.Observer
	credentialBytes prometheus.Counter
	credentialSize  prometheus.Observer
	upstream        prometheus.Observer
}

// seriesTable remembers the series of requests: to find one by its labels costs more
// than to count in it. The zero value is ready.
type seriesTable struct {
	all atomic.Pointer[map[seriesKey]*requestSeries] // never changed, only replaced
	mu  sync.Mutex                                   // of who replaces it
}

// of returns the series for a request, with everything that the request has.
func (t *seriesTable) of(m *Metrics, e *Event) *requestSeries {
	key := seriesKey{e.Route, e.Outcome, e.Reason, e.Credential, e.Dialect}
	if all := t.all.Load(); all != nil {
		if s := (*all)[key]; s != nil && s.covers(e) {
			return s
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[seriesKey]*requestSeries{}
	if old := t.all.Load(); old != nil {
		all = maps.Clone(*old)
	}
	s := &requestSeries{}
	if known := all[key]; known != nil {
		*s = *known
	}
	s.fill(m, e)
	all[key] = s
	t.all.Store(&all)
	return s
}

// covers reports whether there is a series for everything that a request has.
func (s *requestSeries) covers(e *Event) bool {
	return (s.took != nil || !e.timed()) && (s.decision != nil || e.DecideTime <= 0) && (s.credentialBytes != nil || e.Bytes <= 0) && (s.upstream != nil || e.UpstreamTime <= 0)
}

// fill makes what is missing, and no series that is not counted in: an empty one
// would be shown.
func (s *requestSeries) fill(m *Metrics, e *Event) {
	s.requests = m.requests.WithLabelValues(e.Route, e.Outcome, e.Reason)
	if e.Dialect != "" {
		s.checks = m.checks.WithLabelValues(e.Dialect, e.Outcome)
	}
	if e.timed() {
		s.took = m.requestSeconds.WithLabelValues(e.Route)
	}
	if e.DecideTime > 0 {
		s.decision = m.decision.WithLabelValues(e.Credential)
	}
	if e.Bytes > 0 {
		s.credentialBytes, s.credentialSize = m.credentialBytes.WithLabelValues(e.Credential), m.credentialSize.WithLabelValues(e.Credential)
	}
	if e.UpstreamTime > 0 {
		s.upstream = m.upstream.WithLabelValues(e.Route)
	}
}
