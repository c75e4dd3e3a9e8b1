package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// listeners are the metrics of connections and certificates.
type listeners struct {
	refused   *prometheus.CounterVec
	saturated prometheus.Counter
	reloads   *prometheus.CounterVec
}

func newListeners(r prometheus.Registerer) listeners {
	l := listeners{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "connections_refused_total", Help: "Connections that were refused before anything of HTTP was read, by reason.",
		}, []string{"reason"}),
		saturated: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "connections_saturated_total", Help: "Times that a listener stopped to accept because as many connections as may be were open.",
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "tls_reloads_total", Help: "Changes of certificate files, by whether they were taken.",
		}, []string{"result"}),
	}
	r.MustRegister(l.refused, l.saturated, l.reloads)
	return l
}

// ConnectionRefused counts a connection that was refused; reason is one word of a
// closed set.
func (m *Metrics) ConnectionRefused(reason string) {
	m.listeners.refused.WithLabelValues(reason).Inc()
}

// ConnectionsSaturated counts that a listener had to wait for a connection to end.
func (m *Metrics) ConnectionsSaturated() { m.listeners.saturated.Inc() }

// Connections reads how many connections are open, when metrics are scraped.
func (m *Metrics) Connections(open func() int64) {
	m.live.keep(func(l *live) { l.connections = open })
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "open_connections", Help: "Client connections that are open now, over all public listeners.",
	}, func() float64 { return float64(open()) }))
}

// CertificateReload counts a change of certificate files.
func (m *Metrics) CertificateReload(taken bool) {
	result := "refused"
	if taken {
		result = "taken"
	}
	m.listeners.reloads.WithLabelValues(result).Inc()
}

// Certificates reads when certificates run out, when metrics are scraped. What they
// are called is the configuration's word.
func (m *Metrics) Certificates(ends func() map[string]time.Time) {
	m.registry.MustRegister(&certificates{
		ends: ends,
		desc: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "tls_certificate_expiry_seconds"),
			"When a certificate of the listeners runs out, in seconds since 1970.", []string{"certificate"}, nil),
	})
}

type certificates struct {
	ends func() map[string]time.Time
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *certificates) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements prometheus.Collector.
func (c *certificates) Collect(to chan<- prometheus.Metric) {
	for name, end := range c.ends() {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(end.Unix()), name)
	}
}
