package telemetry

import (
	"io"
	"time"

	"go.uber.org/zap"
)

// AuditSink takes audit records, each a JSON object. An error means that the record
// is not in it.
type AuditSink interface {
	Append(now time.Time, body []byte) error
	io.Closer
}

// AuditStream is where a Trail puts its records, and what operators are told of people.
type AuditStream struct {
	Sink   AuditSink // nil: the log
	People *People   // nil: all is told
	Count  func(written bool)
}

// Use makes records go to another stream, and closes the one before.
func (t *Trail) Use(s *AuditStream) error {
	old := t.stream.Swap(s)
	t.mu.Lock()
	t.failing = nil
	t.mu.Unlock()
	if old == nil || old.Sink == nil {
		return nil
	}
	return old.Sink.Close()
}

// Failing says why the last record was not taken by its stream; nil where it was.
func (t *Trail) Failing() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failing
}

// tellAgain is how often the log is told of a stream that takes nothing.
const tellAgain = time.Minute

// appended looks after a record that the stream has taken, or has not: the log gets
// those, so that none is lost.
func (t *Trail) appended(s *AuditStream, a *Audit, err error) {
	if s.Count != nil {
		s.Count(err == nil)
	}
	t.mu.Lock()
	t.failing = err
	tell := err != nil && time.Since(t.told) >= tellAgain
	if tell {
		t.told = time.Now()
	}
	t.mu.Unlock()
	if err == nil {
		return
	}
	if tell {
		t.log.Error("the audit stream takes no records: they are here until it does", zap.Error(err))
	}
	a.Log(t.log)
}

// mask returns the record with every field cut off to what a line may hold, and with
// as much of people as may be told.
func (a *Audit) mask(p *People) *Audit {
	masked := *a
	masked.Subject, masked.ClientAddr = p.Tell(a.Subject), p.Tell(a.ClientAddr)
	if a.Personal {
		masked.On = p.Tell(a.On)
	}
	for _, text := range []*string{
		&masked.Reason, &masked.RequestID, &masked.ClientAddr, &masked.Issuer, &masked.Subject, &masked.Token,
		&masked.Rule, &masked.On, &masked.Note, &masked.Operator,
	} {
		*text = clip(*text)
	}
	return &masked
}
