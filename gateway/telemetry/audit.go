package telemetry

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Audit is the record of a decision that matters: who signed in or out, who was
// denied, what an operator did. One line each, never sampled.
type Audit struct {
	Event   string `json:"event"`             // login, logout, deny, revoke_tokens and so on
	Outcome string `json:"outcome,omitempty"` // ok, failed
	Reason  string `json:"reason,omitempty"`

	RequestID  string `json:"request_id,omitempty"`
	ClientAddr string `json:"client,omitempty"`
	Provider   string `json:"provider,omitempty"`
	Issuer     string `json:"issuer,omitempty"`
	Subject    string `json:"subject,omitempty"`
	Session    string `json:"session,omitempty"`
	Token      string `json:"token,omitempty"` // its jti, or the id of an API key
	Route      string `json:"route,omitempty"`
	Rule       string `json:"rule,omitempty"`
	Decision   string `json:"decision,omitempty"`
	Lock       string `json:"lock,omitempty"`     // the id of the lock that was in the way, or was made or lifted
	On         string `json:"on,omitempty"`       // what it is on, where somebody made or lifted it
	Personal   bool   `json:"-"`                  // On says who somebody is, or where he comes from
	Note       string `json:"note,omitempty"`     // what the operator says of it
	Key        string `json:"key,omitempty"`      // the name of a key of the gateway
	Operator   string `json:"operator,omitempty"` // whose act it was; empty where it was no operator's
	Count      int    `json:"count,omitempty"`    // how many the act concerned, where that is not one
}

// Trail is where audit records go: into the log, and to the operators who look at
// what goes on. It is safe for concurrent use. A nil Trail keeps nothing.
type Trail struct {
	log    *zap.Logger
	events *Events
	stream atomic.Pointer[AuditStream] // nil: records go to the log

	mu      sync.Mutex
	failing error
	told    time.Time // when the log was last told of a failure
}

// NewTrail makes a trail that ends in a log. events may be nil.
func NewTrail(log *zap.Logger, events *Events) *Trail { return &Trail{log: log, events: events} }

// People says how much is told of people; nil is all.
func (t *Trail) People() *People {
	if t == nil {
		return nil
	}
	if s := t.stream.Load(); s != nil {
		return s.People
	}
	return nil
}

// Record keeps the record of what has just happened, with as much of people as People
// tells.
func (t *Trail) Record(a *Audit) {
	if t == nil {
		return
	}
	now := time.Now()
	s := t.stream.Load()
	masked := a.mask(t.People())
	t.events.add(now, masked)
	if s == nil || s.Sink == nil {
		masked.Log(t.log)
		return
	}
	body, err := json.Marshal(masked)
	if err == nil {
		err = s.Sink.Append(now, body)
	}
	t.appended(s, masked, err)
}

// Log writes the audit line.
func (a *Audit) Log(log *zap.Logger) {
	fields := make([]zap.Field, 0, 19)
	for _, f := range []struct{ key, value string }{
		{"event", a.Event},
		{"outcome", a.Outcome},
		{"reason", a.Reason},
		{"request_id", a.RequestID},
		{"client", a.ClientAddr},
		{"provider", a.Provider},
		{"issuer", a.Issuer},
		{"subject", a.Subject},
		{"session", a.Session},
		{"token", a.Token},
		{"route", a.Route},
		{"rule", a.Rule},
		{"decision", a.Decision},
		{"lock", a.Lock},
		{"on", a.On},
		{"note", a.Note},
		{"key", a.Key},
		{"operator", a.Operator},
	} {
		if f.value != "" {
			fields = append(fields, zap.String(f.key, clip(f.value)))
		}
	}
	if a.Count != 0 {
		fields = append(fields, zap.Int("count", a.Count))
	}
	log.Info("audit", fields...)
}
