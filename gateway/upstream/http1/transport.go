// Package http1 carries requests to an upstream that speaks HTTP/1.1 without TLS, on
// the goroutine of who asks. http.Transport hands each request to one goroutine that
// writes and each answer to another that reads, so that any request can have a body
// that is still being sent while the answer comes. A request that has no body needs
// neither, and is most of what a gateway carries.
//
// What it is not made for goes to a fallback: bodies, methods that are not safe,
// other protocols. Answers are read by net/http. What the package owns is when a
// connection may be used again: never while it is in doubt whose the next bytes are.
package http1

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Options are what a Transport needs.
type Options struct {
	// Dial makes a connection, which must be a socket of the operating system: others
	// are used once. It bounds that in time by itself.
	Dial func(ctx context.Context) (net.Conn, error)
	// Fallback carries what this package is not made for.
	Fallback http.RoundTripper

	HeaderTimeout  time.Duration // from the request to the end of the answer's header; 0 = no limit
	MaxHeaderBytes int64         // of all headers of an answer, informational ones included
	MaxIdle        int           // connections that are kept without a request
	IdleTimeout    time.Duration // how long they are kept; must be positive
}

// Transport implements http.RoundTripper for one upstream, whatever the host of the
// URL. It is safe for concurrent use.
type Transport struct {
	o    Options
	idle idle
}

var _ http.RoundTripper = (*Transport)(nil)

// New makes a Transport. It connects to nothing.
func New(o Options) *Transport {
	if o.MaxHeaderBytes <= 0 {
		o.MaxHeaderBytes = 1 << 20
	}
	return &Transport{o: o, idle: idle{max: o.MaxIdle, timeout: o.IdleTimeout}}
}

// CloseIdleConnections closes what no request uses, also of the fallback.
func (t *Transport) CloseIdleConnections() {
	t.idle.closeAll()
	if f, ok := t.o.Fallback.(interface{ CloseIdleConnections() }); ok {
		f.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper. The body of the answer must be read to its
// end or closed; closing it frees a Read that waits. Of an httptrace.ClientTrace it
// knows Got1xxResponse.
//
// A connection that was kept may turn out to be closed by the upstream only when the
// request is on its way. It is then sent once more, over a new one: the methods that
// are carried here are safe (RFC 9110, sections 9.2.1 and 9.2.2).
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !canLook || !carries(r) {
		return t.o.Fallback.RoundTrip(r)
	}
	buf := t.idle.buffers()
	var err error
	if buf.out, err = appendRequest(buf.out[:0], r); err != nil {
		t.idle.lend(buf)
		return nil, err
	}
	res, err := t.send(r, buf)
	if err != nil {
		t.idle.lend(buf)
		if ctxErr := r.Context().Err(); ctxErr != nil {
			return nil, ctxErr
		}
	}
	return res, err
}

// send sends a request that was written. The buffers are the connection's then,
// unless there is an error.
func (t *Transport) send(r *http.Request, buf *buffers) (*http.Response, error) {
	for c := t.idle.take(); c != nil; c = t.idle.take() {
		res, err := c.exchange(r, buf)
		if !c.mayRepeat || r.Context().Err() != nil {
			return res, err
		}
		if !c.unsent {
			break // to send it once more is enough
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	raw, err := t.o.Dial(r.Context())
	if err != nil {
		return nil, err
	}
	return newConn(t, raw).exchange(r, buf)
}

// carries reports whether a request is one of those that the package is made for.
func carries(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		return false
	}
	h := r.Header
	return (r.Body == nil || r.Body == http.NoBody) && r.ContentLength == 0 && !r.Close && r.URL.Scheme == "http" &&
		len(r.TransferEncoding) == 0 && len(r.Trailer) == 0 && len(h["Upgrade"]) == 0 && len(h["Expect"]) == 0 && len(h["Connection"]) == 0 &&
		plainHost(host(r))
}

// host is what the request's Host header says.
func host(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}
