package upstream_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/upstream"
)

// hostile is an upstream that speaks as it likes, one function a connection.
type hostile struct {
	url     string
	open    atomic.Int64 // connections
	running sync.WaitGroup
}

func newHostile(t *testing.T, speak func(c net.Conn, in *bufio.Reader)) *hostile {
	t.Helper()
	l := listen(t)
	h := &hostile{url: "http://" + l.Addr().String()}
	h.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.open.Add(1)
			h.running.Go(func() {
				defer func() { _ = c.Close(); h.open.Add(-1) }()
				speak(c, bufio.NewReader(c))
			})
		}
	})
	return h
}

// head reads the head of a request.
func head(in *bufio.Reader) bool {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// hangsUp waits until the gateway does.
func hangsUp(in *bufio.Reader) { _, _ = io.Copy(io.Discard, in) }

// leavesNothing attacks a pool in front of an upstream, and checks that connections
// and goroutines are as many as before when that is closed.
func leavesNothing(t *testing.T, url string, h *hostile, wait time.Duration, attack func(p *upstream.Pool)) {
	t.Helper()
	before := runtime.NumGoroutine()
	p := alone(t, url, wait)
	attack(p)
	// A stream of HTTP/2 that was given up ends a moment later, and its connection
	// is idle then.
	poll(t, "no connection", func() bool { p.Close(); return h.open.Load() == 0 })
	poll(t, "no goroutine", func() bool { return runtime.NumGoroutine() <= before })
}

// alone is a pool that nothing runs for.
func alone(t *testing.T, url string, wait time.Duration) *upstream.Pool {
	t.Helper()
	r := route(url)
	r.Timeouts.ResponseHeader, r.Balance.MaxConnections = wait, 10
	p, err := upstream.New(upstream.Options{Route: r})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func timedOut(err error) bool {
	timeout, ok := err.(interface{ Timeout() bool })
	return ok && timeout.Timeout()
}

func TestAnUpstreamThatNeverAnswersIsGivenUp(t *testing.T) {
	h := newHostile(t, func(_ net.Conn, in *bufio.Reader) { hangsUp(in) })
	leavesNothing(t, h.url, h, 50*time.Millisecond, func(p *upstream.Pool) {
		for range 20 {
			if a := send(t, p, request(t.Context(), "POST", "body"), nobody); !timedOut(a.err) {
				t.Errorf("it ended with %v", a.err)
			}
		}
	})
}

// TestAnUpstreamThatNeverSpeaksHTTP2IsGivenUp: the connection stands, the
// handshake of the protocol does not come.
func TestAnUpstreamThatNeverSpeaksHTTP2IsGivenUp(t *testing.T) {
	h := newHostile(t, func(_ net.Conn, in *bufio.Reader) { hangsUp(in) })
	leavesNothing(t, strings.Replace(h.url, "http", "h2c", 1), h, 50*time.Millisecond, func(p *upstream.Pool) {
		if a := send(t, p, request(t.Context(), "GET", ""), nobody); !timedOut(a.err) {
			t.Errorf("it ended with %v", a.err)
		}
	})
}

func TestAHugeAnswerHeaderIsRefused(t *testing.T) {
	var written atomic.Int64
	h := newHostile(t, func(c net.Conn, in *bufio.Reader) {
		if !head(in) {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		line := "X-Filler: " + strings.Repeat("x", 1000) + "\r\n"
		for range 10 << 10 { // 10 MB
			n, err := io.WriteString(c, line)
			if err != nil {
				return
			}
			written.Add(int64(n))
		}
		_, _ = io.WriteString(c, "Content-Length: 0\r\n\r\n")
	})
	leavesNothing(t, h.url, h, patience, func(p *upstream.Pool) {
		if a := send(t, p, request(t.Context(), "GET", ""), nobody); a.err == nil {
			t.Error("it was accepted")
		}
	})
	if written.Load() > 8<<20 {
		t.Errorf("%d bytes of it were read", written.Load())
	}
}

// TestInterimAnswersWithoutEndAreGivenUp: they put off the answer for no longer
// than it may take.
func TestInterimAnswersWithoutEndAreGivenUp(t *testing.T) {
	h := newHostile(t, func(c net.Conn, in *bufio.Reader) {
		if !head(in) {
			return
		}
		for {
			if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"); err != nil {
				return
			}
		}
	})
	leavesNothing(t, h.url, h, 100*time.Millisecond, func(p *upstream.Pool) {
		if a := send(t, p, request(t.Context(), "GET", ""), nobody); a.err == nil {
			t.Error("it was accepted")
		}
	})
}

// TestAnAnswerBeforeTheBodyWasReadIsPassedOn, and its connection is not used for
// another request, which would begin inside of that body.
func TestAnAnswerBeforeTheBodyWasReadIsPassedOn(t *testing.T) {
	var connections atomic.Int64
	h := newHostile(t, func(c net.Conn, in *bufio.Reader) {
		connections.Add(1)
		if head(in) {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nbig\n")
			hangsUp(in)
		}
	})
	leavesNothing(t, h.url, h, patience, func(p *upstream.Pool) {
		for range 3 {
			body, client := io.Pipe() // sends nothing more for as long as it waits
			go func() { _, _ = io.WriteString(client, strings.Repeat("x", 1000)) }()
			r := request(t.Context(), "POST", "x")
			r.Body, r.ContentLength = body, 1<<30
			a := send(t, p, r, nobody)
			if a.status != http.StatusRequestEntityTooLarge || a.body != "big\n" || a.err != nil {
				t.Errorf("%+v", a)
			}
			_ = body.Close()
		}
	})
	if got := connections.Load(); got != 3 {
		t.Errorf("%d connections for 3 requests", got)
	}
}

// TestAnEndlessAnswerEndsWithItsClient.
func TestAnEndlessAnswerEndsWithItsClient(t *testing.T) {
	h := newHostile(t, func(c net.Conn, in *bufio.Reader) {
		if !head(in) {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		for {
			if _, err := c.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	leavesNothing(t, h.url, h, patience, func(p *upstream.Pool) {
		ctx, leave := context.WithCancel(t.Context())
		res, err := p.RoundTrip(request(ctx, "GET", ""), nobody)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
			t.Error(err)
		}
		leave()
		_ = res.Body.Close()
	})
}

// TestBadSettingsOfHTTP2 are refused, or leave requests waiting for no longer than
// an answer may take.
func TestBadSettingsOfHTTP2(t *testing.T) {
	const maxConcurrentStreams, initialWindowSize, maxFrameSize, maxHeaderListSize = 3, 4, 5, 6
	for name, setting := range map[string]struct {
		id    uint16
		value uint32
	}{
		"no streams at all":   {maxConcurrentStreams, 0},
		"too large a window":  {initialWindowSize, 1 << 31},
		"frames of no size":   {maxFrameSize, 0},
		"frames of any size":  {maxFrameSize, 1<<32 - 1},
		"no header whatever":  {maxHeaderListSize, 0},
		"a window of nothing": {initialWindowSize, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t, func(c net.Conn, in *bufio.Reader) {
				frame := []byte{0, 0, 6, 4, 0, 0, 0, 0, 0}
				frame = binary.BigEndian.AppendUint16(frame, setting.id)
				frame = binary.BigEndian.AppendUint32(frame, setting.value)
				_, _ = c.Write(frame)
				hangsUp(in)
			})
			leavesNothing(t, strings.Replace(h.url, "http", "h2c", 1), h, 100*time.Millisecond, func(p *upstream.Pool) {
				var clients sync.WaitGroup
				for range 5 {
					clients.Go(func() {
						// A client leaves some time, or its request would wait for a
						// stream for as long as it does.
						ctx, leave := context.WithTimeout(t.Context(), time.Second)
						defer leave()
						if a := send(t, p, request(ctx, "POST", "the body"), nobody); a.err == nil {
							t.Errorf("%+v", a)
						}
					})
				}
				clients.Wait()
			})
		})
	}
}

// TestAHostileUpstreamHarmsNoOther: while one swallows its requests, the others
// answer.
func TestAHostileUpstreamHarmsNoOther(t *testing.T) {
	h := newHostile(t, func(_ net.Conn, in *bufio.Reader) { hangsUp(in) })
	good := newApp(t, says("good"))
	leavesNothing(t, h.url, h, patience, func(bad *upstream.Pool) {
		ctx, leave := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for range 50 {
			clients.Go(func() {
				if a := send(t, bad, request(ctx, "GET", ""), nobody); a.err == nil {
					t.Errorf("%+v", a)
				}
			})
		}
		poll(t, "ten requests", func() bool { return h.open.Load() == 10 })
		other := alone(t, good.URL, patience)
		for range 20 {
			if got := get(t, other, nobody); got != "good" {
				t.Errorf("%q", got)
			}
		}
		leave()
		clients.Wait()
		other.Close()
		good.Close()
		if got := inFlight(bad, h.url); got != 0 {
			t.Errorf("%d are in flight", got)
		}
	})
}
