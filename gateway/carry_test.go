package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestListedTrailersPass(t *testing.T) {
	s := newSite(t, plan{routes: "\n  - {name: sums, paths: [/sums], upstream: $UP, policy: users, trailers: [Checksum]}"})
	s.upstream.answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Checksum, X-Forwarded-User\r\n\r\n1\r\na\r\n0\r\n" +
		"Checksum: abc\r\nX-Forwarded-User: root\r\nX-Late: 1\r\n\r\n")
	ask := func(target string) (string, received) {
		t.Helper()
		lines := []string{"Cookie: " + s.signIn(t, "alice"), "Transfer-Encoding: chunked", "Trailer: Checksum, X-Forwarded-User", "Connection: close", "TE: trailers"}
		a := s.raw(t, s.request("POST", target, lines...)+"1\r\na\r\n0\r\nChecksum: def\r\nX-Forwarded-User: root\r\nX-Late: 1\r\n\r\n")
		return fmt.Sprint(a.Trailer), s.passed(t, a)
	}
	answer, got := ask("/sums")
	if answer != "map[Checksum:[abc]]" {
		t.Errorf("the client got %s", answer)
	}
	if !strings.HasSuffix(got.raw, "0\r\nChecksum: def\r\n\r\n") || strings.Join(got.header("Trailer"), ",") != "Checksum" {
		t.Errorf("the application received:\n%s", got.raw)
	}
	got.isAlice(t)
	answer, got = ask("/app/")
	if answer != "map[]" || strings.Contains(got.raw, "Checksum") {
		t.Errorf("where none is listed, the client got %s, and the application:\n%s", answer, got.raw)
	}
}

func TestTrailersOfGRPCAlwaysPass(t *testing.T) {
	s := newSite(t, plan{})
	s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Type: application/grpc+proto\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status\r\n\r\n0\r\n" +
		"Grpc-Status: 5\r\nGrpc-Message: none\r\nX-Request-Cost: 3\r\n\r\n")
	h2, base := s.http2(t)
	res := get(t, h2, base, "/app/", s.signIn(t, "alice"))
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(res.Trailer); got != "map[Grpc-Message:[none] Grpc-Status:[5] X-Request-Cost:[3]]" {
		t.Errorf("the client got %s", got)
	}
}

func TestBodyLimitOfARoute(t *testing.T) {
	s := newSite(t, plan{limits: "max_body_bytes: 10B", routes: `
  - {name: large, paths: [/large], upstream: $UP, policy: users, max_body_bytes: 20B}
  - {name: endless, paths: [/endless], upstream: $UP, policy: users, max_body_bytes: 0}`})
	for target, want := range map[string][3]int{"/app/": {200, 413, 413}, "/large": {200, 200, 413}, "/endless": {200, 200, 200}} {
		for i, size := range []int{10, 20, 1000} {
			lines := []string{"Cookie: " + s.signIn(t, "alice"), fmt.Sprintf("Content-Length: %d", size), "Connection: close"}
			if a := s.raw(t, s.request("POST", target, lines...)+strings.Repeat("x", size)); a.StatusCode != want[i] {
				t.Errorf("%d bytes to %s: %d, want %d", size, target, a.StatusCode, want[i])
			}
		}
	}
}

// TestEarlyAnswerDoesNotWaitForTheBody: an application that refuses an upload at
// its beginning is heard at once.
func TestEarlyAnswerDoesNotWaitForTheBody(t *testing.T) {
	app := appOf(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	s := newSite(t, plan{upstream: app})
	conn := s.dial(t)
	defer conn.Close()
	head := s.request("PUT", "/app/", "Cookie: "+s.signIn(t, "alice"), "Content-Length: 200000000")
	if _, err := io.WriteString(conn, head+"the beginning"); err != nil {
		t.Fatal(err)
	}
	if a := readAnswer(t, bufio.NewReader(conn), http.MethodPut); a.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("the answer is %d", a.StatusCode)
	}
}

// TestBothWaysAtOnce: an application may answer while it reads.
func TestBothWaysAtOnce(t *testing.T) {
	app := appOf(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		b := make([]byte, 1)
		for {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				return
			}
			_, _ = w.Write(b)
			_ = rc.Flush()
		}
	})
	s := newSite(t, plan{upstream: app})
	conn := s.dial(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, s.request("POST", "/app/", "Cookie: "+s.signIn(t, "alice"), "Content-Length: 3")+"a"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, next := range []string{"b", "c", ""} {
		b := make([]byte, 1)
		if _, err := io.ReadFull(res.Body, b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, next); err != nil {
			t.Fatal(err)
		}
	}
}

const idleRoutes = `
  - {name: slow, paths: [/slow], upstream: $UP, policy: users, timeouts: {idle: 1s}}
  - {name: ws-slow, paths: [/ws/slow], upstream: $UP, policy: users, timeouts: {idle: 1s}}`

// TestUploadThatStalls is answered, and the application is rid of it.
func TestUploadThatStalls(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	app := appOf(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(gone)
	})
	s := newSite(t, plan{upstream: app, routes: idleRoutes})
	conn := s.dial(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, s.request("POST", "/slow", "Cookie: "+s.signIn(t, "alice"), "Content-Length: 10")+"abc"); err != nil {
		t.Fatal(err)
	}
	a := readAnswer(t, bufio.NewReader(conn), http.MethodPost)
	if a.StatusCode != http.StatusRequestTimeout || !strings.Contains(a.text, "request_timeout") {
		t.Errorf("the answer is %d\n%s", a.StatusCode, a.text)
	}
	<-gone
}

// TestApplicationMayThinkForLongerThanABodyMayStandStill: the idle timeout is not
// that of the answer.
func TestApplicationMayThinkForLongerThanABodyMayStandStill(t *testing.T) {
	t.Parallel()
	app := appOf(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(1500 * time.Millisecond):
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, upstreamSays)
	})
	s := newSite(t, plan{upstream: app, routes: idleRoutes})
	a := s.raw(t, s.request("POST", "/slow", "Cookie: "+s.signIn(t, "alice"), "Content-Length: 3", "Connection: close")+"abc")
	if a.StatusCode != http.StatusOK || a.text != upstreamSays {
		t.Errorf("the answer is %d\n%s", a.StatusCode, a.text)
	}
}

func TestAnswerThatStallsIsBrokenOff(t *testing.T) {
	t.Parallel()
	app := appOf(t, func(w http.ResponseWriter, r *http.Request) {
		for range 8 { // longer in all than one may be silent
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(250 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		<-r.Context().Done()
	})
	s := newSite(t, plan{upstream: app, routes: idleRoutes})
	got := await(t, rest(get(t, s.browser(), "http://localhost:8080", "/slow", s.signIn(t, "alice"))))
	if got.err == nil || got.whole != 8 {
		t.Errorf("%d bytes, %v", got.whole, got.err)
	}
	poll(t, "the end to be logged", func() bool { return strings.Contains(s.logText.String(), `"ended":"idle"`) })
}

func TestIdleWebSocketsAreClosed(t *testing.T) {
	t.Parallel()
	app := appOf(t, socketApp(func(c *websocket.Conn, r *http.Request) {
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	}))
	s := newSite(t, plan{upstream: app, routes: idleRoutes})
	c := s.socket(t, "/ws/slow", "Cookie: "+s.signIn(t, "alice"))
	began := time.Now()
	for time.Since(began) < 1500*time.Millisecond { // a busy one stays
		say(t, c)
		<-time.After(100 * time.Millisecond)
	}
	endsWith(t, listen(t, c), websocket.StatusGoingAway)
}

func TestStreamsEndWithTheirLifetime(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{upstream: newStreamingApp(t).URL, routes: `
  - {name: short, paths: [/ws/echo, /events], upstream: $UP, policy: users, streams: {max_lifetime: 1s}}`})
	alice := s.signIn(t, "alice")
	socket := listen(t, s.socket(t, "/ws/echo", "Cookie: "+alice))
	events := rest(get(t, s.browser(), "http://localhost:8080", "/events", alice))
	at := time.Now().Add(time.Second)
	endsWith(t, socket, websocket.StatusGoingAway).soon(t, at)
	got := await(t, events)
	got.soon(t, at)
	if got.err == nil {
		t.Error("the client takes the events for complete")
	}
}

func TestStreamsOfAUserAreCounted(t *testing.T) {
	s := newSite(t, plan{upstream: newStreamingApp(t).URL, routes: `
  - {name: few, paths: [/ws/echo, /events], upstream: $UP, policy: users, streams: {max_per_user: 2}}`})
	alice, phone, root := s.newSession(t, "alice", ""), s.newSession(t, "alice", ""), s.newSession(t, "root", "")
	first := s.socket(t, "/ws/echo", "Cookie: "+alice)
	events := get(t, s.browser(), "http://localhost:8080", "/events", phone)
	refused := func() (answer, answer) {
		return s.raw(t, s.request("GET", "/ws/echo", handshake("Origin: http://localhost:8080", "Cookie: "+alice)...)),
			s.raw(t, s.request("GET", "/events", "Cookie: "+phone, "Connection: close"))
	}
	socket, stream := refused()
	for _, a := range []answer{socket, stream} {
		if a.StatusCode != http.StatusTooManyRequests || !strings.Contains(a.text, "too_many_streams") || a.Header.Get("Retry-After") == "" {
			t.Errorf("the answer is %d\n%s", a.StatusCode, a.text)
		}
	}
	say(t, s.socket(t, "/ws/echo", "Cookie: "+root)) // others have their own
	say(t, first)
	_ = events.Body.Close()
	poll(t, "the stream to be over", func() bool { return s.metric(t, "sallyport_open_streams") == "2" })
	say(t, s.socket(t, "/ws/echo", "Cookie: "+phone))
}

// TestStreamsEndWhenTheirUserIsLetInNoMore: sooner than the session, which is as
// good as ever.
func TestStreamsEndWhenTheirUserIsLetInNoMore(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "subjects.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alice\nroot\ncaller\n")
	s := newSite(t, plan{
		upstream: newStreamingApp(t).URL,
		policies: fmt.Sprintf("\n  - {name: known, rules: [{name: known, allow: {subjects_file: %q}}]}", file),
		routes:   "\n  - {name: known, paths: [/ws/echo, /events], upstream: $UP, auth: [session, bearer], policy: known}",
	})
	alice, root := "Cookie: "+s.newSession(t, "alice", ""), "Cookie: "+s.newSession(t, "root", "")
	hers := []<-chan closing{
		listen(t, s.socket(t, "/ws/echo", alice)),
		listen(t, s.socket(t, "/ws/echo", "Authorization: Bearer "+s.token(t, nil))),
	}
	his := s.socket(t, "/ws/echo", root)
	events := rest(get(t, s.browser(), "http://localhost:8080", "/events", strings.TrimPrefix(alice, "Cookie: ")))
	write("root\n")
	for _, over := range hers {
		if got := endsWith(t, over, websocket.StatusPolicyViolation); !strings.Contains(got.err.Error(), "no longer allowed") {
			t.Errorf("the reason is not told: %v", got.err)
		}
	}
	if got := await(t, events); got.err == nil {
		t.Error("the client takes the events for complete")
	}
	say(t, his)
	if got := s.metric(t, `sallyport_streams_ended_total{why="not_allowed"}`); got != "3" {
		t.Errorf("%s streams are counted", got)
	}
	if a := s.as(t, "alice", "/download"); a.StatusCode != http.StatusOK {
		t.Errorf("the session is over: %d", a.StatusCode)
	}
}

// TestGRPCCallsEndWithAStatus when the gateway ends them.
func TestGRPCCallsEndWithAStatus(t *testing.T) {
	app := appOf(t, answerApp("application/grpc", 10*time.Millisecond, "\x00\x00\x00\x00\x00"))
	s := newSite(t, plan{upstream: app})
	h2, base := s.http2(t)
	alice := s.newSession(t, "alice", "")
	res := get(t, h2, base, "/app/", alice)
	over := rest(res)
	at := s.signOut(t, alice)
	got := await(t, over)
	got.soon(t, at)
	if got.err != nil || res.Trailer.Get("Grpc-Status") != "16" || res.Trailer.Get("Grpc-Message") == "" {
		t.Errorf("the call ended with %v, %v", got.err, res.Trailer)
	}
}

// appOf is an application of one handler; its address.
func appOf(t *testing.T, serve http.HandlerFunc) string {
	t.Helper()
	app := httptest.NewServer(serve)
	t.Cleanup(func() { app.CloseClientConnections(); app.Close() })
	return app.URL
}
