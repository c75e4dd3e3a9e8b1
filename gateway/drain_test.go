package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// readiness is what the operators' listener says.
func (s *site) readiness(t *testing.T) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
	return w.Code, w.Body.String()
}

// leave asks for the end, and returns when the gateway knows.
func (s *site) leave(t *testing.T) (ended chan error) {
	t.Helper()
	ended = make(chan error, 1)
	go func() { ended <- s.stop() }()
	poll(t, "the gateway not to be ready", func() bool { code, _ := s.readiness(t); return code == http.StatusServiceUnavailable })
	return ended
}

// TestGatewayServesWhileBalancersNotice: it is not ready from the first moment, every
// answer ends its connection, and nobody is refused.
func TestGatewayServesWhileBalancersNotice(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{server: "drain: {delay: 5s}"})
	if code, text := s.readiness(t); code != http.StatusOK || !strings.Contains(text, `"ready"`) {
		t.Fatalf("at first: %d %s", code, text)
	}
	// A connection that was kept alive, one that has not asked yet, and a new one.
	kept, fresh := s.dial(t), s.dial(t)
	reader := bufio.NewReader(kept)
	if _, err := io.WriteString(kept, s.request("GET", "/public/")); err != nil {
		t.Fatal(err)
	}
	if a := readAnswer(t, reader, "GET"); a.StatusCode != http.StatusOK || a.Close {
		t.Fatalf("before: %d, close %v", a.StatusCode, a.Close)
	}
	s.leave(t)
	if _, text := s.readiness(t); !strings.Contains(text, `"draining"`) {
		t.Errorf("it says %s", text)
	}
	if _, err := io.WriteString(kept, s.request("GET", "/public/")); err != nil {
		t.Fatal(err)
	}
	if a := readAnswer(t, reader, "GET"); a.StatusCode != http.StatusOK || !a.Close {
		t.Errorf("over the connection that was kept: %d, close %v", a.StatusCode, a.Close)
	}
	if _, err := io.WriteString(fresh, s.request("GET", "/public/")); err != nil {
		t.Fatal(err)
	}
	if a := readAnswer(t, bufio.NewReader(fresh), "GET"); a.StatusCode != http.StatusOK || !a.Close {
		t.Errorf("over one that had not asked yet: %d, close %v", a.StatusCode, a.Close)
	}
	if a := s.raw(t, s.request("GET", "/.auth/me")); a.StatusCode != http.StatusUnauthorized || !a.Close {
		t.Errorf("the gateway's own answer, over a new one: %d, close %v", a.StatusCode, a.Close)
	}
	// An informational answer takes headers with it that were set before.
	s.upstream.answers("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	c := s.dial(t)
	defer c.Close()
	if _, err := io.WriteString(c, s.request("GET", "/public/")); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(c) // to the end of the connection
	if err != nil || !strings.Contains(string(text), "103 Early Hints") || !strings.Contains(string(text), "Connection: close") {
		t.Errorf("after an early hint: %v\n%s", err, text)
	}
	// A switch of protocols has a Connection header of its own.
	s.upstream.answers("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
	a := s.raw(t, s.request("GET", "/public/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a", "Sec-WebSocket-Version: 13"))
	if a.StatusCode != http.StatusSwitchingProtocols || strings.Join(a.Header["Connection"], ",") != "Upgrade" {
		t.Errorf("an upgrade: %d %v", a.StatusCode, a.Header)
	}
}

// TestHTTP2ClientsAreToldToGo: by GOAWAY, with the answer that they get.
func TestHTTP2ClientsAreToldToGo(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{server: "drain: {delay: 5s}"})
	h := s.http2Frames(t)
	if err := h.get(1, "/public/"); err != nil {
		t.Fatal(err)
	}
	if status := h.status(t, 1); status != "200" {
		t.Fatalf("before: %s", status)
	}
	s.leave(t)
	if err := h.get(3, "/public/"); err != nil {
		t.Fatal(err)
	}
	status := h.status(t, 3)
	h.until(t, func(http2.Frame) bool { return h.away != "" })
	if status != "200" || h.away != "NO_ERROR after stream 3" {
		t.Errorf("after: %s, and it says %q", status, h.away)
	}
}
