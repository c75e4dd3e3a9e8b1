package auditlog

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// output takes whole lines, without their line feeds.
type output interface {
	write(line []byte, seq uint64) error
	io.Closer
}

// Log is an open stream of audit records. It is safe for concurrent use.
type Log struct {
	mu    sync.Mutex
	chain chain
	out   output
	buf   []byte
}

// Open opens the stream that the configuration wants, which is not the log. secret
// is the content of its key file; empty: hashes are no proof against who can write
// the stream. A file is continued: a line that was cut off by a crash is removed.
func Open(cfg config.Audit, secret []byte, stdout io.Writer) (*Log, error) {
	key, err := chainKey(secret)
	if err != nil {
		return nil, err
	}
	l := &Log{chain: chain{key: key, prev: beginning}}
	switch cfg.Output {
	case config.AuditStdout:
		l.out = lines{stdout}
	case config.AuditFile:
		f, last, err := openFile(cfg.File)
		if err != nil {
			return nil, err
		}
		l.out = f
		if last != nil {
			l.chain.seq, l.chain.prev = last.seq, last.hash
		}
	case config.AuditSyslog:
		if l.out, err = openSyslog(cfg.Syslog); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("audit output %q", cfg.Output)
	}
	return l, nil
}

// Append adds a record: a JSON object on one line that is not empty. An error means
// that the record is not in the stream, and that the stream is as if it had not been
// tried.
func (l *Log) Append(now time.Time, body []byte) error {
	if len(body) < len(`{"a":0}`) {
		return errors.New("an audit record without content")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	line, next := l.chain.seal(l.buf[:0], now, body)
	l.buf = line
	if err := l.out.write(line, l.chain.seq+1); err != nil {
		return err
	}
	l.chain.accept(next)
	return nil
}

// Close writes what waits and closes the stream.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Close()
}

// lines writes to a stream that somebody else owns.
type lines struct{ w io.Writer }

func (o lines) write(line []byte, _ uint64) error {
	_, err := o.w.Write(append(line, '\n'))
	return err
}

func (lines) Close() error { return nil }
