package telemetry

import "github.com/prometheus/client_golang/prometheus"

// RouteUpstreams are the figures of the upstreams of one route.
type RouteUpstreams struct {
	Route     string
	Retries   uint64 // requests that were sent to another upstream; it only grows
	Busy      uint64 // requests for which every upstream was full; it only grows
	Upstreams []Upstream
}

// Upstream are the figures of one upstream of a route.
type Upstream struct {
	URL       string // as it is configured
	Healthy   bool   // it passes its checks and is not ejected
	InFlight  int64
	Ejections uint64 // it only grows
}

// Upstreams reads how upstreams are when metrics are scraped.
func (m *Metrics) Upstreams(read func() []RouteUpstreams) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	m.registry.MustRegister(&upstreamCollector{
		read:      read,
		healthy:   describe("upstream_healthy", "Whether an upstream passes its health checks and is not ejected.", "route", "upstream"),
		inFlight:  describe("upstream_requests_in_flight", "Requests whose answer is not over, by upstream.", "route", "upstream"),
		ejections: describe("upstream_ejections_total", "Times that an upstream was taken out of the rotation because requests failed.", "route", "upstream"),
		retries:   describe("upstream_retries_total", "Requests that were sent to another upstream because the first could not be connected to.", "route"),
		busy:      describe("upstream_busy_total", "Requests that were refused because every upstream had as many as it may have.", "route"),
	})
}

type upstreamCollector struct {
	read                                        func() []RouteUpstreams
	healthy, inFlight, ejections, retries, busy *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *upstreamCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.healthy, c.inFlight, c.ejections, c.retries, c.busy} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *upstreamCollector) Collect(to chan<- prometheus.Metric) {
	for _, r := range c.read() {
		to <- prometheus.MustNewConstMetric(c.retries, prometheus.CounterValue, float64(r.Retries), r.Route)
		to <- prometheus.MustNewConstMetric(c.busy, prometheus.CounterValue, float64(r.Busy), r.Route)
		for _, u := range r.Upstreams {
			healthy := 0.0
			if u.Healthy {
				healthy = 1
			}
			to <- prometheus.MustNewConstMetric(c.healthy, prometheus.GaugeValue, healthy, r.Route, u.URL)
			to <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(u.InFlight), r.Route, u.URL)
			to <- prometheus.MustNewConstMetric(c.ejections, prometheus.CounterValue, float64(u.Ejections), r.Route, u.URL)
		}
	}
}
