package telemetry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
)

// AuditSink takes audit records, each a JSON object. An error means that the record
// is not in it.
type AuditSink interface {
	Append(now time.Time, body []byte) error
	io.Closer
}

// AuditStream is where a Trail puts its records, and what they tell of people.
type AuditStream struct {
	Sink   AuditSink // nil: the log
	PII    string    // one of config.PII…
	Secret []byte    // keys the pseudonyms of config.PIIHash
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
// as much of people as the stream may tell.
func (s *AuditStream) mask(a *Audit) *Audit {
	masked := *a
	for _, text := range []*string{&masked.Reason, &masked.RequestID, &masked.Issuer, &masked.Token, &masked.Rule, &masked.Operator} {
		*text = clip(*text)
	}
	for _, text := range []*string{&masked.Subject, &masked.ClientAddr} {
		switch {
		case *text == "":
		case s.PII == config.PIINone:
			*text = ""
		case s.PII == config.PIIHash:
			*text = s.pseudonym(*text)
		default:
			*text = clip(*text)
		}
	}
	return &masked
}

// pseudonym is the same for the same text with the same secret.
func (s *AuditStream) pseudonym(text string) string {
	mac := hmac.New(sha256.New, s.Secret)
	mac.Write([]byte("sallyport audit pseudonym\x00" + text))
	return "p:" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}
