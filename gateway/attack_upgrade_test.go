package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func handshake(lines ...string) []string {
	return append([]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, lines...)
}

// TestCrossSiteWebSocketHijacking (RFC 6455, section 10.2): browsers send
// cookies with the handshake of any site's page, and ask no CORS.
func TestCrossSiteWebSocketHijacking(t *testing.T) {
	for publicURL, origins := range map[string][]string{
		"http://localhost:8080": {
			"https://evil.test", "null", "http://localhost:8080.evil.test", "https://localhost:8080", "http://localhost:8081", "http://localhost",
			"http://evil.test:8080", "http://localhost:8080/", "", "http://evil.test/localhost:8080", "http://localhost:8080@evil.test", "HTTP://evil.test", "file://",
		},
		"https://localhost": {"http://localhost", "https://localhost:444", "https://localhost.evil.test", "null", "https://evillocalhost"},
	} {
		s := newSite(t, plan{publicURL: publicURL})
		for _, origin := range origins {
			s.denied(t, s.as(t, "alice", "/ws/", handshake("Origin: "+origin)...), http.StatusForbidden)
		}
		s.denied(t, s.as(t, "alice", "/ws/", handshake()...), http.StatusForbidden)
		s.denied(t, s.as(t, "alice", "/ws/", handshake("Origin: "+publicURL, "Origin: https://evil.test")...), http.StatusForbidden)
		s.denied(t, s.as(t, "alice", "/app", "Connection: upgrade", "Upgrade: WebSocket", "Origin: https://evil.test"), http.StatusForbidden)
	}
}

// TestUnauthenticatedUpgrade (CVE-2018-1002105): a program opens it, so it is
// never sent to a sign-in.
func TestUnauthenticatedUpgrade(t *testing.T) {
	s := newSite(t, plan{})
	for _, cookie := range []string{"", "Cookie: sp=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		lines := handshake("Origin: http://localhost:8080", "Accept: text/html")
		if cookie != "" {
			lines = append(lines, cookie)
		}
		s.denied(t, s.raw(t, s.request("GET", "/ws/", lines...)), http.StatusUnauthorized)
	}
	got := s.passed(t, s.raw(t, s.request("GET", "/public/ws", handshake("X-Forwarded-User: root")...)))
	got.isNobody(t)
	if up := got.header("Upgrade"); len(up) != 1 || up[0] != "websocket" {
		t.Errorf("Upgrade is %q", up)
	}
}

// TestOnlyWebSocketsAreUpgraded (CVE-2022-41721, h2c smuggling): the frames
// after an h2c upgrade are requests that nobody judges.
func TestOnlyWebSocketsAreUpgraded(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{})
	for _, lines := range [][]string{
		{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		{"Connection: Upgrade", "Upgrade: h2c, websocket", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		{"Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		{"Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"},
		{"Connection: Upgrade", "Upgrade: TLS/1.0"},
		{"Connection: Upgrade", "Upgrade: tcp"},
		{"Connection: HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
	} {
		frames := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		a := s.conversation(t, s.request("GET", "/public/x", lines...)+frames)
		if len(a) == 0 {
			t.Fatalf("%q: no answer", lines)
		}
		for _, got := range s.upstream.take() {
			if strings.Contains(strings.ToLower(got.raw), "h2c") || strings.Contains(got.raw, "PRI *") || strings.Contains(got.raw, "TLS/1.0") ||
				strings.Contains(got.raw, "Upgrade: tcp") || len(got.header("HTTP2-Settings")) != 0 {
				t.Errorf("%q: the application received:\n%s", lines, got.raw)
			}
		}
	}
	// The preface without an upgrade is no way either.
	for _, a := range s.conversation(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
		s.denied(t, a)
	}
}

// TestUpgradeThatTheApplicationRefused: a proxy that takes the connection for a
// tunnel all the same carries the next request past the gateway.
func TestUpgradeThatTheApplicationRefused(t *testing.T) {
	s := newSite(t, plan{})
	for _, status := range []string{"400 Bad Request", "426 Upgrade Required", "200 OK", "404 Not Found", "500 Oops"} {
		t.Run(status, func(t *testing.T) {
			s.upstream.answers("HTTP/1.1 " + status + "\r\nContent-Length: 2\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nno")
			all := s.conversation(t, s.request("GET", "/public/ws", handshake()...)+s.request("GET", "/admin/secret", "Connection: close"))
			if len(all) != 2 || fmt.Sprint(all[0].StatusCode) != status[:3] || all[1].StatusCode != http.StatusUnauthorized {
				t.Errorf("the answers are %v", all)
			}
			if got := s.upstream.take(); len(got) != 1 {
				t.Errorf("the application received %q", got)
			}
		})
	}
}

// TestSwitchThatNobodyAskedFor: only an upgrade that was asked for, and to what
// was asked for, opens a tunnel.
func TestSwitchThatNobodyAskedFor(t *testing.T) {
	s := newSite(t, plan{})
	for _, reply := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	} {
		s.upstream.answers(reply)
		all := s.conversation(t, s.request("GET", "/public/x", "Connection: close"))
		if len(all) != 1 || all[0].StatusCode != http.StatusBadGateway {
			t.Errorf("%q: the answers are %v", reply, all)
		}
		if s.upstream.take(); s.metric(t, "sallyport_open_streams") != "0" {
			t.Errorf("%q: a stream is counted as open", reply)
		}
	}
}

// realApp answers WebSockets with an echo, and /events with one event at a
// time.
func realApp(t *testing.T, more <-chan string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ws/", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the gateway looked at the Origin
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, append([]byte(r.Header.Get("X-Forwarded-User")+" said "), data...)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for event := range more {
			_, _ = io.WriteString(w, "data: "+event+"\n\n")
			w.(http.Flusher).Flush()
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestWebSocketOfTheSiteWorks(t *testing.T) {
	s := newSite(t, plan{upstream: realApp(t, nil).URL})
	_, id, _ := strings.Cut(s.signIn(t, "alice"), "=")
	header := http.Header{"Cookie": {"sp=" + id}, "Origin": {"http://localhost:8080"}, "X-Forwarded-User": {"root"}}
	c, _, err := websocket.Dial(t.Context(), "ws://localhost:8080/ws/chat", &websocket.DialOptions{HTTPClient: s.browser(), HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"hello", strings.Repeat("x", 20000)} {
		if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, data, err := c.Read(t.Context()); err != nil || string(data) != "alice said "+text {
			t.Fatalf("%v: %.100q", err, data)
		}
	}
	if got := s.metric(t, "sallyport_open_streams"); got != "1" {
		t.Errorf("%s streams are open", got)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	poll(t, "the stream to be counted as closed", func() bool { return s.metric(t, "sallyport_open_streams") == "0" })
	poll(t, "the request to be logged", func() bool { return strings.Contains(s.logText.String(), `"status":101`) })
}

func TestServerSentEventsArriveOneByOne(t *testing.T) {
	more := make(chan string)
	s := newSite(t, plan{upstream: realApp(t, more).URL})
	c := s.dial(t)
	defer c.Close()
	if _, err := io.WriteString(c, s.request("GET", "/events", "Cookie: "+s.signIn(t, "alice"), "Accept: text/event-stream", "Connection: close")); err != nil {
		t.Fatal(err)
	}
	more <- "first"
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for _, want := range []string{"first", "second", "third"} {
		if !lines.Scan() || lines.Text() != "data: "+want || !lines.Scan() {
			t.Fatalf("%q came, want %s: %v", lines.Text(), want, lines.Err())
		}
		switch want {
		case "first":
			more <- "second" // the application is still at it, so nothing was held back
		case "second":
			more <- "third"
		}
	}
	close(more)
	if lines.Scan() {
		t.Errorf("%q came after the end", lines.Text())
	}
}
