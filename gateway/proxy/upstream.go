package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// upstream is where a route leads: a transport, and what to put into the URL.
type upstream struct {
	transport    http.RoundTripper
	scheme, host string
}

// newTransport makes the transport that all network upstreams share: a large
// idle pool, no compression of our own, and no proxy from the environment,
// which is meant for calls to the outside.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           4096,
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  5 * time.Minute,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 256 << 10,
		ReadBufferSize:         16 << 10,
		WriteBufferSize:        16 << 10,
	}
}

func newUpstream(u *url.URL, shared *http.Transport, builtin map[string]http.Handler) (*upstream, error) {
	switch u.Scheme {
	case "http", "https":
		return &upstream{transport: shared, scheme: u.Scheme, host: u.Host}, nil
	case "h2c":
		t := newTransport()
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
		return &upstream{transport: t, scheme: "http", host: u.Host}, nil
	case "unix":
		t := newTransport()
		dialer := net.Dialer{Timeout: 5 * time.Second}
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", u.Path)
		}
		return &upstream{transport: t, scheme: "http", host: "localhost"}, nil
	case "builtin":
		handler, ok := builtin[u.Opaque]
		if !ok {
			return nil, fmt.Errorf("no built-in upstream is called %q", u.Opaque)
		}
		return &upstream{transport: inProcess{handler}, scheme: "http", host: "builtin"}, nil
	}
	return nil, fmt.Errorf("upstream scheme %q is not supported", u.Scheme)
}

// target points the outgoing request at the upstream with the bytes of path
// and query as the client sent them. net/url would re-encode some, and
// ReverseProxy drops a query with a semicolon or an odd escape.
func (u *upstream) target(pr *httputil.ProxyRequest) {
	out := pr.Out.URL
	out.Scheme, out.Host = u.scheme, u.host
	out.RawQuery, out.ForceQuery = pr.In.URL.RawQuery, pr.In.URL.ForceQuery
	if raw := sentPath(pr.In); strings.HasPrefix(raw, "/") && out.EscapedPath() != raw {
		out.Opaque = raw
	}
}

// sendable reports whether target can send the path as it is: what net/url
// would re-encode only fits into an Opaque, and one with two slashes in front
// would be sent as an authority.
func sendable(r *http.Request) bool {
	raw := sentPath(r)
	return !strings.HasPrefix(raw, "//") || r.URL.EscapedPath() == raw
}

func sentPath(r *http.Request) string {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	return raw
}

// bufferPool lends the buffers for copying bodies. Arrays, because putting a
// slice into a sync.Pool allocates.
type bufferPool struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[bufferSize]byte); ok {
		return b[:]
	}
	return new([bufferSize]byte)[:]
}

func (p *bufferPool) Put(b []byte) {
	if len(b) == bufferSize {
		p.pool.Put((*[bufferSize]byte)(b))
	}
}

// inProcess is the transport of an upstream inside the gateway. It answers
// with what the handler wrote, after it returned.
type inProcess struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &bufferedResponse{header: make(http.Header), code: http.StatusOK}
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	t.handler.ServeHTTP(w, in)
	return &http.Response{
		Status: http.StatusText(w.code), StatusCode: w.code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Request: r,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
	}, nil
}

type bufferedResponse struct {
	header http.Header
	body   bytes.Buffer
	code   int
	wrote  bool
}

func (w *bufferedResponse) Header() http.Header { return w.header }

func (w *bufferedResponse) WriteHeader(code int) {
	if !w.wrote {
		w.code, w.wrote = code, true
	}
}

func (w *bufferedResponse) Write(b []byte) (int, error) {
	w.wrote = true
	return w.body.Write(b)
}
