package admin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	plotPoints = 120 // of the ten minutes that are kept: one is five seconds
	plotHeight = 40
)

// plot is a chart of lines, drawn on the server.
type plot struct {
	Title, Now, Spoken string
	From, Top          string // the ends of the axes
	Grid               string
	Series             []series
}

// Width is that of the drawing, in units of its own.
func (p *plot) Width() int { return plotPoints - 1 }

// Height is likewise.
func (p *plot) Height() int { return plotHeight }

// series is one line. Its class is its colour and the way that it is broken: good,
// bad, warn or other.
type series struct {
	Name, Class, Now string
	Path             string
	values           []float64
	last             float64
}

// fold makes plotPoints of the samples, the newest last; what is missing is 0. Of
// each group the mean is taken, or the greatest.
func fold(samples []float32, greatest bool) []float64 {
	const group = 600 / plotPoints
	out := make([]float64, plotPoints)
	for i := range out {
		end := len(samples) - (plotPoints-1-i)*group
		if end <= 0 {
			continue
		}
		part := samples[max(0, end-group):end]
		for _, v := range part {
			if greatest {
				out[i] = max(out[i], float64(v))
			} else {
				out[i] += float64(v) / float64(len(part))
			}
		}
	}
	return out
}

// sum adds samples of one length.
func sum(lists ...[]float32) []float32 {
	var out []float32
	for _, list := range lists {
		if out == nil {
			out = make([]float32, len(list))
		}
		for i := range min(len(list), len(out)) {
			out[i] += list[i]
		}
	}
	return out
}

func line(name, class string, samples []float32, greatest bool) series {
	values := fold(samples, greatest)
	return series{Name: name, Class: class, values: values, last: values[plotPoints-1]}
}

// draw puts the lines on one scale. show is how a value is written.
func draw(title, since string, show func(float64) string, lines ...series) *plot {
	p := &plot{Title: title, From: since, Series: lines}
	most := 0.0
	for i := range lines {
		for _, v := range lines[i].values {
			most = max(most, v)
		}
	}
	top := most
	if top <= 0 {
		top = 1
	}
	p.Top = show(most)
	spoken := []string{title + " in the last ten minutes, at most " + p.Top}
	for i := range p.Series {
		s := &p.Series[i]
		var path strings.Builder
		for x, v := range s.values {
			command := byte('L')
			if x == 0 {
				command = 'M'
			}
			path.WriteByte(command)
			path.WriteString(strconv.Itoa(x))
			path.WriteByte(' ')
			path.WriteString(strconv.FormatFloat(math.Round((plotHeight-1-v/top*(plotHeight-2))*10)/10, 'f', -1, 64))
		}
		s.Path, s.Now = path.String(), show(s.last)
		spoken = append(spoken, s.Name+" now "+s.Now)
	}
	p.Spoken = strings.Join(spoken, "; ")
	p.Grid = fmt.Sprintf("M0 %d H%d M0 1 H%d", plotHeight-1, p.Width(), p.Width())
	return p
}

// The ways to write values.

func perSecond(v float64) string { return number(v) + "/s" }

func seconds(v float64) string {
	switch {
	case v <= 0:
		return "–"
	case v < 1e-3:
		return number(v*1e6) + " µs"
	case v < 1:
		return number(v*1e3) + " ms"
	}
	return number(v) + " s"
}

func bytesPerSecond(v float64) string {
	switch {
	case v < 1<<10:
		return number(v) + " B/s"
	case v < 1<<20:
		return number(v/(1<<10)) + " KiB/s"
	}
	return number(v/(1<<20)) + " MiB/s"
}

func number(v float64) string {
	switch {
	case v >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
