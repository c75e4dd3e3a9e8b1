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
	metrics *telemetry.Metrics
	why     atomic.Uint32 // session.End, once it was ended
	remove  func()
	closed  func()
}

// open makes the exchange a stream, until carry returns.
func (x *exchange) open(e ender) {
	metrics := x.owner.Metrics
	st := &stream{ender: e, metrics: metrics, closed: metrics.StreamOpened()}
	about := session.Stream{
		Identity: x.verdict.Identity, OfSession: x.verdict.Session() != "",
		Still:  x.owner.Guard.Again(x.request, &x.verdict, x.owner.Now),
		Barred: x.owner.Guard.Barred(x.request, &x.verdict), End: st.End,
	}
	if life := x.target.Settings.Streams.MaxLifetime; life > 0 {
		about.Until = time.Now().Add(life)
	}
	st.remove = x.owner.Streams.Add(about)
	x.stream = st
	if x.idle != nil {
		x.idle.stream.Store(st)
	}
}

// End ends the stream, unless it was already.
func (s *stream) End(why session.End) {
	if s.why.CompareAndSwap(0, uint32(why)) {
		s.metrics.StreamEnded(why.String())
		s.end(why)
	}
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
	s.idle = w.exchange.idle
	w.exchange.open(s)
	return s, s.buffered(buffers), nil
}

// isStream reports whether an answer goes on for as long as the client stays.
// Downloads are not among them: what began is allowed to finish.
func isStream(h http.Header) bool {
	kind := mediaType(h)
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

// isGRPC reports whether an answer is gRPC itself, which tells how a call went in
// trailer fields; gRPC-Web does so in the body.
func isGRPC(h http.Header) bool {
	kind, _, _ := strings.Cut(mediaType(h), "+")
	return strings.EqualFold(kind, "application/grpc")
}

func mediaType(h http.Header) string {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.TrimSpace(kind)
}

// flow is the body of a streaming answer. When it is ended, ReverseProxy breaks
// the answer off: the client sees that it is not complete. A gRPC client is told
// why, in the status of the call.
type flow struct {
	io.ReadCloser
	grpc *http.Response // nil for any other

	mu     sync.Mutex
	ended  session.End
	client http.ResponseWriter // nil when the answer is complete or the request over
}

// Read implements io.Reader. Nothing that arrives after the end is passed on.
func (f *flow) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != 0 {
		if f.grpc != nil {
			f.grpc.Trailer = goodbye(f.ended)
			return 0, io.EOF
		}
		return 0, context.Canceled // any other error would be logged as the upstream's
	}
	if err != nil {
		f.client = nil
	}
	return n, err
}

// end stops reading from the upstream and, where the client does not read,
// writing to it. Closing a response's body frees a Read that waits.
func (f *flow) end(why session.End) {
	f.mu.Lock()
	f.ended = why
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

// goodbye is how a gRPC call ends that the gateway ends.
func goodbye(why session.End) http.Header {
	status, message := "14", "the gateway ended the stream" // UNAVAILABLE: try again
	switch why {
	case session.EndSession:
		status, message = "16", "the session is over" // UNAUTHENTICATED
	case session.EndPolicy:
		status, message = "7", "access is no longer allowed" // PERMISSION_DENIED
	case session.EndLocked:
		status, message = "7", "access is locked"
	case session.EndShutdown, session.EndLifetime, session.EndIdle:
	}
	return http.Header{"Grpc-Status": {status}, "Grpc-Message": {message}}
}
