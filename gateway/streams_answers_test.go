package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// get opens an answer with a client that is on its way to the gateway.
func get(t *testing.T, client *http.Client, base, target, cookie string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "localhost:8080"
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", target, res.Status)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// rest reads an answer to its end.
func rest(res *http.Response) <-chan closing {
	over := make(chan closing, 1)
	go func() {
		n, err := io.Copy(io.Discard, res.Body)
		over <- closing{at: time.Now(), err: err, whole: int(n)}
	}()
	return over
}

// TestStreamingAnswersEndWithSignOut: they are broken off, so that no client
// takes them for complete.
func TestStreamingAnswersEndWithSignOut(t *testing.T) {
	t.Parallel()
	app := newStreamingApp(t)
	s := newSite(t, plan{upstream: app.URL})
	h2, h2Base := s.http2(t)
	for name, via := range map[string]struct {
		client *http.Client
		base   string
		proto  int
	}{
		"HTTP/1.1": {s.browser(), "http://localhost:8080", 1},
		"HTTP/2":   {h2, h2Base, 2},
	} {
		for _, target := range []string{"/events", "/camera", "/quiet"} {
			t.Run(name+target, func(t *testing.T) {
				cookie, other := s.newSession(t, "alice", ""), s.newSession(t, "alice", "")
				res := get(t, via.client, via.base, target, cookie)
				kept := get(t, via.client, via.base, "/events", other)
				if res.ProtoMajor != via.proto {
					t.Fatalf("it is %s", res.Proto)
				}
				over := rest(res)
				at := s.signOut(t, cookie)
				got := await(t, over)
				got.soon(t, at)
				if got.err == nil {
					t.Error("the client takes the answer for complete")
				}
				if n, err := kept.Body.Read(make([]byte, 1)); n != 1 || err != nil {
					t.Errorf("another session's stream: %v", err)
				}
				_ = kept.Body.Close()
				poll(t, "the application to see the end", func() bool { return app.open.Load() == 0 })
				poll(t, "the streams to be over", func() bool { return s.metric(t, "sallyport_open_streams") == "0" })
			})
		}
	}
	if n := strings.Count(s.logText.String(), `"ended":"session_over"`); n != 6 {
		t.Errorf("%d ends are logged", n)
	}
	if strings.Contains(s.logText.String(), "read error during body copy") {
		t.Error("ending a stream is logged as the application's failure")
	}
}

// TestDownloadsFinish: what began before the session was over is no stream.
func TestDownloadsFinish(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{upstream: newStreamingApp(t).URL})
	cookie := s.newSession(t, "alice", "")
	over := rest(get(t, s.browser(), "http://localhost:8080", "/download", cookie))
	at := s.signOut(t, cookie)
	got := await(t, over)
	if got.err != nil || got.whole != downloadSize {
		t.Errorf("%d bytes, %v", got.whole, got.err)
	}
	if took := got.at.Sub(at); took < time.Second {
		t.Errorf("the download took %v only: it shows nothing", took)
	}
}

// TestConnectionServesOnAfterAStream: the end of one answer is not that of the
// next on the same connection.
func TestConnectionServesOnAfterAStream(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{})
	s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\n\n\n")
	first, second := s.newSession(t, "alice", ""), s.newSession(t, "alice", "")
	conn := s.dial(t)
	defer conn.Close()
	r := bufio.NewReader(conn)
	ask := func(cookie string) {
		t.Helper()
		if _, err := io.WriteString(conn, s.request("GET", "/events", "Cookie: "+cookie)); err != nil {
			t.Fatal(err)
		}
		if a := readAnswer(t, r, http.MethodGet); a.StatusCode != http.StatusOK {
			t.Fatalf("the answer is %d", a.StatusCode)
		}
	}
	ask(first)
	s.signOut(t, first)
	for began := time.Now(); time.Since(began) < time.Second; {
		ask(second)
	}
	if got := s.metric(t, `sallyport_streams_ended_total{why="session_over"}`); got != "" {
		t.Errorf("%s streams were ended that were over", got)
	}
}

// TestShutdownSaysGoodbye to every stream, public ones too, and does not wait
// for the time that downloads have.
func TestShutdownSaysGoodbye(t *testing.T) {
	before := goroutines(t)
	app := newStreamingApp(t)
	s := newSite(t, plan{upstream: app.URL})
	cookie := s.newSession(t, "alice", "")
	sockets := []<-chan closing{
		listen(t, s.socket(t, "/ws/echo", "Cookie: "+cookie)),
		listen(t, s.socket(t, "/ws/flood", "Cookie: "+cookie)),
		listen(t, s.socket(t, "/public/echo", "")),
	}
	events := rest(get(t, s.browser(), "http://localhost:8080", "/quiet", cookie))
	download := rest(get(t, s.browser(), "http://localhost:8080", "/download", cookie))
	at := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	took := time.Since(at)
	t.Logf("shut down after %v", took)
	if took > 10*time.Second { // the download takes two
		t.Errorf("the shutdown took %v", took)
	}
	for _, o := range sockets {
		endsWith(t, o, websocket.StatusGoingAway).soon(t, at)
	}
	got := await(t, events)
	got.soon(t, at)
	if got.err == nil {
		t.Error("the client takes the events for complete")
	}
	if got := await(t, download); got.err != nil || got.whole != downloadSize {
		t.Errorf("the download: %d bytes, %v", got.whole, got.err)
	}
	if n := strings.Count(s.logText.String(), `"ended":"shutdown"`); n != 4 {
		t.Errorf("%d ends are logged", n)
	}
	app.Close()
	s.upstream.stop()
	poll(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

// TestWebSocketsOverTLSEnd: closing a TLS connection says so first, and must
// not wait for a client that does not read.
func TestWebSocketsOverTLSEnd(t *testing.T) {
	app := newStreamingApp(t)
	s := newSite(t, plan{upstream: app.URL})
	server := httptest.NewTLSServer(s.gw.Handler())
	defer server.Close()
	for name, target := range map[string]string{"a client that reads": "/ws/echo", "a client that does not": "/ws/flood"} {
		t.Run(name, func(t *testing.T) {
			cookie := s.newSession(t, "alice", "")
			c, _, err := websocket.Dial(t.Context(), server.URL+target, &websocket.DialOptions{
				HTTPClient: server.Client(), Host: "localhost:8080",
				HTTPHeader: http.Header{"Origin": {"http://localhost:8080"}, "Cookie": {cookie}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.CloseNow() }()
			var over <-chan closing
			if target == "/ws/echo" {
				over = listen(t, c)
			}
			at := s.signOut(t, cookie)
			if over != nil {
				endsWith(t, over, websocket.StatusPolicyViolation).soon(t, at)
			}
			poll(t, "the stream to be over", func() bool { return s.metric(t, "sallyport_open_streams") == "0" })
			if took := time.Since(at); took > endsWithin {
				t.Errorf("it was over after %v", took)
			}
			poll(t, "the application to see the end", func() bool { return app.open.Load() == 0 })
		})
	}
}

// TestClientThatLeavesAStreamIsNoEnd of the gateway's making.
func TestClientThatLeavesAStreamIsNoEnd(t *testing.T) {
	app := newStreamingApp(t)
	s := newSite(t, plan{upstream: app.URL})
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost:8080/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", s.signIn(t, "alice"))
	res, err := s.browser().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := s.metric(t, "sallyport_open_streams"); got != "1" {
		t.Errorf("%s streams are open", got)
	}
	leave()
	if _, err := io.Copy(io.Discard, res.Body); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	poll(t, "the stream to be over", func() bool { return s.metric(t, "sallyport_open_streams") == "0" })
	poll(t, "the application to see the end", func() bool { return app.open.Load() == 0 })
	if strings.Contains(s.logText.String(), `"ended"`) {
		t.Error("the gateway says that it ended the stream")
	}
}
