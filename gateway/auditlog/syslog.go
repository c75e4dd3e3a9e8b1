package auditlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

const (
	syslogPriority = 10<<3 | 6 // authpriv, informational (RFC 5424, section 6.2.1)
	syslogTimeout  = time.Second
	// syslogQueue is how many records may wait for a server that is slow.
	syslogQueue = 1024
	// syslogPause is how long a server that failed is left alone.
	syslogPause = time.Second
)

var (
	errSyslogFull   = errors.New("the syslog server does not keep up")
	errSyslogDown   = errors.New("the syslog server does not answer")
	errSyslogClosed = errors.New("the stream is closed")
)

// syslog sends each record as a message of RFC 5424: over TCP and stream sockets with
// its length before it (RFC 6587, section 3.4.1). A goroutine of its own sends, so that
// a server that hangs delays no request. While it is down, records are refused, and
// those that waited then are lost to it.
type syslog struct {
	network, address string
	host             string
	queue            chan []byte
	done             chan struct{}

	mu     sync.Mutex
	closed bool
	failed time.Time // when it last failed; zero while it works
}

func openSyslog(cfg config.AuditSyslogOutput) (*syslog, error) {
	u, err := url.Parse(cfg.Address)
	if err != nil {
		return nil, err
	}
	s := &syslog{network: u.Scheme, address: u.Host, host: "-", queue: make(chan []byte, syslogQueue), done: make(chan struct{})}
	if u.Scheme == "unix" {
		s.address = u.Path
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		s.host = name
	}
	go s.run()
	return s, nil
}

// write implements output. A nil error means that the message waits to be sent.
func (s *syslog) write(line []byte, _ uint64) error {
	text := fmt.Appendf(nil, "<%d>1 %s %s sallyport %d audit - ", syslogPriority, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00"), s.host, os.Getpid())
	text = append(text, line...)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errSyslogClosed
	case !s.failed.IsZero() && time.Since(s.failed) < syslogPause:
		return errSyslogDown
	}
	select {
	case s.queue <- text:
		return nil
	default:
		return errSyslogFull
	}
}

func (s *syslog) run() {
	defer close(s.done)
	var conn net.Conn
	for text := range s.queue {
		var err error
		for range 2 { // a connection that was kept may be closed by now
			if conn == nil {
				if conn, err = s.dial(); err != nil {
					break
				}
			}
			if err = s.send(conn, text); err == nil {
				break
			}
			_ = conn.Close() // it is of no use
			conn = nil
		}
		s.mu.Lock()
		s.failed = time.Time{}
		if err != nil {
			s.failed = time.Now()
		}
		s.mu.Unlock()
	}
	if conn != nil {
		_ = conn.Close() // everything was sent
	}
}

func (s *syslog) dial() (net.Conn, error) {
	dialer, ctx := net.Dialer{Timeout: syslogTimeout}, context.Background()
	if s.network != "unix" {
		return dialer.DialContext(ctx, s.network, s.address)
	}
	conn, err := dialer.DialContext(ctx, "unixgram", s.address)
	if err != nil {
		conn, err = dialer.DialContext(ctx, "unix", s.address)
	}
	return conn, err
}

func (s *syslog) send(conn net.Conn, text []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(syslogTimeout)); err != nil {
		return err
	}
	if network := conn.RemoteAddr().Network(); network == "tcp" || network == "unix" {
		text = append(strconv.AppendInt(nil, int64(len(text)), 10), append([]byte{' '}, text...)...)
	}
	_, err := conn.Write(text)
	return err
}

// Close implements output: it waits until what waits was sent or refused.
func (s *syslog) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	<-s.done
	return nil
}
