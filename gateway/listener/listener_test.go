package listener_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/listener"
)

// patience bounds every wait. A test that runs into it has failed.
const patience = 20 * time.Second

// says answers with who asks, as the gateway would see him.
func says(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s from %s", r.Proto, r.URL.Path, r.RemoteAddr)
}

// group is an open group that serves; what it is made of can be changed before.
type group struct {
	*listener.Group
	served  chan error
	refused atomic.Int32
}

func serve(t *testing.T, server config.Server, change ...func(*listener.Options)) *group {
	t.Helper()
	g := &group{served: make(chan error, 1)}
	o := listener.Options{
		Server: server, Handler: http.HandlerFunc(says), Log: zap.NewNop(),
		Trusted: func(string) bool { return true },
		Refused: func(string) { g.refused.Add(1) },
	}
	for _, c := range change {
		c(&o)
	}
	b := listener.NewBinder()
	var err error
	if g.Group, err = listener.Open(t.Context(), b, o); err != nil {
		t.Fatal(err)
	}
	b.Close()
	go func() { g.served <- g.Serve() }()
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := <-g.served; err != nil {
			t.Errorf("it ended with %v", err)
		}
		if n := g.Open(); n != 0 {
			poll(t, "all connections to be closed", func() bool { return g.Open() == 0 })
		}
	})
	return g
}

func (g *group) addr(i int) string { return g.Addresses()[i].Addr.String() }

// dial opens a connection that ends with the test.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	var d net.Dialer
	c, err := d.DialContext(t.Context(), network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

const get = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"

// ask sends text and returns the body of the answer; "" where the connection was
// closed without one.
func ask(t *testing.T, c net.Conn, text string) (body string, header http.Header) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		return "", nil
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b), res.Header
}

// over is a client that goes to addr whatever it asks for.
func over(addr string, conf *tls.Config) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: conf, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
	}}
}

func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("still waiting: " + what)
		}
	}
}

func anywhere() config.Server { return config.Server{Listen: "127.0.0.1:0"} }
