package upstream_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// patience bounds every wait for the network. It is never a measure: a test that
// runs into it has failed.
const patience = 20 * time.Second

// nobody has no session to stick to.
var nobody [32]byte

// session is the key of the nth session.
func session(n int) [32]byte { return sha256.Sum256([]byte(strconv.Itoa(n))) }

// app is an application on a loopback socket that counts what it receives.
type app struct {
	*httptest.Server
	received atomic.Int64
}

// newApp starts an application. A nil handler answers with nothing.
func newApp(t testing.TB, h http.HandlerFunc) *app {
	t.Helper()
	a := &app{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.received.Add(1)
		if h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// nowhere is the URL of a port on which nobody listens.
func nowhere(t testing.TB) string {
	t.Helper()
	l := listen(t)
	_ = l.Close()
	return "http://" + l.Addr().String()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// route is a route to some upstreams, with short waits.
func route(upstreams ...string) config.Route {
	return config.Route{
		Name: "app", Upstream: upstreams,
		Timeouts: config.Timeouts{Connect: 5 * time.Second, ResponseHeader: patience},
		Balance:  config.Balance{Method: config.BalanceRoundRobin},
	}
}

// pool makes the Pool of a route, and runs it until the test ends.
func pool(t testing.TB, r config.Route) *upstream.Pool {
	t.Helper()
	return poolOn(t, r, nil)
}

func poolOn(t testing.TB, r config.Route, shared *upstream.Connections) *upstream.Pool {
	t.Helper()
	p, err := upstream.New(upstream.Options{Route: r, Connections: shared})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	if shared != nil {
		running.Go(func() { shared.Run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
		p.Close()
		if shared != nil {
			shared.Close()
		}
	})
	return p
}

// request is what the proxy hands to a Pool.
func request(ctx context.Context, method, body string) *http.Request {
	var reader io.Reader
	if body != "" {
		reader = io.NopCloser(strings.NewReader(body)) // one that can't be read again
	}
	r := httptest.NewRequestWithContext(ctx, method, "/", reader)
	r.RequestURI, r.Host = "", "app.test"
	if body == "" {
		r.Body = nil
	}
	r.ContentLength = int64(len(body))
	return r
}

// answer is what came of a request.
type answer struct {
	status int
	body   string
	err    error
}

// send sends one request and reads its answer.
func send(t testing.TB, p *upstream.Pool, r *http.Request, sticky [32]byte) answer {
	t.Helper()
	res, err := p.RoundTrip(r, sticky)
	if err != nil {
		if res != nil {
			t.Error("there is an answer besides an error")
		}
		return answer{err: err}
	}
	body, err := io.ReadAll(res.Body)
	if closed := res.Body.Close(); closed != nil {
		t.Errorf("close: %v", closed)
	}
	return answer{res.StatusCode, string(body), err}
}

// get sends a GET that must be answered, and returns the body of the answer.
func get(t testing.TB, p *upstream.Pool, sticky [32]byte) string {
	t.Helper()
	a := send(t, p, request(t.Context(), "GET", ""), sticky)
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.body
}

// pass lets time pass in a bubble of synctest.
func pass(d time.Duration) { <-time.After(d) }

func poll(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) { //nolint:forbidigo // it polls
		if time.Now().After(deadline) {
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

// memory is a network inside the process: applications by their host, and a
// name service. Within a bubble of synctest its time is the bubble's.
type memory struct {
	t testing.TB

	mu      sync.Mutex
	apps    map[string]http.HandlerFunc // by address
	names   map[string][]netip.Addr     // by host; absent = it can't be looked up
	dialled []string
	open    map[string]int // connections, by address
}

func newMemory(t testing.TB) *memory {
	t.Helper()
	return &memory{t: t, apps: map[string]http.HandlerFunc{}, names: map[string][]netip.Addr{}, open: map[string]int{}}
}

// serve puts an application at an address; nil takes it away.
func (m *memory) serve(address string, h http.HandlerFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apps[address] = h
}

func (m *memory) name(host string, addresses ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.names, host)
	for _, a := range addresses {
		m.names[host] = append(m.names[host], netip.MustParseAddr(a))
	}
}

func (m *memory) dials() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dialled
	m.dialled = nil
	return d
}

func (m *memory) connections(address string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open[address]
}

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

// connections are those over this network.
func (m *memory) network() *upstream.Connections {
	c := upstream.NewConnections(nil)
	c.SetNetwork(func(_ context.Context, host string) ([]netip.Addr, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if found, ok := m.names[host]; ok {
			return append([]netip.Addr(nil), found...), nil
		}
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	}, m.dial)
	return c
}

func (m *memory) dial(_ context.Context, _, address string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dialled = append(m.dialled, address)
	if m.apps[address] == nil {
		return nil, errRefused
	}
	here, there := net.Pipe()
	m.open[address]++
	l := &oneConn{conn: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conn <- there
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.mu.Lock()
			h := m.apps[address]
			m.mu.Unlock()
			if h == nil {
				panic(http.ErrAbortHandler)
			}
			h(w, r)
		}),
		ReadHeaderTimeout: time.Hour,
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed || s == http.StateHijacked {
				m.mu.Lock()
				m.open[address]--
				m.mu.Unlock()
				l.close()
			}
		},
	}
	go func() { _ = server.Serve(l) }()
	return here, nil
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn chan net.Conn
	done chan struct{}
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) close()         { l.once.Do(func() { close(l.done) }) }
func (l *oneConn) Close() error   { l.close(); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// says answers with a text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// answers answers with a status.
func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}
