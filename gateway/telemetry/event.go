// Package telemetry owns what operators see: the one log line a request, the
// audit line of a decision that matters, and the metrics. Request code fills the
// Event and returns errors; only background work logs by itself. Nothing here
// ever holds a token, a cookie or a secret.
package telemetry

import (
	"net/http"
	"time"
)

// Event is the structured record of one request: made when it arrives, filled
// by whoever learns something, written once when it is over. It belongs to the
// request's goroutine.
type Event struct {
	Start      time.Time
	RequestID  string
	TraceID    string // of the trace that keeps this request; empty where none does
	ClientAddr string // the client's address, seen through trusted proxies
	Method     string
	Host       string
	Path       string // without the query, which may hold secrets
	Dialect    string // of the proxy that asks; empty where the client itself is there

	Route      string
	Outcome    string // of the decision: allow, forbid, challenge, ...
	Reason     string
	Rule       string
	Decision   string // the name of one against the user
	Lock       string // the id of the lock that was in the way
	Credential string // kind
	Bytes      int    // of the credential on the wire
	Issuer     string
	Subject    string
	Session    string // first 16 hex digits of the hash

	// What would have been decided if what is in the mode shadow were enforced; the
	// Shadow is empty where nothing is.
	Shadow       string
	ShadowRule   string
	ShadowReason string

	// What a page of another site had the browser send (request or websocket), and
	// what became of it (report or enforce); empty where nothing says so.
	CrossSite     string
	CrossSiteMode string

	DecideStart  time.Time
	DecideTime   time.Duration
	UpstreamTime time.Duration // until the response header; 0 when no upstream was asked

	Status   int
	BytesOut int64
	Ended    string // why the gateway ended the stream; empty where it did not
	Err      error
	Panic    any

	Took time.Duration // from the arrival to the end of the answer; 0 until then
}

// timed reports whether how long the request took says anything about how quick
// the gateway is: a connection that was upgraded lasts for as long as people want.
func (e *Event) timed() bool {
	return e.Took > 0 && e.Status != http.StatusSwitchingProtocols
}

// Recorder is the ResponseWriter of a request, and carries its Event along the
// one path that everybody who answers already has.
type Recorder struct {
	http.ResponseWriter
	Event Event
	// Final are headers that the final answer gets, whoever gives it, unless it has
	// them. What is set before is lost with the first informational answer.
	Final []Header
}

// Header is one header with its values, which are shared by many answers: nobody
// may change them.
type Header struct {
	Name   string // in canonical form
	Values []string
}

// EventOf returns the Event that travels with w. Where there is none (a test
// that calls a handler directly) it returns one that nobody reads.
func EventOf(w http.ResponseWriter) *Event {
	for {
		switch v := w.(type) {
		case *Recorder:
			return &v.Event
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return &Event{}
		}
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (r *Recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader records the status. Informational answers (1xx) pass through,
// and 101 is final.
func (r *Recorder) WriteHeader(code int) {
	if r.Event.Status == 0 && (code >= 200 || code == http.StatusSwitchingProtocols) {
		r.Event.Status = code
		if code >= 200 {
			r.complete()
		}
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *Recorder) complete() {
	h := r.Header()
	for _, f := range r.Final {
		if len(h[f.Name]) == 0 {
			h[f.Name] = f.Values
		}
	}
}

// Write counts the bytes of the body.
func (r *Recorder) Write(b []byte) (int, error) {
	if r.Event.Status == 0 {
		r.Event.Status = http.StatusOK
		r.complete()
	}
	n, err := r.ResponseWriter.Write(b)
	r.Event.BytesOut += int64(n)
	return n, err
}
