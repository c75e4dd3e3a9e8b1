package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// KeyAge is how old a key is, or the oldest of those that one ring has in one state.
type KeyAge struct {
	Ring    string // signing, sealing
	State   string // current, next, old; retired and published of those that sign
	Age     time.Duration
	Overdue bool // the current key is older than session.keys_warn_age
}

// Keys reads how old the keys are, when metrics are scraped.
func (m *Metrics) Keys(ages func() []KeyAge) {
	m.registry.MustRegister(&keyAges{
		ages: ages,
		age: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "key_age_seconds"),
			"Age of the oldest key that a ring has in a state.", []string{"ring", "state"}, nil),
		overdue: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "key_rotation_overdue"),
			"1 while the current key of a ring is older than session.keys_warn_age.", []string{"ring"}, nil),
	})
}

type keyAges struct {
	ages         func() []KeyAge
	age, overdue *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *keyAges) Describe(to chan<- *prometheus.Desc) {
	to <- c.age
	to <- c.overdue
}

// Collect implements prometheus.Collector.
func (c *keyAges) Collect(to chan<- prometheus.Metric) {
	for _, k := range c.ages() {
		to <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, k.Age.Seconds(), k.Ring, k.State)
		if k.State != "current" {
			continue
		}
		overdue := 0.0
		if k.Overdue {
			overdue = 1
		}
		to <- prometheus.MustNewConstMetric(c.overdue, prometheus.GaugeValue, overdue, k.Ring)
	}
}
