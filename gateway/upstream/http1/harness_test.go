package http1_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/upstream/http1"
)

// patience bounds every wait of the tests.
const patience = 10 * time.Second

// application is an upstream that says exactly what a test wants it to say.
type application struct {
	t           testing.TB
	addr        string
	connections atomic.Int64
	requests    atomic.Int64
	closed      chan struct{} // gets one for each connection that the gateway closed
}

// say answers one request on a connection. It returns false to close it.
type say func(c net.Conn, head string) bool

// serve starts an application. answer is asked for each request, with its head.
func serve(t testing.TB, answer say) *application {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &application{t: t, addr: l.Addr().String(), closed: make(chan struct{}, 1000)}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.connections.Add(1)
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			running.Go(func() { a.converse(c, answer) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return a
}

func (a *application) converse(c net.Conn, answer say) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		head := ""
		for !strings.HasSuffix(head, "\r\n\r\n") {
			line, err := in.ReadString('\n')
			if err != nil {
				a.closed <- struct{}{}
				return
			}
			head += line
		}
		a.requests.Add(1)
		if !answer(c, head) {
			return
		}
	}
}

// answers says the same to every request.
func answers(text string) say {
	return func(c net.Conn, _ string) bool {
		_, err := io.WriteString(c, text)
		return err == nil
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func dialTo(addr string) func(context.Context) (net.Conn, error) {
	var d net.Dialer
	return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
}

// options are those of the gateway, but for a fallback that tells that it was used.
func options(addr string) http1.Options {
	return http1.Options{
		Dial: dialTo(addr), Fallback: refusing{}, HeaderTimeout: patience, MaxHeaderBytes: 64 << 10, MaxIdle: 100, IdleTimeout: patience,
	}
}

func transport(t testing.TB, o http1.Options) *http1.Transport {
	t.Helper()
	tr := http1.New(o)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

var errFallback = errors.New("the fallback was asked")

// refusing is a fallback.
type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errFallback }

func get(ctx context.Context, path string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://app.example.test"+path, nil)
	if err != nil {
		panic(err) // the paths of the tests are fine
	}
	return r
}

// body sends a request and reads the whole answer.
func body(t testing.TB, rt http.RoundTripper, r *http.Request) string {
	t.Helper()
	res, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// within fails the test when nothing arrives in time.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
		panic("unreachable")
	}
}
