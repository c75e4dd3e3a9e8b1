package telemetry

import (
	"bytes"
	"strconv"
	"time"

	"go.uber.org/zap/zapcore"
)

// prompt is a core over Lines that lets only the lines of requests wait. It writes
// those itself, as zap's encoder would: there is one for each request, of a shape
// that is known.
type prompt struct {
	zapcore.Core
	lines *Lines
	json  bool // and without fields of With
}

// Check implements zapcore.Core.
func (p prompt) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if p.Enabled(e.Level) {
		return ce.AddCore(e, p)
	}
	return ce
}

// With implements zapcore.Core.
func (p prompt) With(fields []zapcore.Field) zapcore.Core {
	return prompt{Core: p.Core.With(fields), lines: p.lines}
}

// Write implements zapcore.Core.
func (p prompt) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if err := p.Core.Write(e, fields); err != nil {
		return err
	}
	if e.Message == requestLine && e.Level <= zapcore.InfoLevel {
		return nil
	}
	return p.lines.Sync()
}

// request writes the line of a request that went well. False means that it is for
// zap to write.
func (p prompt) request(e *Event, logger string) bool {
	if !p.json || e.Err != nil { // whose text is made by others, and not under a lock
		return false
	}
	if !p.Enabled(zapcore.InfoLevel) {
		return true
	}
	at := e.Start.Add(e.Took)
	p.lines.mu.Lock()
	defer p.lines.mu.Unlock()
	w := &p.lines.writer
	*w = lineWriter{buf: p.lines.buf}
	w.buf = append(w.buf, `{"level":"info","time":"`...)
	w.buf = at.AppendFormat(w.buf, time.RFC3339Nano)
	w.buf = append(w.buf, '"')
	if logger != "" {
		w.AddString("logger", logger)
	}
	w.AddString("msg", requestLine)
	e.fields(w)
	if w.odd {
		return false // what was appended is not part of the buffer
	}
	p.lines.written(append(w.buf, "}\n"...))
	return true
}

// lineWriter appends fields to an object.
type lineWriter struct {
	buf []byte
	odd bool // there is text that has to be escaped
}

func (w *lineWriter) key(key string) {
	w.buf = append(w.buf, `,"`...)
	w.buf = append(w.buf, key...)
	w.buf = append(w.buf, `":`...)
}

// AddString implements fieldWriter.
func (w *lineWriter) AddString(key, value string) {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			w.odd = true
			return
		}
	}
	w.key(key)
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, value...)
	w.buf = append(w.buf, '"')
}

// AddInt64 implements fieldWriter.
func (w *lineWriter) AddInt64(key string, value int64) {
	w.key(key)
	w.buf = strconv.AppendInt(w.buf, value, 10)
}

// AddDuration implements fieldWriter.
func (w *lineWriter) AddDuration(key string, value time.Duration) {
	w.key(key)
	if value <= 0 || value >= time.Second {
		w.buf = strconv.AppendFloat(w.buf, float64(value)/float64(time.Second), 'f', -1, 64)
		return
	}
	// Most are below a second, and these are their digits.
	fraction := [9]byte{}
	for i := len(fraction) - 1; i >= 0; i-- {
		fraction[i] = '0' + byte(value%10)
		value /= 10
	}
	w.buf = append(w.buf, "0."...)
	w.buf = append(w.buf, bytes.TrimRight(fraction[:], "0")...)
}
