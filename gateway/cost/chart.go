package cost

import (
	"fmt"
	"io"
	"strings"
)

// MinChartWidth is the narrowest chart that can be read.
const MinChartWidth = 60

// WriteChart writes two bar charts for a terminal of so many columns: bytes and
// CPU. The full part of a CPU bar is what a validation costs in production, the
// light part what is added where nothing is remembered.
func (r *Report) WriteChart(w io.Writer, columns int) error {
	columns = max(columns, MinChartWidth)
	labels, most := 0, Row{}
	for i := range r.Rows {
		row := &r.Rows[i]
		labels = max(labels, width(row.label()))
		most.Bytes.HTTP1 = max(most.Bytes.HTTP1, row.Bytes.HTTP1)
		most.CPU.Cold = max(most.CPU.Cold, row.CPU.Cold, row.CPU.Cached)
	}
	const figures = 24 // room behind the bars
	room := max(10, columns-labels-2-figures)

	var b strings.Builder
	b.WriteString("Bytes in every request, HTTP/1.1\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		n := bar(float64(row.Bytes.HTTP1), float64(most.Bytes.HTTP1), room)
		fmt.Fprintf(&b, "%-*s  %s %s\n", labels, row.label(), strings.Repeat("█", n), grouped(int64(row.Bytes.HTTP1)))
	}
	b.WriteString("\nCPU for each validation, us: █ cached  ░ cold\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		full := bar(row.CPU.Cached, most.CPU.Cold, room)
		light := max(0, bar(row.CPU.Cold, most.CPU.Cold, room)-full)
		fmt.Fprintf(&b, "%-*s  %s%s %s cached, %s cold\n", labels, row.label(),
			strings.Repeat("█", full), strings.Repeat("░", light), micros(row.CPU.Cached), micros(row.CPU.Cold))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// bar is the length of a bar: at least 1, so that everything is seen.
func bar(value, most float64, room int) int {
	if most <= 0 {
		return 1
	}
	return max(1, int(value/most*float64(room)+0.5))
}
