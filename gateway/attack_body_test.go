package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestUnreadBodyIsNotTakenForTheNextRequest: the application answers before it has
// read a body. What is left of that on the connection must not be read as a
// request (CWE-444).
func TestUnreadBodyIsNotTakenForTheNextRequest(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, upstreamSays) }))
	t.Cleanup(app.Close)
	inner := "GET /public/inner HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"
	for name, limits := range map[string]string{"without a limit": "", "within a limit": "max_body_bytes: 10000000"} {
		for _, expect := range []string{"X-Nothing: 1", "Expect: 100-continue"} {
			t.Run(name+", "+expect, func(t *testing.T) {
				s := newSite(t, plan{upstream: app.URL, limits: limits})
				body := strings.Repeat(inner, 20_000)
				c := s.dial(t)
				go func() {
					_, _ = io.WriteString(c, s.request("POST", "/public/x", expect, fmt.Sprintf("Content-Length: %d", len(body)))+body)
					_ = c.(*net.TCPConn).CloseWrite()
				}()
				all, _ := io.ReadAll(c) // a reset is an end like any other
				_ = c.Close()
				answers := strings.Count(string(all), "HTTP/1.1 ") - strings.Count(string(all), "HTTP/1.1 100 ")
				if answers > 1 {
					t.Errorf("one request got %d answers", answers)
				}
			})
		}
	}
}

// TestBadBodiesAreBlamedOnTheirClients: were a body that breaks off, or one in
// malformed chunks, taken for the application's failure, anybody could have it
// taken out of service, and fill the log with errors.
func TestBadBodiesAreBlamedOnTheirClients(t *testing.T) {
	s := newSite(t, plan{})
	for name, body := range map[string]string{
		"no hexadecimal length":       "zz\r\nab\r\n0\r\n\r\n",
		"a chunk longer than it says": "2\r\nabcd\r\n0\r\n\r\n",
		"a length beyond all numbers": "fffffffffffffffff\r\na\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			all := s.conversation(t, s.request("POST", "/public/x", "Transfer-Encoding: chunked")+body+s.request("GET", "/public/next"))
			if len(all) != 1 || all[0].StatusCode != http.StatusBadRequest || !all[0].Close {
				t.Errorf("got %v", all)
			}
		})
	}
	c := s.dial(t)
	_, _ = io.WriteString(c, s.request("POST", "/app/broken-off", "Cookie: "+s.signIn(t, "alice"), "Content-Length: 1000")+"the first part")
	_ = c.Close()
	if line := s.logged(t, "alice", "/app/broken-off"); fmt.Sprintf("%v %v", line["status"], line["reason"]) != "499 client_gone" {
		t.Errorf("logged as %v", line)
	}
}
