package gateway_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestWebSocketsEndWithSignOut(t *testing.T) {
	app := newStreamingApp(t)
	s := newSite(t, plan{upstream: app.URL})
	alice, phone := s.newSession(t, "alice", ""), s.newSession(t, "alice", "")
	hers := []*websocket.Conn{s.socket(t, "/ws/echo", "Cookie: "+alice), s.socket(t, "/both/echo", "Cookie: "+alice)}
	others := []*websocket.Conn{
		s.socket(t, "/ws/echo", "Cookie: "+phone),
		s.socket(t, "/public/echo", "Cookie: "+alice),
		s.socket(t, "/both/echo", "Authorization: Bearer "+s.token(t, map[string]any{"groups": []string{"users"}})),
	}
	for _, c := range append(hers, others...) {
		say(t, c)
	}
	if got := s.metric(t, "sallyport_open_streams"); got != "5" {
		t.Errorf("%s streams are open", got)
	}
	var over []<-chan closing
	for _, c := range hers {
		over = append(over, listen(t, c))
	}
	at := s.signOut(t, alice)
	for _, o := range over {
		got := endsWith(t, o, websocket.StatusPolicyViolation)
		got.soon(t, at)
		if !strings.Contains(got.err.Error(), "session ended") {
			t.Errorf("the reason is not told: %v", got.err)
		}
	}
	poll(t, "the application to see the end", func() bool { return app.open.Load() == 3 })
	poll(t, "the streams to be counted", func() bool { return s.metric(t, "sallyport_open_streams") == "3" })
	if got := s.metric(t, `sallyport_streams_ended_total{why="session_over"}`); got != "2" {
		t.Errorf("%s streams are counted as ended", got)
	}
	poll(t, "the end to be logged", func() bool { return strings.Count(s.logText.String(), `"ended":"session_over"`) == 2 })
	for _, c := range others {
		say(t, c)
	}
}

// TestNothingReachesTheApplicationAfterTheEnd: what the client says after its
// session is over is nobody's word.
func TestNothingReachesTheApplicationAfterTheEnd(t *testing.T) {
	app := newStreamingApp(t)
	s := newSite(t, plan{upstream: app.URL})
	alice := s.newSession(t, "alice", "")
	conn := s.dial(t)
	defer conn.Close()
	message := append([]byte{0x81, 0x80 | 5, 0, 0, 0, 0}, "hello"...)
	head := s.request("GET", "/ws/echo", handshake("Origin: http://localhost:8080", "Cookie: "+alice)...)
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", res, err)
	}
	if _, err := conn.Write(message); err != nil {
		t.Fatal(err)
	}
	poll(t, "the application to hear it", func() bool { return app.heard.Load() == 1 })
	s.signOut(t, alice)
	var said []byte
	for !bytes.Contains(said, []byte("session ended")) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("%v after %q", err, said)
		}
		said = append(said, b)
	}
	poll(t, "the gateway to hang up", func() bool { _, err := conn.Write(message); return err != nil })
	poll(t, "the application to see the end", func() bool { return app.open.Load() == 0 })
	if n := app.heard.Load(); n != 1 {
		t.Errorf("the application heard %d messages", n)
	}
}

// TestWebSocketsEndWithTheirSessionsTime: neither traffic inside a WebSocket
// nor an open one keeps a session alive.
func TestWebSocketsEndWithTheirSessionsTime(t *testing.T) {
	for name, c := range map[string]struct {
		session string
		after   time.Duration
		use     bool // of the session, beside the WebSocket
	}{
		"idle though the WebSocket is busy":   {"idle_timeout: 1s", time.Second, false},
		"absolute though the session is busy": {"idle_timeout: 1500ms, absolute_timeout: 1500ms", 1500 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, plan{upstream: newStreamingApp(t).URL, session: c.session})
			began := time.Now()
			cookie := s.newSession(t, "alice", "")
			socket := s.socket(t, "/ws/echo", "Cookie: "+cookie)
			over := listen(t, socket)
			var got closing
			poll(t, "the WebSocket to end", func() bool {
				if c.use {
					s.raw(t, s.request("HEAD", "/download", "Cookie: "+cookie, "Connection: close"))
				}
				_ = socket.Write(t.Context(), websocket.MessageText, []byte("busy"))
				select {
				case got = <-over:
					return true
				default:
					return false
				}
			})
			again := make(chan closing, 1)
			again <- got
			endsWith(t, again, websocket.StatusPolicyViolation).soon(t, began.Add(c.after))
			if early := began.Add(c.after).Sub(got.at); early > 0 {
				t.Errorf("it ended %v early", early)
			}
		})
	}
}

func TestWebSocketsOfATokenEndWithTheToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{upstream: newStreamingApp(t).URL})
	expires := time.Now().Add(2 * time.Second).Truncate(time.Second)
	token := s.token(t, map[string]any{"groups": []string{"users"}, "exp": expires.Unix()})
	over := listen(t, s.socket(t, "/both/echo", "Authorization: Bearer "+token))
	endsWith(t, over, websocket.StatusPolicyViolation).soon(t, expires)
}

// TestClientsNeverSeeABrokenFrame ends WebSockets that are full of messages of
// all sizes, whole and in fragments, at any moment.
func TestClientsNeverSeeABrokenFrame(t *testing.T) {
	t.Parallel()
	app := newStreamingApp(t)
	s := newSite(t, plan{upstream: app.URL})
	const rounds, sockets = 13, 4
	whole, cut := 0, 0
	for range rounds {
		cookie := s.newSession(t, "alice", "")
		var over []<-chan closing
		for range sockets {
			over = append(over, listen(t, s.socket(t, "/ws/stream", "Cookie: "+cookie)))
		}
		s.signOut(t, cookie)
		for _, o := range over {
			got := await(t, o)
			if websocket.CloseStatus(got.err) != websocket.StatusPolicyViolation {
				t.Logf("cut off: %v", got.err)
				cut++
			}
			if got.broken > 0 {
				t.Errorf("%d messages are not as the application sent them", got.broken)
			}
			whole += got.whole
		}
		poll(t, "the application to see the end", func() bool { return app.open.Load() == 0 })
	}
	t.Logf("%d messages arrived whole", whole)
	if whole == 0 {
		t.Error("no message arrived at all")
	}
	// A client that takes too long for a frame is not waited for: that can
	// happen on a busy machine, to few.
	if cut > rounds*sockets/10 {
		t.Errorf("%d WebSockets were cut off without a word", cut)
	}
}

// TestClientThatDoesNotCooperateIsCutOff: one that does not read, does not
// answer, or never stops to talk keeps neither a connection nor a goroutine.
func TestClientThatDoesNotCooperateIsCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		read   bool
		write  bool
	}{
		"reads nothing of many messages":        {"/ws/flood", false, false},
		"reads nothing of many events":          {"/firehose", false, false},
		"reads all and never answers":           {"/ws/echo", true, false},
		"writes to an application that is deaf": {"/ws/deaf", false, true},
		"is as silent as the application":       {"/ws/deaf", false, false},
		"waits for events that never come":      {"/quiet", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			app := newStreamingApp(t)
			s := newSite(t, plan{upstream: app.URL})
			cookie := s.newSession(t, "alice", "")
			poll(t, "the connections before to be over", func() bool { return s.metric(t, "sallyport_open_streams") == "0" })
			before := goroutines(t)

			conn := s.dial(t)
			defer conn.Close()
			lines := []string{"Cookie: " + cookie}
			if strings.HasPrefix(c.target, "/ws/") {
				lines = append(lines, handshake("Origin: http://localhost:8080")...)
			}
			if _, err := io.WriteString(conn, s.request("GET", c.target, lines...)); err != nil {
				t.Fatal(err)
			}
			poll(t, "the stream to be open", func() bool { return s.metric(t, "sallyport_open_streams") == "1" })
			hungUp := make(chan error, 2)
			if c.read {
				go func() { _, err := io.Copy(io.Discard, conn); hungUp <- err }()
			}
			if c.write {
				go func() { hungUp <- talk(conn) }()
			}
			at := s.signOut(t, cookie)
			poll(t, "the stream to be over", func() bool { return s.metric(t, "sallyport_open_streams") == "0" })
			took := time.Since(at)
			t.Logf("over after %v", took)
			if took > endsWithin {
				t.Errorf("it was over after %v", took)
			}
			if c.read || c.write {
				<-hungUp
			}
			app.CloseClientConnections() // of an application that does not look
			t.Cleanup(func() {
				var running strings.Builder
				if t.Failed() && pprof.Lookup("goroutine").WriteTo(&running, 1) == nil {
					t.Log(running.String())
				}
			})
			poll(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+int(app.open.Load()) })
		})
	}
}

// goroutines counts those that run when all of them have begun.
func goroutines(t *testing.T) (n int) {
	t.Helper()
	same := 0
	poll(t, "the number of goroutines to stay", func() bool {
		if now := runtime.NumGoroutine(); now == n {
			same++
		} else {
			n, same = now, 0
		}
		return same == 20
	})
	return n
}

// talk sends messages until nobody takes them any more.
func talk(c net.Conn) error {
	frame := append([]byte{0x82, 0x80 | 126, 0x40, 0, 0, 0, 0, 0}, bytes.Repeat([]byte("x"), 0x4000)...)
	for {
		if _, err := c.Write(frame); err != nil {
			return err
		}
	}
}
