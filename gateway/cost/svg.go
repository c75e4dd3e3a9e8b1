package cost

import (
	"fmt"
	"io"
	"strings"
)

// The measures of the picture, in pixels.
const (
	svgWidth  = 860
	svgLabels = 170 // room for the names
	svgFigure = 150 // room for the figures behind the bars
	svgRow    = 22
	svgBar    = 14
)

// svgStyle follows the reader's choice of light or dark.
const svgStyle = `
    text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328; }
    .page { fill: #ffffff; }
    .heading { font-size: 15px; font-weight: 600; }
    .note { font-size: 12px; fill: #59636e; }
    .session { fill: #1a7f37; }
    .token { fill: #0969da; }
    .light { opacity: 0.35; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .page { fill: #0d1117; }
      .note { fill: #9198a1; }
      .session { fill: #3fb950; }
      .token { fill: #4493f8; }
    }
`

// WriteSVG writes the charts as one picture that needs nothing else: no script,
// no font, no other file.
func (r *Report) WriteSVG(w io.Writer) error {
	var most Row
	for i := range r.Rows {
		most.Bytes.HTTP1 = max(most.Bytes.HTTP1, r.Rows[i].Bytes.HTTP1)
		most.CPU.Cold = max(most.CPU.Cold, r.Rows[i].CPU.Cold, r.Rows[i].CPU.Cached)
	}
	const room = svgWidth - svgLabels - svgFigure - 32
	scale := func(value, most float64) float64 {
		if most <= 0 {
			return 1
		}
		return max(1, value/most*room)
	}
	var body strings.Builder
	y := 34
	heading := func(text, note string) {
		fmt.Fprintf(&body, "  <text class=\"heading\" x=\"16\" y=\"%d\">%s</text>\n  <text class=\"note\" x=\"16\" y=\"%d\">%s</text>\n",
			y, escape(text), y+19, escape(note))
		y += 34
	}
	line := func(row *Row, full, light float64, figure string) {
		class := "token"
		if row.Credential == "session" {
			class = "session"
		}
		fmt.Fprintf(&body, "  <text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", svgLabels+6, y+svgBar-2, escape(row.label()))
		fmt.Fprintf(&body, "  <rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", class, svgLabels+16, y, full, svgBar)
		if light > full {
			fmt.Fprintf(&body, "  <rect class=\"%s light\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n",
				class, svgLabels+16+full, y, light-full, svgBar)
		}
		fmt.Fprintf(&body, "  <text x=\"%.1f\" y=\"%d\">%s</text>\n", svgLabels+24+max(full, light), y+svgBar-2, escape(figure))
		y += svgRow
	}

	heading("Bytes in every request", "the header line that carries the credential, HTTP/1.1")
	for i := range r.Rows {
		row := &r.Rows[i]
		full := scale(float64(row.Bytes.HTTP1), float64(most.Bytes.HTTP1))
		line(row, full, 0, grouped(int64(row.Bytes.HTTP1)))
	}
	y += 28
	heading("CPU for each validation, in microseconds", "full: as in production; light: where nothing is remembered")
	for i := range r.Rows {
		row := &r.Rows[i]
		line(row, scale(row.CPU.Cached, most.CPU.Cold), scale(row.CPU.Cold, most.CPU.Cold),
			micros(row.CPU.Cached)+", cold "+micros(row.CPU.Cold))
	}
	y += 14
	fmt.Fprintf(&body, "  <text class=\"note\" x=\"16\" y=\"%d\">%s</text>\n", y+4,
		escape(fmt.Sprintf("sallyport cost, measured with %s on %s/%s, %d CPUs", r.Machine.Go, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs)))
	height := y + 20

	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">
  <title id="title">What a session cookie and JWTs cost</title>
  <desc id="desc">%s</desc>
  <style>%s  </style>
  <rect class="page" width="%d" height="%d"/>
%s</svg>
`, svgWidth, height, svgWidth, height, escape(r.spoken()), svgStyle, svgWidth, height, body.String())
	return err
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

// escape makes text of XML, also of a file's name with odd characters.
func escape(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == '\ufffe' || c == '\uffff' {
			return '?' // not allowed in XML 1.0, whatever way it is written
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
