package cost

import (
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/gateway/chart"
)

// WriteSVG writes the charts as one picture that needs nothing else.
func (r *Report) WriteSVG(w io.Writer) error {
	wire := chart.Chart{Heading: "Bytes in every request", Note: "the header line that carries the credential, HTTP/1.1"}
	cpu := chart.Chart{Heading: "CPU for each validation, in microseconds", Note: "full: as in production; light: where nothing is remembered"}
	for i := range r.Rows {
		row := &r.Rows[i]
		session := row.Credential == "session"
		wire.Bars = append(wire.Bars, chart.Bar{
			Label: row.label(), Figure: grouped(int64(row.Bytes.HTTP1)), Full: float64(row.Bytes.HTTP1), Marked: session,
		})
		cpu.Bars = append(cpu.Bars, chart.Bar{
			Label: row.label(), Figure: micros(row.CPU.Cached) + ", cold " + micros(row.CPU.Cold),
			Full: row.CPU.Cached, Light: row.CPU.Cold, Marked: session,
		})
	}
	p := chart.Picture{
		Title: "What a session cookie and JWTs cost", Spoken: r.spoken(), Charts: []chart.Chart{wire, cpu},
		Note: fmt.Sprintf("sallyport cost, measured with %s on %s/%s, %d CPUs", r.Machine.Go, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs),
	}
	return p.WriteSVG(w)
}

// spoken is the picture in words, for those who can't see it.
func (r *Report) spoken() string {
	parts := make([]string, len(r.Rows))
	for i := range r.Rows {
		row := &r.Rows[i]
		parts[i] = fmt.Sprintf("%s: %s bytes, %s microseconds cached and %s cold",
			row.label(), grouped(int64(row.Bytes.HTTP1)), micros(row.CPU.Cached), micros(row.CPU.Cold))
	}
	return "Two bar charts, of the bytes in every request and of the CPU for each validation. " + strings.Join(parts, "; ") + "."
}
