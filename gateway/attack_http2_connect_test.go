package gateway_test

import (
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestConnectOverHTTP2OpensNoTunnel: neither the plain one nor that of RFC 8441,
// whatever is sent into it (CVE-2026-71324).
func TestConnectOverHTTP2OpensNoTunnel(t *testing.T) {
	s := newSite(t, plan{})
	alice := s.signIn(t, "alice")
	for name, fields := range map[string][]hpack.HeaderField{
		"a host":      {{Name: ":method", Value: "CONNECT"}, {Name: ":authority", Value: "localhost:443"}},
		"this site":   {{Name: ":method", Value: "CONNECT"}, {Name: ":authority", Value: s.host}},
		"with a path": {{Name: ":method", Value: "CONNECT"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: s.host}, {Name: ":path", Value: "/ws/"}},
		"with a websocket": {
			{Name: ":method", Value: "CONNECT"},
			{Name: ":protocol", Value: "websocket"},
			{Name: ":scheme", Value: "http"},
			{Name: ":authority", Value: s.host},
			{Name: ":path", Value: "/ws/"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := s.http2Frames(t)
			head := h.fields(append(fields, cookieField(alice))...)
			if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head, EndHeaders: true}); err != nil {
				t.Fatal(err)
			}
			_ = h.WriteData(1, false, []byte("GET /public/early HTTP/1.1\r\nHost: "+s.host+"\r\n\r\n")) // or it hung up
			if got := h.status(t, 1); got != "" && got != "405" && got != "400" && got != "501" {
				t.Errorf("the answer is %s", got)
			}
			if got := s.upstream.take(); len(got) != 0 {
				t.Errorf("the application received %q", got)
			}
			s.others(t)
			s.upstream.take()
		})
	}
}
