package telemetry

import (
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sallyport/sallyport/gateway/config"
)

// requestLine is the message of the one line a request.
const requestLine = "request"

// NewLogger builds the process's logger. It is not sampled: a line that says
// who was let in must not be dropped. Where out is a *Lines, the lines of requests
// that went well may be written a little later.
func NewLogger(cfg config.Log, out io.Writer) (*zap.Logger, error) {
	log, _, err := NewTunedLogger(cfg, out)
	return log, err
}

// NewTunedLogger is NewLogger with a level that can be changed.
func NewTunedLogger(cfg config.Log, out io.Writer) (*zap.Logger, zap.AtomicLevel, error) {
	level, err := zap.ParseAtomicLevel(cfg.Level)
	if err != nil {
		return nil, level, fmt.Errorf("log level %q: %w", cfg.Level, err)
	}
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey = "time"
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	enc.EncodeDuration = zapcore.SecondsDurationEncoder
	var encoder zapcore.Encoder
	if cfg.Format == "console" {
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	} else {
		encoder = zapcore.NewJSONEncoder(enc)
	}
	if lines, ok := out.(*Lines); ok {
		return zap.New(prompt{Core: zapcore.NewCore(encoder, lines, level), lines: lines, json: cfg.Format != "console"}), level, nil
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(out)), level)), level, nil
}

// maxLogged bounds what a client can put into one log field.
const maxLogged = 512

// clip shortens a client's text at a character's boundary. Escaping is the
// encoder's work.
func clip(s string) string {
	if len(s) <= maxLogged {
		return s
	}
	end := maxLogged
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// Log writes the request's one line: at error level for our own failures, at
// info otherwise.
func (e *Event) Log(log *zap.Logger) {
	level := zapcore.InfoLevel
	if e.Status >= 500 || e.Panic != nil {
		level = zapcore.ErrorLevel
	}
	if p, ok := log.Core().(prompt); ok && level == zapcore.InfoLevel && p.request(e, log.Name()) {
		return
	}
	if c := log.Check(level, requestLine); c != nil {
		c.Write(zap.Inline(e))
	}
}

// fieldWriter is what the fields of an event need of an encoder.
type fieldWriter interface {
	AddString(key, value string)
	AddInt64(key string, value int64)
	AddDuration(key string, value time.Duration)
}

// fields writes all fields but those of a panic.
func (e *Event) fields(enc fieldWriter) {
	add := func(key, value string) {
		if value != "" {
			enc.AddString(key, clip(value))
		}
	}
	add("request_id", e.RequestID)
	add("trace_id", e.TraceID)
	add("client", e.ClientAddr)
	add("method", e.Method)
	add("host", e.Host)
	add("path", e.Path)
	add("dialect", e.Dialect)
	enc.AddInt64("status", int64(e.Status))
	enc.AddInt64("bytes_out", e.BytesOut)
	enc.AddDuration("took", e.Took)
	add("route", e.Route)
	add("outcome", e.Outcome)
	add("reason", e.Reason)
	add("rule", e.Rule)
	add("decision", e.Decision)
	add("lock", e.Lock)
	add("shadow", e.Shadow)
	add("shadow_rule", e.ShadowRule)
	add("shadow_reason", e.ShadowReason)
	add("cross_site", e.CrossSite)
	add("credential", e.Credential)
	add("issuer", e.Issuer)
	add("subject", e.Subject)
	add("session", e.Session)
	if e.DecideTime > 0 {
		enc.AddDuration("decide", e.DecideTime)
	}
	if e.UpstreamTime > 0 {
		enc.AddDuration("upstream", e.UpstreamTime)
	}
	add("ended", e.Ended)
	if e.Err != nil {
		add("error", e.Err.Error())
	}
}

// MarshalLogObject implements zapcore.ObjectMarshaler. Log is the way to write
// an event; this spares it a slice of two dozen fields.
func (e *Event) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	e.fields(enc)
	if e.Panic != nil {
		enc.AddString("panic", clip(fmt.Sprint(e.Panic)))
		zap.Stack("stack").AddTo(enc)
	}
	return nil
}
