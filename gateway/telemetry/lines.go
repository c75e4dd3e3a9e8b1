package telemetry

import (
	"io"
	"sync"
	"time"
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
	writer lineWriter // of who holds the lock
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
	l.written(append(l.buf, line...))
	err := l.err
	l.err = nil
	return len(line), err
}

// written takes the buffer with more lines in it. The lock is held.
func (l *Lines) written(buf []byte) {
	l.buf = buf
	if len(l.buf) >= maxLines {
		l.flush()
	} else if !l.waking {
		l.waking = true
		l.timer.Reset(lineDelay)
	}
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
