package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// recorder is an application that keeps the bytes of every request.
type recorder struct {
	addr     string
	listener net.Listener

	mu    sync.Mutex
	got   []received
	reply string
	conns map[net.Conn]bool
}

// received is one request as it arrived.
type received struct{ raw string }

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &recorder{addr: l.Addr().String(), listener: l, conns: map[net.Conn]bool{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns[c] = true
			u.mu.Unlock()
			go u.serve(c)
		}
	}()
	t.Cleanup(u.stop)
	return u
}

func (u *recorder) stop() {
	_ = u.listener.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.conns {
		_ = c.Close()
	}
}

// answers sets the bytes of every answer from now on; "" is the usual one.
func (u *recorder) answers(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reply = text
}

func (u *recorder) serve(c net.Conn) {
	defer c.Close()
	var bytesIn bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &bytesIn))
	for {
		req, err := http.ReadRequest(r)
		if err == nil {
			_, err = io.Copy(io.Discard, req.Body)
		}
		if err != nil && bytesIn.Len() == 0 {
			return
		}
		u.mu.Lock()
		u.got = append(u.got, received{bytesIn.String()})
		reply := u.reply
		u.mu.Unlock()
		bytesIn.Reset()
		if reply == "" {
			reply = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(upstreamSays), upstreamSays)
		}
		if _, werr := io.WriteString(c, reply); err != nil || werr != nil {
			return
		}
	}
}

// take returns what arrived since the last call.
func (u *recorder) take() []received {
	u.mu.Lock()
	defer u.mu.Unlock()
	got := u.got
	u.got = nil
	return got
}

func (r received) target() string {
	line, _, _ := strings.Cut(r.raw, "\r\n")
	_, rest, _ := strings.Cut(line, " ")
	return strings.TrimSuffix(rest, " HTTP/1.1")
}

// lines are the header lines, as sent.
func (r received) lines() []string {
	head, _, _ := strings.Cut(r.raw, "\r\n\r\n")
	return strings.Split(head, "\r\n")[1:]
}

// header returns the values of every line whose name an application could take
// for name: compared on letters and digits alone, as CGI and WSGI do.
func (r received) header(name string) []string {
	var values []string
	for _, line := range r.lines() {
		n, v, _ := strings.Cut(line, ":")
		if folded(n) == folded(name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

func folded(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, strings.ToLower(name))
}

func identityHeaders() []string {
	return []string{"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username"}
}

// isNobody asserts that no identity reached the application.
func (r received) isNobody(t *testing.T) {
	t.Helper()
	for _, name := range identityHeaders() {
		if got := r.header(name); len(got) != 0 {
			t.Errorf("%s reached the application as %q", name, got)
		}
	}
}

// isUser asserts that the identity headers are exactly those of a user.
func (r received) isUser(t *testing.T, user, email, groups, preferred string) {
	t.Helper()
	for i, want := range []string{user, email, groups, preferred} {
		name := identityHeaders()[i]
		got := r.header(name)
		switch {
		case want == "" && len(got) == 0:
		case want != "" && slices.Equal(got, []string{want}) && slices.Contains(r.lines(), name+": "+want):
		default:
			t.Errorf("%s reached the application as %q, want one %q", name, got, want)
		}
	}
}

func (r received) isAlice(t *testing.T) {
	t.Helper()
	r.isUser(t, "alice", "alice@example.test", "users", "alice")
}
