// Package chart draws bar charts as pictures for documents: SVG that needs
// nothing else, no script, no font, no other file, and that follows the reader's
// choice of light or dark. What the bars mean is the caller's.
package chart

import (
	"fmt"
	"io"
	"strings"
)

// Picture is one or several bar charts below one another.
type Picture struct {
	Title  string
	Spoken string // the picture in words, for those who can't see it
	Note   string // below the charts
	Charts []Chart
}

// Chart is a heading, and bars on a scale of their own.
type Chart struct {
	Heading, Note string
	Bars          []Bar
}

// Bar is one value. Light is drawn behind Full, as far as it is longer.
type Bar struct {
	Label, Figure string
	Full, Light   float64
	Marked        bool // drawn in the colour of what the picture is about
}

// The measures of the picture, in pixels.
const (
	width  = 860
	figure = 150 // room for the figures behind the bars
	row    = 22
	thick  = 14
)

const style = `
    text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328; }
    .page { fill: #ffffff; }
    .heading { font-size: 15px; font-weight: 600; }
    .note { font-size: 12px; fill: #59636e; }
    .marked { fill: #1a7f37; }
    .other { fill: #0969da; }
    .light { opacity: 0.35; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .page { fill: #0d1117; }
      .note { fill: #9198a1; }
      .marked { fill: #3fb950; }
      .other { fill: #4493f8; }
    }
`

// WriteSVG writes the picture.
func (p *Picture) WriteSVG(w io.Writer) error {
	d := drawing{y: 34, labels: p.labels()}
	for i := range p.Charts {
		if i > 0 {
			d.y += 28
		}
		d.chart(&p.Charts[i])
	}
	d.y += 14
	fmt.Fprintf(&d.body, "  <text class=\"note\" x=\"16\" y=\"%d\">%s</text>\n", d.y+4, escape(p.Note))
	height := d.y + 20

	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">
  <title id="title">%s</title>
  <desc id="desc">%s</desc>
  <style>%s  </style>
  <rect class="page" width="%d" height="%d"/>
%s</svg>
`, width, height, width, height, escape(p.Title), escape(p.Spoken), style, width, height, d.body.String())
	return err
}

// labels is the room that the longest label takes, in pixels.
func (p *Picture) labels() int {
	longest := 0
	for i := range p.Charts {
		for j := range p.Charts[i].Bars {
			longest = max(longest, len([]rune(p.Charts[i].Bars[j].Label)))
		}
	}
	return max(170, 20+longest*7)
}

// drawing is a picture that is being drawn, down to y.
type drawing struct {
	body   strings.Builder
	y      int
	labels int
}

func (d *drawing) chart(c *Chart) {
	fmt.Fprintf(&d.body, "  <text class=\"heading\" x=\"16\" y=\"%d\">%s</text>\n  <text class=\"note\" x=\"16\" y=\"%d\">%s</text>\n",
		d.y, escape(c.Heading), d.y+19, escape(c.Note))
	d.y += 34
	most := 0.0
	for i := range c.Bars {
		most = max(most, c.Bars[i].Full, c.Bars[i].Light)
	}
	for i := range c.Bars {
		d.bar(&c.Bars[i], most)
	}
}

func (d *drawing) bar(b *Bar, most float64) {
	room := float64(width - d.labels - figure - 32)
	scale := func(value float64) float64 {
		if most <= 0 {
			return 1
		}
		return max(1, value/most*room)
	}
	full, light := scale(b.Full), scale(b.Light)
	class := "other"
	if b.Marked {
		class = "marked"
	}
	fmt.Fprintf(&d.body, "  <text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", d.labels+6, d.y+thick-2, escape(b.Label))
	fmt.Fprintf(&d.body, "  <rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", class, d.labels+16, d.y, full, thick)
	if light > full {
		fmt.Fprintf(&d.body, "  <rect class=\"%s light\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n",
			class, float64(d.labels+16)+full, d.y, light-full, thick)
	}
	fmt.Fprintf(&d.body, "  <text x=\"%.1f\" y=\"%d\">%s</text>\n", float64(d.labels+24)+max(full, light), d.y+thick-2, escape(b.Figure))
	d.y += row
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
