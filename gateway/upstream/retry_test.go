package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// TestOnlyIdempotentRequestsGoToAnotherUpstream: half of the turns begin at one
// that can't be connected to.
func TestOnlyIdempotentRequestsGoToAnotherUpstream(t *testing.T) {
	for method, elsewhere := range map[string]bool{
		"GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "PUT": true, "DELETE": true,
		"POST": false, "PATCH": false, "LOCK": false, "get": false,
	} {
		for _, body := range []string{"", "the body"} {
			var bodies atomic.Int64
			live := newApp(t, func(_ http.ResponseWriter, r *http.Request) {
				if got, err := io.ReadAll(r.Body); err == nil && string(got) == body {
					bodies.Add(1)
				}
			})
			p := pool(t, route(nowhere(t), live.URL))
			failed := 0
			for range 4 {
				a := send(t, p, request(t.Context(), method, body), nobody)
				if a.err != nil {
					failed++
					if _, ok := errors.AsType[*upstream.ConnectError](a.err); !ok {
						t.Errorf("%s: %v", method, a.err)
					}
				}
			}
			want, retries := 2, uint64(0) // by turns
			if elsewhere {
				want, retries = 0, 2
			}
			if failed != want || int(live.received.Load()) != 4-want || bodies.Load() != live.received.Load() || p.Status().Retries != retries {
				t.Errorf("%s with the body %q: %d of 4 failed, the other upstream received %d, %d whole; %d retries",
					method, body, failed, live.received.Load(), bodies.Load(), p.Status().Retries)
			}
		}
	}
}

// TestNothingThatWasSentIsSentAgain: the first upstream takes the request, and
// hangs up without an answer.
func TestNothingThatWasSentIsSentAgain(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "GET", "DELETE"} {
		for _, body := range []string{"", "the body"} {
			rude := newApp(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				panic(http.ErrAbortHandler)
			})
			live := newApp(t, nil)
			p := pool(t, route(rude.URL, live.URL))
			a := send(t, p, request(t.Context(), method, body), nobody)
			if a.err == nil || rude.received.Load() != 1 || live.received.Load() != 0 {
				t.Errorf("%s %q: %v; it was received %d and %d times", method, body, a.err, rude.received.Load(), live.received.Load())
			}
		}
	}
}

// TestAPostIsNotSentAgainOverANewConnection: the kept connection dies under it, and
// a key says that it may be sent again. Whether the application knows such keys,
// the gateway can't tell.
func TestAPostIsNotSentAgainOverANewConnection(t *testing.T) {
	for _, key := range []string{"", "Idempotency-Key", "X-Idempotency-Key"} {
		l := listen(t)
		var posts atomic.Int64
		seen := make(chan string, 10)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					in := bufio.NewReader(c)
					for {
						r, err := http.ReadRequest(in)
						if err != nil {
							return
						}
						if r.Method == http.MethodPost {
							posts.Add(1)
							seen <- r.Header.Get("Idempotency-Key") + r.Header.Get("X-Idempotency-Key")
							return
						}
						_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
					}
				}()
			}
		}()
		p := pool(t, route("http://"+l.Addr().String()))
		get(t, p, nobody) // leaves a connection behind
		r := request(t.Context(), "POST", "")
		if key != "" {
			r.Header.Set(key, "1")
		}
		if a := send(t, p, r, nobody); a.err == nil || posts.Load() != 1 {
			t.Errorf("%q: %v; it was received %d times", key, a.err, posts.Load())
		}
		if got := <-seen; key != "" && got != "1" {
			t.Errorf("the application received the key %q", got)
		}
	}
}

func TestAFailedHandshakeCountsAsNotConnected(t *testing.T) {
	plain := newApp(t, nil)
	live := newApp(t, nil)
	p := pool(t, route("https://"+strings.TrimPrefix(plain.URL, "http://"), live.URL))
	for range 2 {
		if a := send(t, p, request(t.Context(), "GET", ""), nobody); a.err != nil {
			t.Error(a.err)
		}
	}
	if p.Status().Retries != 1 || live.received.Load() != 2 {
		t.Errorf("%d retries, %d received", p.Status().Retries, live.received.Load())
	}
}

func TestFewUpstreamsAreTriedForOneRequest(t *testing.T) {
	m := newMemory(t)
	p := poolOn(t, route("http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3", "http://10.0.0.4", "http://10.0.0.5"), m.network())
	if a := send(t, p, request(t.Context(), "GET", ""), nobody); a.err == nil {
		t.Error("it was answered")
	}
	if got := m.dials(); len(got) != 3 || got[0] == got[1] || got[1] == got[2] || got[0] == got[2] {
		t.Errorf("it was tried at %v, want three upstreams", got)
	}
}

func TestWhatOneUpstreamRefusesIsNotAskedTwice(t *testing.T) {
	m := newMemory(t)
	r := route("http://10.0.0.1")
	r.Balance.MaxConnections = 5
	p := poolOn(t, r, m.network())
	if a := send(t, p, request(t.Context(), "GET", ""), nobody); a.err == nil || len(m.dials()) != 1 {
		t.Errorf("it ended with %v", a.err)
	}
	if got := inFlight(p, "http://10.0.0.1"); got != 0 {
		t.Errorf("%d are in flight", got)
	}
}

// TestAClientThatLeftIsNotServedElsewhere: it left while the first connection was
// being made.
func TestAClientThatLeftIsNotServedElsewhere(t *testing.T) {
	m := newMemory(t)
	m.serve("10.0.0.2:80", nil)
	ctx, leave := context.WithCancel(t.Context())
	shared := m.network()
	shared.SetNetwork(nil, func(context.Context, string, string) (net.Conn, error) { leave(); return nil, errRefused })
	r := route("http://10.0.0.1", "http://10.0.0.2")
	r.Balance.Ejection = config.Ejection{Failures: 1, Duration: patience}
	p := poolOn(t, r, shared)
	a := send(t, p, request(ctx, "GET", ""), nobody)
	if a.err == nil || p.Status().Retries != 0 {
		t.Errorf("%v, %d retries", a.err, p.Status().Retries)
	}
	for _, u := range p.Status().Upstreams {
		if u.Failures != 0 || u.Ejections != 0 {
			t.Errorf("its leaving counts against %s", u.Upstream)
		}
	}
}

// TestTheBodyIsClosedWhateverHappens, as http.RoundTripper promises.
func TestTheBodyIsClosedWhateverHappens(t *testing.T) {
	live := newApp(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	for name, upstreams := range map[string][]string{
		"answered": {live.URL}, "answered by one of two": {live.URL, live.URL + "/"},
		"unreachable": {nowhere(t)}, "both unreachable": {nowhere(t), nowhere(t)}, "the second answers": {nowhere(t), live.URL},
	} {
		closed := make(chan struct{}, 10)
		r := httptest.NewRequestWithContext(t.Context(), "PUT", "/", &closing{Reader: strings.NewReader("the body"), closed: closed})
		r.RequestURI = ""
		send(t, pool(t, route(upstreams...)), r, nobody)
		poll(t, name, func() bool { return len(closed) > 0 })
	}
}

type closing struct {
	io.Reader
	closed chan struct{}
}

func (c *closing) Close() error { c.closed <- struct{}{}; return nil }
