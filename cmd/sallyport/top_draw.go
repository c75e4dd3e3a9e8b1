package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/width"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

// drawing gathers lines that are no wider than they may be.
type drawing struct {
	width int
	lines []string
}

func (d *drawing) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	taken, cut := 0, 0 // cut is where there is still room for the mark
	for i, r := range text {
		if taken < d.width {
			cut = i
		}
		if taken += columns(r); taken > d.width {
			text = text[:cut] + "…"
			break
		}
	}
	d.lines = append(d.lines, text)
}

// columns is how many a terminal gives to a character.
func columns(r rune) int {
	if kind := width.LookupRune(r).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// maxOutcomes is how many outcomes are shown, the most frequent ones.
const maxOutcomes = 5

func (d *drawing) requests(s *telemetry.Stats) {
	sum := make([]float32, len(s.Times))
	for _, series := range s.Requests {
		for i := range min(len(series), len(sum)) {
			sum[i] += series[i]
		}
	}
	d.series("requests", rateText(last(sum))+"/s", sum)
	names := slices.SortedFunc(maps.Keys(s.Requests), func(a, b string) int {
		return cmp.Or(cmp.Compare(recent(s.Requests[b]), recent(s.Requests[a])), cmp.Compare(a, b))
	})
	for _, name := range names[:min(len(names), maxOutcomes)] {
		d.series("  "+printable(name), rateText(last(s.Requests[name]))+"/s", s.Requests[name])
	}
}

func (d *drawing) credentials(s *telemetry.Stats) {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(s.CredentialBytes)) {
		if now := last(s.CredentialBytes[kind]); now > 0 {
			parts = append(parts, fmt.Sprintf("%s %s/s", printable(kind), bytesText(now)))
		}
	}
	d.line("%-12s %s", "credentials", cmp.Or(strings.Join(parts, ", "), "       -"))
}

// cache draws the look-ups of one, where there is one.
func (d *drawing) cache(name string, hitRates, missRates []float32) {
	if len(hitRates) == 0 {
		return
	}
	hits, misses, share := last(hitRates), last(missRates), "-"
	if hits+misses > 0 {
		share = fmt.Sprintf("%.1f%%", 100*hits/(hits+misses))
	}
	d.line("%-12s %8s hits   %s/s hit, %s/s missed", name, share, rateText(hits), rateText(misses))
}

func (d *drawing) latency(name string, q *telemetry.Quantiles) {
	d.line("%-12s p50 %-8s p90 %-8s p99 %-8s %s", name, spanText(last(q.P50)), spanText(last(q.P90)), spanText(last(q.P99)), spark(q.P99, d.width-54))
}

// series is a name, what is now, and a line of what was.
func (d *drawing) series(name, now string, values []float32) {
	d.line("%-12s %10s  %s", name, now, spark(values, d.width-26))
}

// minute is how many samples the lines show.
const minute = 60

// spark draws the last samples as a line of bars, the highest of which is their
// greatest value.
func spark(values []float32, width int) string {
	values = values[max(0, len(values)-max(0, min(width, minute))):]
	if len(values) == 0 {
		return ""
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	top := slices.Max(values)
	var b strings.Builder
	for _, v := range values {
		i := 0
		if top > 0 && v > 0 {
			i = min(len(bars)-1, int(v/top*float32(len(bars))))
		}
		b.WriteRune(bars[i])
	}
	return b.String()
}

func last(values []float32) float32 {
	if len(values) == 0 {
		return 0
	}
	return values[len(values)-1]
}

// recent is the sum of the last minute.
func recent(values []float32) (sum float32) {
	for _, v := range values[max(0, len(values)-minute):] {
		sum += v
	}
	return sum
}

func rateText(v float32) string {
	if v > 0 && v < 10 {
		return strconv.FormatFloat(float64(v), 'f', 1, 32)
	}
	return strconv.FormatFloat(float64(v), 'f', 0, 32)
}

// spanText is a time in a unit that fits.
func spanText(seconds float32) string {
	switch {
	case seconds <= 0:
		return "-"
	case seconds < 1e-3:
		return fmt.Sprintf("%.1fµs", seconds*1e6)
	case seconds < 1:
		return fmt.Sprintf("%.1fms", seconds*1e3)
	}
	return fmt.Sprintf("%.1fs", seconds)
}

func bytesText(v float32) string {
	switch {
	case v < 1e3:
		return fmt.Sprintf("%.0f B", v)
	case v < 1e6:
		return fmt.Sprintf("%.1f kB", v/1e3)
	}
	return fmt.Sprintf("%.1f MB", v/1e6)
}
