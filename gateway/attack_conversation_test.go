package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// request writes a request head. A line of lines that begins with "Host:" takes
// the place of the usual one.
func (s *site) request(method, target string, lines ...string) string {
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Host:") }) {
		lines = append([]string{"Host: " + s.host}, lines...)
	}
	return method + " " + target + " HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// answer is what came back; StatusCode 0 is a connection closed without a word.
type answer struct {
	*http.Response
	text string
}

// raw sends bytes over a connection of its own and returns the answer.
func (s *site) raw(t *testing.T, text string) answer {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	_, _ = io.WriteString(c, text) // a gateway that has enough hangs up
	return readAnswer(t, bufio.NewReader(c), methodOf(text))
}

// conversation sends bytes that are meant as several requests, and returns
// every answer until the gateway closes the connection.
func (s *site) conversation(t *testing.T, text string) []answer {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	_, _ = io.WriteString(c, text)
	r := bufio.NewReader(c)
	var all []answer
	for {
		a := readAnswer(t, r, methodOf(text))
		if a.StatusCode == 0 {
			return all
		}
		all = append(all, a)
	}
}

func (s *site) dial(t *testing.T) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func methodOf(text string) string {
	method, _, _ := strings.Cut(text, " ")
	return method
}

func readAnswer(t *testing.T, r *bufio.Reader, method string) answer {
	t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Fatal("no answer, and the connection stays open")
	}
	if err != nil {
		return answer{Response: &http.Response{Header: http.Header{}}}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading an answer: %v", err)
	}
	return answer{res, string(body)}
}
