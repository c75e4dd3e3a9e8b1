package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// idle ends an exchange of which nothing has moved for too long. It watches while
// a body is on its way in either direction; how long an application may think in
// between is another timeout. It is apart from the exchange, which is reused.
type idle struct {
	after  time.Duration
	timer  *time.Timer
	cancel context.CancelFunc
	stream atomic.Pointer[stream]
	fired  atomic.Bool

	mu     sync.Mutex
	client http.ResponseWriter // nil when the request is over
}

// watchIdle makes the exchange end when nothing moves, and returns the request
// to carry.
func (x *exchange) watchIdle(r *http.Request) *http.Request {
	after := x.target.Settings.Timeouts.Idle
	if after <= 0 {
		return r
	}
	ctx, cancel := context.WithCancel(r.Context())
	i := &idle{after: after, cancel: cancel, client: x.writer.ResponseWriter}
	i.timer = time.AfterFunc(after, i.fire)
	if r.ContentLength == 0 {
		i.timer.Stop()
	}
	x.idle = i
	r = r.WithContext(ctx)
	r.Body = &movingBody{ReadCloser: r.Body, idle: i, upload: true}
	return r
}

func (i *idle) fire() {
	i.fired.Store(true)
	if st := i.stream.Load(); st != nil {
		st.End(session.EndIdle)
		return
	}
	i.cancel()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.client != nil {
		// The transport waits for whoever reads the request's body. An error means a
		// connection that knows no deadlines, as in a test.
		_ = http.NewResponseController(i.client).SetReadDeadline(time.Now())
	}
}

// moved says that something did. A nil idle watches nothing.
func (i *idle) moved() {
	if i != nil && !i.fired.Load() {
		i.timer.Reset(i.after)
	}
}

// pause stops the clock until something moves.
func (i *idle) pause() {
	if i != nil {
		i.timer.Stop()
	}
}

// over stops the watch, and says whether it had to act.
func (i *idle) over(e *telemetry.Event) {
	if i == nil {
		return
	}
	i.timer.Stop()
	i.cancel()
	i.mu.Lock()
	i.client = nil // the connection may serve other requests next
	i.mu.Unlock()
	if i.fired.Load() {
		e.Ended = session.EndIdle.String()
	}
}

// movingBody is a body whose movement counts.
type movingBody struct {
	io.ReadCloser
	idle   *idle
	upload bool
}

// Read implements io.Reader.
func (b *movingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err != nil && b.upload:
		b.idle.pause() // the application thinks
	case n > 0:
		b.idle.moved()
	}
	if err != nil && b.idle.fired.Load() && !errors.Is(err, io.EOF) {
		err = context.Canceled // ReverseProxy would log it as the application's
	}
	return n, err
}

// tooSlow is the answer where nothing of the request's body came for too long.
func tooSlow() error {
	return &httperr.Error{
		Code: http.StatusRequestTimeout, Reason: "request_timeout", Public: "The rest of the request did not arrive in time.",
		Header: http.Header{"Connection": {"close"}},
	}
}
