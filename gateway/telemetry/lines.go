package telemetry

import (
	"io"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

// Lines writes log lines many at a time: a call of the operating system for each
// costs more than the line. A line that tells that a request went well waits for
// others, at most lineDelay. Every other line, such as one of an error or an audit,
// is written at once, after those that wait. A process that is killed loses what
// waits; Close and Sync write it.
//
// It is safe for concurrent use. A writer that does not take what is written keeps
// the requests waiting, as it would without Lines.
type Lines struct {
	out io.Writer

	mu     sync.Mutex
	buf    []byte
	timer  *time.Timer
	waking bool // the timer runs
	err    error
}

const (
	lineDelay = 10 * time.Millisecond
	maxLines  = 64 << 10 // bytes that wait
)

// NewLines writes to out.
func NewLines(out io.Writer) *Lines {
	l := &Lines{out: out, buf: make([]byte, 0, maxLines+4<<10)}
	l.timer = time.AfterFunc(time.Hour, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waking = false
		l.flush()
	})
	l.timer.Stop()
	return l
}

// Write implements io.Writer. An error may be that of lines before.
func (l *Lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, line...)
	if len(l.buf) >= maxLines {
		l.flush()
	} else if !l.waking {
		l.waking = true
		l.timer.Reset(lineDelay)
	}
	err := l.err
	l.err = nil
	return len(line), err
}

// Sync implements zapcore.WriteSyncer: it writes what waits.
func (l *Lines) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	err := l.err
	l.err = nil
	return err
}

// Close writes what waits. What is written after it may be lost.
func (l *Lines) Close() error {
	l.timer.Stop()
	return l.Sync()
}

// flush writes what waits. The lock is held.
func (l *Lines) flush() {
	if len(l.buf) == 0 {
		return
	}
	if _, err := l.out.Write(l.buf); err != nil {
		l.err = err
	}
	l.buf = l.buf[:0]
}

// prompt is a core over Lines that lets only the lines of requests wait.
type prompt struct {
	zapcore.Core
	lines *Lines
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
	return prompt{p.Core.With(fields), p.lines}
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
