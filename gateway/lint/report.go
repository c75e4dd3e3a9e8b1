package lint

import "github.com/sallyport/sallyport/gateway/config"

// Report is everything that a check has to say of one configuration. Its JSON is
// documented in docs/lint.md, and grows but does not change.
type Report struct {
	File     string       `json:"file"`
	Faults   []Fault      `json:"faults"`   // for which no gateway starts; nothing else is looked at then
	Findings []Finding    `json:"findings"` // those that are silenced too
	Live     []LiveResult `json:"live,omitempty"`
	Summary  Summary      `json:"summary"`
}

// Fault is a config.Fault for programs.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Path    string `json:"path"`
	Problem string `json:"problem"`
	Fix     string `json:"fix,omitempty"`
}

// The states of what was tried.
const (
	LiveOK      = "ok"
	LiveWeak    = "weak"    // it works, and should be better
	LiveFailing = "failing" // it does not work
	LiveUnknown = "unknown" // that can't be found out from here
)

// LiveResult is what came of trying one thing that a gateway depends on.
type LiveResult struct {
	Subject string `json:"subject"` // what was tried: provider corp, session store, upstream of app
	Check   string `json:"check"`   // discovery, jwks, redirect_uri, clock, connection, ...
	State   string `json:"state"`   // see LiveOK
	Path    string `json:"path"`    // the setting that it is about
	Detail  string `json:"detail"`
	Fix     string `json:"fix,omitempty"`
}

// Summary counts what a report has.
type Summary struct {
	Faults   int `json:"faults"`
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Notes    int `json:"notes"`
	Silenced int `json:"silenced"`
	Weak     int `json:"live_weak"`
	Failing  int `json:"live_failing"`
}

// NewReport makes a report and counts what is in it.
func NewReport(file string, faults config.Faults, findings []Finding, live []LiveResult) *Report {
	r := &Report{File: file, Faults: []Fault{}, Findings: append([]Finding{}, findings...), Live: live}
	for _, f := range faults {
		r.Faults = append(r.Faults, Fault(f))
	}
	r.Summary.Faults = len(faults)
	for i := range findings {
		switch f := &findings[i]; {
		case f.Silenced != "":
			r.Summary.Silenced++
		case f.Severity == Error:
			r.Summary.Errors++
		case f.Severity == Warning:
			r.Summary.Warnings++
		default:
			r.Summary.Notes++
		}
	}
	for _, one := range live {
		switch one.State {
		case LiveWeak:
			r.Summary.Weak++
		case LiveFailing:
			r.Summary.Failing++
		}
	}
	return r
}

// Weak tells whether there is anything that has to be done.
func (r *Report) Weak() bool {
	s := r.Summary
	return s.Errors+s.Warnings+s.Weak+s.Failing > 0
}
