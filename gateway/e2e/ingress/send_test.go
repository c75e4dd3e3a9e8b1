//go:build e2e

package ingress_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request with header lines as they are written.
func (s *site) send(t *testing.T, method, target, body string, lines ...string) answer {
	t.Helper()
	a, err := s.try(t, method, target, body, lines...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

func (s *site) try(t *testing.T, method, target, body string, lines ...string) (answer, error) {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	if body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", method, target, s.host, strings.Join(append(lines, ""), "\r\n"))
	if _, err := io.WriteString(c, head+body); err != nil {
		return answer{}, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text)}, err
}

// received is what an application has got.
type received struct {
	Method, URL, Host string
	Headers           [][2]string
}

// received reads an answer of the application.
func (a answer) received(t *testing.T) received {
	t.Helper()
	var r received
	if a.status != http.StatusOK {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &r); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return r
}

// values are those of a header, by its exact name.
func (r received) values(name string) (values []string) {
	for _, field := range r.Headers {
		if field[0] == name {
			values = append(values, field[1])
		}
	}
	return values
}

// admin asks the API of the operators.
func (s *site) admin(t *testing.T, method, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.gateway.AdminURL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operator)
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s %s: %s %s, %v", method, path, res.Status, text, err)
	}
	return string(text)
}

// metric is one value of the gateway's, and 0 where it has none.
func (s *site) metric(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(s.admin(t, http.MethodGet, "/metrics")) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			var value float64
			if _, err := fmt.Sscan(rest, &value); err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	return 0
}
