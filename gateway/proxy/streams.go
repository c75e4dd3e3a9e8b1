package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// ender is what can be ended from outside of the request: a socket or a flow.
type ender interface {
	// end ends it. It is called at most once, at any time.
	end(why session.End)
	// release is called when the request is over: end must touch nothing of it
	// from then on.
	release()
}

// stream is an exchange that goes on for as long as it likes. It is apart from
// the exchange, which is reused.
type stream struct {
	ender
	why    atomic.Uint32 // session.End, once it was ended
	remove func()
	closed func()
}

// open makes the exchange a stream, until carry returns.
func (x *exchange) open(e ender) {
	metrics := x.owner.Metrics
	st := &stream{ender: e, closed: metrics.StreamOpened()}
	st.remove = x.owner.Streams.Add(x.verdict.Identity, x.verdict.Session() != "", func(why session.End) {
		st.why.Store(uint32(why))
		metrics.StreamEnded(why.String())
		st.end(why)
	})
	x.stream = st
}

// over is the end of the stream, whoever brought it about.
func (s *stream) over(e *telemetry.Event) {
	s.remove()
	s.release()
	s.closed()
	if why := session.End(s.why.Load()); why != 0 {
		e.Ended = why.String()
	}
}

// Hijack implements http.Hijacker for ReverseProxy, which takes the connection
// over when the upstream has switched protocols.
func (w *interim) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	s := newSocket(conn, w.exchange.switched)
	w.exchange.open(s)
	return s, s.buffered(buffers), nil
}

// isStream reports whether an answer goes on for as long as the client stays.
// Downloads are not among them: what began is allowed to finish.
func isStream(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	kind = strings.TrimSpace(kind)
	const grpc = "application/grpc" // or with +proto, -web and so on
	if len(kind) >= len(grpc) && strings.EqualFold(kind[:len(grpc)], grpc) {
		return true
	}
	for _, endless := range [...]string{
		"text/event-stream", "multipart/x-mixed-replace", "application/x-ndjson", "application/stream+json", "application/json-seq",
	} {
		if strings.EqualFold(kind, endless) {
			return true
		}
	}
	return false
}

// flow is the body of a streaming answer. When it is ended, ReverseProxy breaks
// the answer off: the client sees that it is not complete.
type flow struct {
	io.ReadCloser

	mu     sync.Mutex
	ended  bool
	client http.ResponseWriter // nil when the answer is complete or the request over
}

// Read implements io.Reader. Nothing that arrives after the end is passed on.
func (f *flow) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return 0, context.Canceled // any other error would be logged as the upstream's
	}
	if err != nil {
		f.client = nil
	}
	return n, err
}

// end stops reading from the upstream and, where the client does not read,
// writing to it. Closing a response's body frees a Read that waits.
func (f *flow) end(session.End) {
	f.mu.Lock()
	f.ended = true
	if f.client != nil {
		// An error means a connection that knows no deadlines, as in a test.
		_ = http.NewResponseController(f.client).SetWriteDeadline(time.Now().Add(frameWait))
	}
	f.mu.Unlock()
	_ = f.Close() // what it was read for is over
}

// release implements ender: the connection may serve other requests next.
func (f *flow) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.client = nil
}
