package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// reloads are the metrics of the configuration being exchanged.
type reloads struct {
	total      *prometheus.CounterVec
	successful prometheus.Gauge
	at         prometheus.Gauge
}

func newReloads(r prometheus.Registerer) reloads {
	l := reloads{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "config_reloads_total", Help: "Reloads of the configuration, by whether it was taken.",
		}, []string{"result"}),
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_successful", Help: "Whether the configuration that was read last is the one in use.",
		}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_success_timestamp_seconds", Help: "When the configuration in use was taken, in seconds since 1970.",
		}),
	}
	r.MustRegister(l.total, l.successful, l.at)
	return l
}

// ConfigurationLoaded says that the gateway has begun with a configuration.
func (m *Metrics) ConfigurationLoaded(at time.Time) {
	m.reloads.successful.Set(1)
	m.reloads.at.Set(float64(at.UnixNano()) / 1e9)
}

// Reload counts a reload of the configuration.
func (m *Metrics) Reload(taken bool, at time.Time) {
	if !taken {
		m.reloads.total.WithLabelValues("refused").Inc()
		m.reloads.successful.Set(0)
		return
	}
	m.reloads.total.WithLabelValues("taken").Inc()
	m.ConfigurationLoaded(at)
}
