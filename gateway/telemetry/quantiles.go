package telemetry

import dto "github.com/prometheus/client_model/go"

// histogram is the sum of histograms with the same buckets.
type histogram struct {
	bounds []float64
	counts []uint64 // cumulative, as Prometheus has them
	all    uint64
}

func (h *histogram) add(d *dto.Histogram) {
	if h.counts == nil {
		for _, b := range d.GetBucket() {
			h.bounds = append(h.bounds, b.GetUpperBound())
		}
		h.counts = make([]uint64, len(h.bounds))
	}
	for i, b := range d.GetBucket() {
		if i < len(h.counts) {
			h.counts[i] += b.GetCumulativeCount()
		}
	}
	h.all += d.GetSampleCount()
}

// since returns the quantiles 0.5, 0.9 and 0.99 of what was observed since h was as
// was, and how much that is. Within a bucket, what was observed is taken to be
// spread evenly; beyond the last one its bound is all that is known.
func (h *histogram) since(was *histogram) (q [3]float32, n float64) {
	all := float64(h.all) - float64(was.all)
	if all <= 0 {
		return q, 0
	}
	for i, want := range []float64{0.5, 0.9, 0.99} {
		q[i] = float32(h.quantile(was, want*all))
	}
	return q, all
}

func (h *histogram) quantile(was *histogram, rank float64) float64 {
	var below, bound float64
	for i, upper := range h.bounds {
		count := float64(h.counts[i])
		if i < len(was.counts) {
			count -= float64(was.counts[i])
		}
		if count >= rank {
			if count == below {
				return upper
			}
			return bound + (upper-bound)*(rank-below)/(count-below)
		}
		below, bound = count, upper
	}
	return bound
}
