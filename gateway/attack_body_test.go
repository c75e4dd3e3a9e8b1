package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
)

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
