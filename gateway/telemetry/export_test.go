package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Descriptions are of all metrics that there can be.
func (m *Metrics) Descriptions() []*prometheus.Desc { return m.registry.descriptions }
