package gateway_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// endsWithin is what the contract promises for a stream whose session is over,
// with as much again for a busy machine.
const endsWithin = 2 * time.Second

// streamingApp is an application whose answers go on and on.
type streamingApp struct {
	*httptest.Server
	open  atomic.Int32 // handlers that did not notice the end yet
	heard atomic.Int32 // messages that came from clients
}

func newStreamingApp(t *testing.T) *streamingApp {
	t.Helper()
	app, mux := &streamingApp{}, http.NewServeMux()
	handle := func(pattern string, serve http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			app.open.Add(1)
			defer app.open.Add(-1)
			serve(w, r)
		})
	}
	for _, prefix := range []string{"/ws/", "/public/", "/both/"} {
		handle(prefix+"echo", socketApp(func(c *websocket.Conn, r *http.Request) {
			for {
				kind, data, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, data) != nil {
					return
				}
				app.heard.Add(1)
			}
		}))
	}
	handle("/ws/flood", socketApp(func(c *websocket.Conn, r *http.Request) {
		c.CloseRead(r.Context())
		for {
			if err := sendMessage(c, r); err != nil {
				return
			}
		}
	}))
	handle("/ws/stream", socketApp(func(c *websocket.Conn, r *http.Request) {
		c.CloseRead(r.Context())
		tick := time.NewTicker(5 * time.Millisecond) // a slow machine keeps up, so that no frame has to wait
		defer tick.Stop()
		for sendMessage(c, r) == nil {
			<-tick.C
		}
	}))
	leave := make(chan struct{})
	handle("/ws/deaf", socketApp(func(*websocket.Conn, *http.Request) { <-leave }))
	handle("/events", answerApp("text/event-stream; charset=utf-8", 10*time.Millisecond, "data: tick\n\n"))
	handle("/camera", answerApp("Multipart/X-Mixed-Replace;boundary=x", 10*time.Millisecond, "--x\r\n\r\nimage\r\n"))
	handle("/firehose", answerApp("text/event-stream", time.Microsecond, "data: "+strings.Repeat("x", 64<<10)+"\n\n"))
	handle("/quiet", answerApp("text/event-stream", time.Hour, ""))
	handle("/download", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(downloadSize))
		answerApp("application/octet-stream", 100*time.Millisecond, strings.Repeat("x", downloadSize/20))(w, r)
	})
	app.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		close(leave)
		app.CloseClientConnections()
		app.Close()
	})
	return app
}

const downloadSize = 20 << 10

func socketApp(serve func(c *websocket.Conn, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the gateway looked at the Origin
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		c.SetReadLimit(1 << 20)
		serve(c, r)
	}
}

// answerApp writes text at every tick until the request is over, at most twenty
// times where the answer has a length.
func answerApp(kind string, every time.Duration, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(http.StatusOK)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; i < 20 || w.Header().Get("Content-Length") == ""; i++ {
			w.(http.Flusher).Flush()
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
	}
}

// sendMessage sends one message of a random size, in a random number of
// fragments.
func sendMessage(c *websocket.Conn, r *http.Request) error {
	size := rand.N(200 << 10)
	if rand.N(3) == 0 {
		size = rand.N(300) // around the borders of the length's encoding
	}
	b := message(size)
	w, err := c.Writer(r.Context(), websocket.MessageBinary)
	if err != nil {
		return err
	}
	for len(b) > 0 {
		n := 1 + rand.N(len(b))
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return w.Close()
}

// message says its size and fills it with bytes that no other size has in the
// same places.
func message(size int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(size))
	filling := bytes.Repeat([]byte{byte(size), byte(size >> 8), 1, 2, 3, 4, 5}, size/7+1)
	return append(b, filling[:size]...)
}

func wholeMessage(b []byte) bool {
	return len(b) >= 4 && bytes.Equal(b, message(len(b)-4))
}

// socket opens a WebSocket with these credentials.
func (s *site) socket(t *testing.T, target string, credential string) *websocket.Conn {
	t.Helper()
	name, value, _ := strings.Cut(credential, ": ")
	header := http.Header{"Origin": {"http://localhost:8080"}}
	if name != "" {
		header.Set(name, value)
	}
	client := s.browser()
	client.Timeout = 0
	c, res, err := websocket.Dial(t.Context(), "ws://localhost:8080"+target, &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
	if err != nil {
		t.Fatalf("%v: %v", err, res)
	}
	c.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// closing is how a WebSocket came to its end.
type closing struct {
	at     time.Time
	err    error
	whole  int // messages that came before
	broken int
}

// listen reads a WebSocket to its end.
func listen(t *testing.T, c *websocket.Conn) <-chan closing {
	t.Helper()
	over := make(chan closing, 1)
	go func() {
		var got closing
		for {
			_, data, err := c.Read(t.Context())
			if err != nil {
				got.at, got.err = time.Now(), err
				over <- got
				return
			}
			if wholeMessage(data) {
				got.whole++
			} else {
				got.broken++
			}
		}
	}()
	return over
}

// endsWith asserts that the WebSocket is closed with a status.
func endsWith(t *testing.T, over <-chan closing, status websocket.StatusCode) closing {
	t.Helper()
	got := await(t, over)
	if websocket.CloseStatus(got.err) != status {
		t.Errorf("it ended with %v, want status %d", got.err, status)
	}
	return got
}

// soon asserts that something ended soon after.
func (c closing) soon(t *testing.T, since time.Time) {
	t.Helper()
	took := c.at.Sub(since)
	t.Logf("ended after %v: %v", took, c.err)
	if took > endsWithin {
		t.Errorf("it ended after %v", took)
	}
}

func await(t *testing.T, over <-chan closing) closing {
	t.Helper()
	select {
	case got := <-over:
		return got
	case <-time.After(patience):
		t.Fatal("the stream goes on")
	}
	return closing{}
}

func (s *site) signOut(t *testing.T, cookie string) time.Time {
	t.Helper()
	at := time.Now()
	if a := s.post(t, "/.auth/logout", nil, "Cookie: "+cookie, "Sec-Fetch-Site: same-origin"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("signing out: %d\n%s", a.StatusCode, a.text)
	}
	return at
}

// say asserts that a WebSocket to the echo works.
func say(t *testing.T, c *websocket.Conn) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, data, err := c.Read(t.Context()); err != nil || string(data) != "hello" {
		t.Fatalf("%q, %v", data, err)
	}
}
