package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// registry is a registry that remembers what metrics there can be, also those that
// have nothing to show yet.
type registry struct {
	*prometheus.Registry
	descriptions []*prometheus.Desc
}

func newRegistry() *registry { return &registry{Registry: prometheus.NewRegistry()} }

// MustRegister implements prometheus.Registerer.
func (r *registry) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		found := make(chan *prometheus.Desc)
		go func() { c.Describe(found); close(found) }()
		for d := range found {
			r.descriptions = append(r.descriptions, d)
		}
	}
	r.Registry.MustRegister(all...)
}

const (
	// nativeFactor is how far the buckets of native histograms are apart at most:
	// quantiles are exact to a tenth.
	nativeFactor = 1.1
	// maxNative bounds the buckets of one native histogram; beyond it their
	// resolution is halved.
	maxNative = 100
)

// histogramOpts are classic buckets for scrapers of the text formats, and native ones
// for those that ask for protobuf.
func histogramOpts(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: maxNative, NativeHistogramMinResetDuration: time.Hour,
	}
}

// traceLabel is what an exemplar calls the trace.
const traceLabel = "trace_id"

// observe records a duration, with the trace of its request where there is one.
func observe(o prometheus.Observer, took time.Duration, trace string) {
	if trace == "" {
		o.Observe(took.Seconds())
		return
	}
	o.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), prometheus.Labels{traceLabel: trace})
}

// count is the same for a counter.
func count(c prometheus.Counter, n float64, trace string) {
	if trace == "" {
		c.Add(n)
		return
	}
	c.(prometheus.ExemplarAdder).AddWithExemplar(n, prometheus.Labels{traceLabel: trace})
}
