package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestContentLengthBesideTransferEncoding (RFC 9112, section 6.1): whoever
// believes the other of the two sees another request in the body.
func TestContentLengthBesideTransferEncoding(t *testing.T) {
	s := newSite(t, plan{})
	inner := s.request("GET", "/admin/secret", "Connection: close")
	all := s.conversation(t, s.request("POST", "/public/x", "Content-Length: 5", "Transfer-Encoding: chunked")+"0\r\n\r\n"+inner)
	for _, a := range all[min(1, len(all)):] {
		if a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusBadRequest {
			t.Errorf("the second request was answered with %d", a.StatusCode)
		}
	}
	for _, got := range s.upstream.take() {
		if strings.Contains(got.raw, "/admin/secret") || len(got.header("Content-Length")) != 0 && len(got.header("Transfer-Encoding")) != 0 {
			t.Errorf("the application received:\n%s", got.raw)
		}
	}
}

// TestObfuscatedTransferEncoding (CVE-2022-1705, CVE-2019-16276).
func TestObfuscatedTransferEncoding(t *testing.T) {
	s := newSite(t, plan{})
	for _, line := range []string{
		"Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: identity",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding : chunked",
		`Transfer-Encoding: "chunked"`, "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: ", "Transfer-Encoding\x00: chunked",
	} {
		t.Run(line, func(t *testing.T) {
			all := s.conversation(t, s.request("POST", "/public/x", line)+"0\r\n\r\n"+s.request("GET", "/public/second", "Connection: close"))
			if len(all) != 1 {
				t.Fatalf("%d answers, want one and the end of the connection", len(all))
			}
			s.denied(t, all[0], http.StatusBadRequest, http.StatusNotImplemented)
		})
	}
}

// TestTransferEncodingInHTTP10 has a body that only a reader of chunks sees, and
// asks to keep the connection, so that the rest could become a request.
func TestTransferEncodingInHTTP10(t *testing.T) {
	s := newSite(t, plan{})
	for _, keep := range []string{"close", "keep-alive"} {
		text := "POST /public/x HTTP/1.0\r\nHost: localhost:8080\r\nTransfer-Encoding: chunked\r\nConnection: " + keep + "\r\n\r\n" +
			"GET /public/smuggled HTTP/1.0\r\nHost: localhost:8080\r\n\r\n"
		s.conversation(t, text)
		for _, got := range s.upstream.take() {
			if strings.Contains(got.raw, "smuggled") {
				t.Errorf("Connection: %s: the body came to the application as a request", keep)
			}
		}
	}
}

func TestMalformedContentLength(t *testing.T) {
	s := newSite(t, plan{})
	for _, line := range []string{
		"Content-Length: +3", "Content-Length: 3, 3", "Content-Length: 0x3", "Content-Length: 3 4", "Content-Length: -1",
		"Content-Length: 18446744073709551616", "Content-Length: 3\r\nContent-Length: 4", "Content-Length:", "Content-Length: 3_0", "Content-Length: \x0b3",
	} {
		t.Run(line, func(t *testing.T) {
			all := s.conversation(t, s.request("POST", "/public/x", line)+"abc"+s.request("GET", "/public/second", "Connection: close"))
			if len(all) != 1 {
				t.Fatalf("%d answers, want one and the end of the connection", len(all))
			}
			s.denied(t, all[0], http.StatusBadRequest)
		})
	}
}

// TestWhitespaceInHeaderLines (CVE-2019-16276; RFC 9112, section 5.1).
func TestWhitespaceInHeaderLines(t *testing.T) {
	s := newSite(t, plan{})
	alice := "Cookie: " + s.signIn(t, "alice")
	for _, line := range []string{
		"X-Forwarded-User : root", "X-Forwarded-User\t: root", "X-Forwarded-User\x00: root", "X-A: 1\rX-Forwarded-User: root",
		"X-Forw\xe9rded-User: root", ": root", "X-Forwarded-User root", "X-A: \x00", "X Forwarded-User: root", "X-Forwarded-User\x0b: root",
	} {
		s.denied(t, s.raw(t, s.request("GET", "/app", alice, line, "Connection: close")), http.StatusBadRequest)
	}
	s.denied(t, s.raw(t, "GET /app HTTP/1.1\r\n X-Forwarded-User: root\r\nHost: localhost:8080\r\n"+alice+"\r\n\r\n"), http.StatusBadRequest)

	folded := s.raw(t, s.request("GET", "/app", alice, "X-A: 1\r\n X-Forwarded-User: root", "Connection: close"))
	if folded.StatusCode == http.StatusOK {
		got := s.passed(t, folded)
		got.isAlice(t)
		if lines := got.header("X-A"); len(lines) != 1 {
			t.Errorf("the folded line arrived as %q", lines)
		}
	}
}

// TestBodyOfARefusedRequestIsNeverARequest (CWE-444): what is left of a body on
// a connection that goes on would be read as the next request.
func TestBodyOfARefusedRequestIsNeverARequest(t *testing.T) {
	s := newSite(t, plan{})
	owned := s.request("GET", "/public/owned")
	for name, body := range map[string]string{"small": owned, "1 MiB": strings.Repeat(owned, 1<<20/len(owned))} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t)
			defer c.Close()
			go func() { // the gateway may stop reading
				_, _ = io.WriteString(c, s.request("POST", "/admin/secret", fmt.Sprintf("Content-Length: %d", len(body)))+body+
					s.request("GET", "/public/b", "Connection: close"))
			}()
			r := bufio.NewReader(c)
			if a := readAnswer(t, r, "POST"); a.StatusCode != http.StatusUnauthorized && a.StatusCode != 0 {
				t.Errorf("the first answer is %d", a.StatusCode)
			}
			second := readAnswer(t, r, "GET")
			got := s.upstream.take()
			switch {
			case second.StatusCode == 0 && len(got) == 0:
			case second.StatusCode == http.StatusOK && len(got) == 1 && got[0].target() == "/public/b":
			default:
				t.Errorf("the second answer is %d, and the application received %q", second.StatusCode, got)
			}
		})
	}
}

// TestRefusalDoesNotWaitForTheBody: a client that promises a body and never
// sends it would otherwise hold a connection for nothing, without an account.
func TestRefusalDoesNotWaitForTheBody(t *testing.T) {
	s := newSite(t, plan{limits: "read_header_timeout: 1s"})
	for _, target := range []string{"/admin/secret", "/app", "/.auth/login", "/.auth/logout", "/.auth/nothing", "/.auth/me"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			form := "Content-Type: application/x-www-form-urlencoded"
			all := s.conversation(t, s.request("POST", target, form, "Content-Length: 100")+"provider=dev")
			if len(all) > 1 {
				t.Fatalf("%d answers", len(all))
			}
			for _, a := range all {
				s.denied(t, a)
			}
		})
	}
}

// TestTrailersAreNotForwarded (RFC 9110, section 6.5): they arrive after the
// headers were judged.
func TestTrailersAreNotForwarded(t *testing.T) {
	s := newSite(t, plan{})
	alice := "Cookie: " + s.signIn(t, "alice")
	for _, name := range []string{"X-Forwarded-User", "Authorization", "Cookie", "Content-Length", "X-Anything"} {
		for _, announced := range []bool{true, false} {
			lines := []string{alice, "Transfer-Encoding: chunked", "Connection: close"}
			if announced {
				lines = append(lines, "Trailer: "+name)
			}
			a := s.raw(t, s.request("POST", "/app/", lines...)+"1\r\na\r\n0\r\n"+name+": root\r\n\r\n")
			if a.StatusCode == http.StatusBadRequest {
				s.denied(t, a)
				continue
			}
			got := s.passed(t, a)
			got.isAlice(t)
			if strings.Contains(got.raw, name+": root") || len(got.header("Trailer")) != 0 {
				t.Errorf("the application received:\n%s", got.raw)
			}
		}
	}
}
