package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
)

// TestWhatOutlivesItsConfigurationArrivesWhole: a download, an upload and a WebSocket
// go on over three reloads, each of which replaces the connections to the application,
// and though everything of the configurations that they began with has been closed.
func TestWhatOutlivesItsConfigurationArrivesWhole(t *testing.T) {
	t.Parallel()
	const parts, size = 4, 300 << 10
	var noise [32]byte
	sent := make([]byte, parts*size)
	_, _ = rand.NewChaCha8(noise).Read(sent)

	more := make(chan struct{}, parts)
	app := http.NewServeMux()
	app.HandleFunc("GET /long/down", func(w http.ResponseWriter, r *http.Request) {
		for i := range parts {
			select {
			case <-more:
			case <-r.Context().Done():
				return
			}
			_, _ = w.Write(sent[i*size : (i+1)*size])
			_ = http.NewResponseController(w).Flush()
		}
	})
	uploads := make(chan []byte, parts+1)
	app.HandleFunc("POST /long/up", func(_ http.ResponseWriter, r *http.Request) {
		for {
			b := make([]byte, size)
			if _, err := io.ReadFull(r.Body, b); err != nil {
				close(uploads) // at its end
				return
			}
			uploads <- b
		}
	})
	app.HandleFunc("GET /long/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
	served := httptest.NewServer(app)
	t.Cleanup(served.Close)

	route := func(turn int) string {
		return fmt.Sprintf("- {name: long, paths: [/long/], upstream: %q, policy: users, timeouts: {response_header: %ds}}", served.URL, 30+turn)
	}
	s := newSite(t, plan{followed: true, server: "drain: {timeout: 50ms}", routes: route(0)})
	cookie := s.signIn(t, "alice")
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	start := func(method, target string, body io.Reader) io.Reader {
		r, err := http.NewRequestWithContext(ctx, method, "http://localhost:8080"+target, body)
		if err != nil {
			t.Error(err)
			return http.NoBody
		}
		r.Header.Set("Cookie", cookie)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		client := s.browser()
		client.Timeout = 0
		res, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return http.NoBody
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", target, res.StatusCode)
		}
		return res.Body
	}
	socket := s.socket(t, "/long/ws", "Cookie: "+cookie)
	socket.SetReadLimit(-1)
	source, sink := io.Pipe()
	defer sink.Close()
	more <- struct{}{}
	down := start("GET", "/long/down", nil)
	up := make(chan io.Reader, 1)
	go func() { up <- start("POST", "/long/up", source) }()

	var got, back, said []byte
	for turn := range parts {
		part := sent[turn*size : (turn+1)*size]
		if turn > 0 {
			s.reload(t, func(p *plan) { p.routes = route(turn) })
			s.gw.AwaitRetired()
			more <- struct{}{}
		}
		got = append(got, exactly(t, down, size)...)
		if _, err := sink.Write(part); err != nil {
			t.Fatal(err)
		}
		select {
		case b := <-uploads:
			back = append(back, b...)
		case <-ctx.Done():
			t.Fatalf("after %d reloads, nothing more of the upload arrives", turn)
		}
		if err := socket.Write(ctx, websocket.MessageBinary, part); err != nil {
			t.Fatalf("after %d reloads: %v", turn, err)
		}
		_, message, err := socket.Read(ctx)
		if err != nil {
			t.Fatalf("after %d reloads: %v", turn, err)
		}
		said = append(said, message...)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(down); err != nil || len(rest) > 0 {
		t.Errorf("the download ends with %d bytes too many and %v", len(rest), err)
	}
	<-up
	if _, more := <-uploads; more {
		t.Error("more was uploaded than was sent")
	}
	for name, arrived := range map[string][]byte{"download": got, "upload": back, "WebSocket": said} {
		if !bytes.Equal(arrived, sent) {
			t.Errorf("the %s did not arrive as it was sent", name)
		}
	}
}

// exactly reads n bytes.
func exactly(t *testing.T, r io.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return b
}
