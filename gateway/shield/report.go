package shield

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// WatchOptions are what a Watch needs.
type WatchOptions struct {
	// Count makes the metric of a finding. It is called once for each that a shield has.
	Count func(route, mode string, f Finding) (increment func())
	// Tally returns what is kept of a route: what an earlier Watch had of it, or an
	// empty one. Nil = an empty one.
	Tally func(route string) *Tally
	Since time.Time // the Tallies begin; zero = now
}

// Watch makes the shields of a gateway and keeps what they find, in memory. The shields
// are made first; from then on it is safe for concurrent use.
type Watch struct {
	WatchOptions
	routes []watched
}

type watched struct {
	name, mode string
	found      *Tally // nil where the mode is off
}

// NewWatch begins to watch.
func NewWatch(o WatchOptions) *Watch {
	if o.Since.IsZero() {
		o.Since = time.Now()
	}
	if o.Tally == nil {
		o.Tally = func(string) *Tally { return &Tally{} }
	}
	return &Watch{WatchOptions: o}
}

// Shield makes the shield of a route; nil where its mode is off.
func (w *Watch) Shield(route string, c *config.Shield, server *config.Server) *Shield {
	if c.Mode != config.ModeReport && c.Mode != config.ModeEnforce {
		w.routes = append(w.routes, watched{name: route, mode: config.ModeOff})
		return nil
	}
	found := w.Tally(route)
	w.routes = append(w.routes, watched{name: route, mode: c.Mode, found: found})
	return newShield(c, server, newCounter(found, func(f Finding) func() { return w.Count(route, c.Mode, f) }))
}

// Report is what the shields of a gateway have found since it was started.
type Report struct {
	Since  time.Time     `json:"since"`
	Routes []RouteReport `json:"routes"` // by name
}

// RouteReport is what the shield of one route has found. It holds names of
// cookies and header fields, never values.
type RouteReport struct {
	Route    string          `json:"route"`
	Mode     string          `json:"mode"` // off, report, enforce
	Findings []FindingReport `json:"findings"`
}

// FindingReport is one finding. Cookie and Header are empty where it is about
// the answer as a whole, and where Others is set: then it is about those whose
// names were too many to be kept.
type FindingReport struct {
	Finding string    `json:"finding"`
	Cookie  string    `json:"cookie,omitempty"`
	Header  string    `json:"header,omitempty"`
	Others  bool      `json:"others,omitempty"`
	Count   uint64    `json:"count"`
	First   time.Time `json:"first_seen"`
	Last    time.Time `json:"last_seen"`
}

// Report returns what was found so far, in order.
func (w *Watch) Report() Report {
	r := Report{Since: utc(w.Since), Routes: make([]RouteReport, 0, len(w.routes))}
	for _, one := range w.routes {
		r.Routes = append(r.Routes, RouteReport{Route: one.name, Mode: one.mode, Findings: one.found.report()})
	}
	slices.SortFunc(r.Routes, func(a, b RouteReport) int { return strings.Compare(a.Route, b.Route) })
	return r
}

func utc(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }

func (t *Tally) report() []FindingReport {
	out := []FindingReport{} // not null, for those who read it as JSON
	if t == nil {
		return out
	}
	for key, e := range t.sightings().entries {
		one := FindingReport{
			Finding: key.finding.String(), Others: key.others,
			Count: e.times.Load(), First: utc(e.first), Last: utc(time.Unix(0, e.last.Load())),
		}
		if key.finding == LeakedHeader {
			one.Header = key.name
		} else {
			one.Cookie = key.name
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b FindingReport) int {
		return cmp.Or(strings.Compare(a.Cookie, b.Cookie), strings.Compare(a.Header, b.Header), strings.Compare(a.Finding, b.Finding))
	})
	return out
}
