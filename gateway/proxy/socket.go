package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// From when its end is due, a WebSocket is closed within the sum of both.
const (
	// frameWait is how long the end waits for the frame that is on its way to
	// the client, and for a client that does not read.
	frameWait = 300 * time.Millisecond
	// grace is how long the client has to read the Close frame and to answer.
	grace = 250 * time.Millisecond
)

var errEnded = errors.New("the stream was ended")

// socket is the client's side of a WebSocket. The bytes of the application pass
// through it, the head of the answer first, so that it can say goodbye between
// two frames.
type socket struct {
	net.Conn
	upstream io.Closer // the application's side
	idle     *idle

	ending atomic.Bool   // nothing of the client reaches the application any more
	said   chan struct{} // closed when nothing of the application reaches the client any more
	closed chan struct{} // closed by Close

	mu       sync.Mutex // held while bytes are written
	frames   frames
	farewell []byte // the Close frame that is to be written, once ending
	silent   bool   // said is closed

	closing sync.Once
}

// newSocket wraps a connection that was taken over, with its buffers: what is
// written through them is followed too.
func newSocket(conn net.Conn, upstream io.Closer) *socket {
	return &socket{
		Conn: conn, upstream: upstream, frames: frames{inHead: true},
		said: make(chan struct{}), closed: make(chan struct{}),
	}
}

// buffered returns the buffers that belong to the connection: the ones that
// came with it for reading, new ones for writing.
func (s *socket) buffered(came *bufio.ReadWriter) *bufio.ReadWriter {
	return bufio.NewReadWriter(came.Reader, bufio.NewWriter(s))
}

// Write sends what the application says. Once the end is due it goes on to the
// end of the frame, sends the Close frame, and drops the rest.
func (s *socket) Write(b []byte) (int, error) {
	s.idle.moved()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.silent:
	case s.farewell == nil:
		n, err := s.Conn.Write(b)
		s.frames.advance(b[:n])
		return n, err
	default:
		ahead := s.frames
		n, err := s.Conn.Write(b[:ahead.step(b)])
		s.frames.advance(b[:n])
		if err != nil {
			return n, err
		}
		s.sayGoodbye()
	}
	return len(b), nil
}

// sayGoodbye writes the Close frame if it may stand here. The lock is held.
func (s *socket) sayGoodbye() {
	if s.silent || !s.frames.boundary() {
		return
	}
	s.silent = true
	if !s.frames.closing { // after a Close frame nothing may follow, not even another
		_, _ = s.Conn.Write(s.farewell) // a client that is gone needs none
	}
	close(s.said)
}

// Read returns what the client says. Once the end is due it drops that, until
// the client hangs up or the grace is over.
func (s *socket) Read(b []byte) (int, error) {
	for {
		n, err := s.Conn.Read(b)
		if !s.ending.Load() {
			s.idle.moved()
			return n, err
		}
		if err != nil {
			return 0, errEnded
		}
	}
}

// CloseWrite passes on that the application says no more.
func (s *socket) CloseWrite() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection to the client.
func (s *socket) Close() error {
	s.closing.Do(func() { close(s.closed) })
	if s.ending.Load() {
		s.cut()
		return nil
	}
	return s.Conn.Close()
}

// end closes the WebSocket with a Close frame. It returns when both sides are
// closed, whatever they do.
func (s *socket) end(why session.End) {
	defer s.cut()
	s.ending.Store(true)
	// This also frees a Write that waits, with the lock, for the client to read.
	_ = s.SetWriteDeadline(time.Now().Add(frameWait)) // a closed connection ends all the sooner
	s.mu.Lock()
	s.farewell = closeFrame(why)
	s.sayGoodbye()
	lost := s.frames.lost
	s.mu.Unlock()
	if lost {
		return
	}
	wait := time.NewTimer(frameWait)
	defer wait.Stop()
	select {
	case <-s.said:
	case <-s.closed:
		return
	case <-wait.C:
		return
	}
	// The client is asked to hang up first. Closing with bytes unread would
	// reset the connection, and with it the Close frame that is on its way. The
	// cut does not wait for TLS, which takes its time to say that it closes.
	defer time.AfterFunc(grace, s.cut).Stop()
	_ = s.SetReadDeadline(time.Now().Add(grace))
	_ = s.CloseWrite()
	<-s.closed
}

// cut closes both sides for good, so that whatever waits for either returns.
func (s *socket) cut() {
	raw := s.Conn
	if over, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = over.NetConn() // TLS would wait for a client that does not read
	}
	select {
	case <-s.said:
	default:
		// Inside a frame: some clients take the end of the connection for that of
		// the message, but none a reset.
		if hard, ok := raw.(interface{ SetLinger(sec int) error }); ok {
			_ = hard.SetLinger(0)
		}
	}
	_ = raw.Close()
	_ = s.upstream.Close()
}

// release implements ender: a connection that was taken over is never reused.
func (*socket) release() {}

// Status codes of RFC 6455, section 7.4.1.
const (
	statusGoingAway       = 1001
	statusPolicyViolation = 1008
)

// closeFrame is the last frame, unmasked as a server's are.
func closeFrame(why session.End) []byte {
	status, reason := statusPolicyViolation, "session ended"
	switch why {
	case session.EndPolicy:
		reason = "no longer allowed"
	case session.EndLocked:
		reason = "locked"
	case session.EndShutdown:
		status, reason = statusGoingAway, "going away"
	case session.EndLifetime:
		status, reason = statusGoingAway, "open for too long"
	case session.EndIdle:
		status, reason = statusGoingAway, "idle for too long"
	case session.EndSession:
	}
	frame := []byte{0x80 | opClose, byte(2 + len(reason)), byte(status >> 8), byte(status)}
	return append(frame, reason...)
}
