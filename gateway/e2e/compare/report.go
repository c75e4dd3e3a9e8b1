//go:build e2e && linux

package compare

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/chart"
)

// Report is a comparison. Its figures are medians over the rounds.
type Report struct {
	Settings Settings
	Machine  string
	Rows     []Row
}

// Row is one contender.
type Row struct {
	Name            string
	CPU             float64 // microseconds of CPU time a request
	Ratio           float64 // of CPU, against that of the bare proxy in the same round
	Budget, Stretch float64 // of Ratio; 0 where none is set
	Rate            float64 // requests a second on one core
	P50, P99        float64 // microseconds, at the fixed rate
	Mallocs         float64 // allocations a request; 0 where they can't be told
}

func newReport(s Settings, contenders []*contender, results []result) *Report {
	r := &Report{Settings: s, Machine: machine()}
	for i, c := range contenders {
		one := &results[i]
		ratios := make([]float64, len(one.cpu))
		for round := range one.cpu {
			ratios[round] = one.cpu[round] / results[0].cpu[round]
		}
		r.Rows = append(r.Rows, Row{
			Name: c.name, CPU: median(one.cpu), Ratio: median(ratios), Budget: c.budget, Stretch: c.stretch,
			Rate: median(one.rate), P50: median(one.p50), P99: median(one.p99), Mallocs: median(one.mallocs),
		})
	}
	return r
}

// WriteTable writes the table in Markdown, which is also readable as it is.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "| %-42s | CPU us/request | / bare | budget | requests/s | p50 us | p99 us | allocations |\n", "proxy")
	fmt.Fprintf(&b, "|%s|---:|---:|---:|---:|---:|---:|---:|\n", strings.Repeat("-", 44))
	for i := range r.Rows {
		row := &r.Rows[i]
		fmt.Fprintf(&b, "| %-42s | %14.1f | %6.2f | %6s | %10.0f | %6.0f | %6.0f | %11s |\n",
			row.Name, row.CPU, row.Ratio, known(row.Budget, 2), row.Rate, row.P50, row.P99, known(row.Mallocs, 0))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func known(value float64, digits int) string {
	if value == 0 {
		return ""
	}
	return strconv.FormatFloat(value, 'f', digits, 64)
}

// Notes say how it was measured.
func (r *Report) Notes() []string {
	s := &r.Settings
	return []string{
		fmt.Sprintf("%s; %d rounds in turns, medians; %d connections that are kept, answers of 1 KiB.", r.Machine, s.Rounds, s.Connections),
		fmt.Sprintf("CPU is user and system time of all processes of a proxy, by the operating system, on a core of their own, in %v of as many requests as it takes, in %d turns. "+
			"Load and application are on the other core.", s.Saturated, s.Turns),
		fmt.Sprintf("p50 and p99 are at %d requests a second, from the moment at which a request was due.", s.Rate),
		"Sallyport runs as it comes: log line to a file, metrics, a policy of five rules, identity headers. Neither nginx nor the bare proxy logs.",
	}
}

// Chart draws CPU time and ratio.
func (r *Report) Chart() *chart.Picture {
	cpu := chart.Chart{
		Heading: "CPU for a request, in microseconds",
		Note:    fmt.Sprintf("whole processes on one core, answers of 1 KiB, %d connections", r.Settings.Connections),
	}
	var spoken []string
	for i := range r.Rows {
		row := &r.Rows[i]
		cpu.Bars = append(cpu.Bars, chart.Bar{
			Label: row.Name, Figure: fmt.Sprintf("%.1f, %.2f x", row.CPU, row.Ratio), Full: row.CPU, Marked: strings.Contains(row.Name, "Sallyport"),
		})
		spoken = append(spoken, fmt.Sprintf("%s: %.1f microseconds, %.2f times the bare proxy", row.Name, row.CPU, row.Ratio))
	}
	return &chart.Picture{
		Title: "What a request through a proxy costs", Spoken: "A bar chart of the CPU time for a request. " + strings.Join(spoken, "; ") + ".",
		Note: "make bench-compare, " + r.Machine, Charts: []chart.Chart{cpu},
	}
}
