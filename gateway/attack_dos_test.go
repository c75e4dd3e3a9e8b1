package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// TestHeadersAreBounded (CVE-2021-31525, CVE-2023-24534).
func TestHeadersAreBounded(t *testing.T) {
	s := newSite(t, plan{})
	for name, head := range map[string]string{
		"one header of 1.1 MB":     s.request("GET", "/public/", "X-A: "+strings.Repeat("a", 1_100_000)),
		"20,000 lines":             s.request("GET", "/public/", strings.Repeat("a:b\r\n", 20_000)+"c: d"),
		"a target of 40 KiB":       s.request("GET", "/public/"+strings.Repeat("a", 40<<10)),
		"a query of 40 KiB":        s.request("GET", "/public/?"+strings.Repeat("a", 40<<10)),
		"Authorization of 64 KiB":  s.request("GET", "/api/", "Authorization: Bearer "+strings.Repeat("a", 64<<10)),
		"a cookie of 100 KiB":      s.request("GET", "/app", "Cookie: sp="+strings.Repeat("a", 100<<10)),
		"a method of 64 KiB":       s.request(strings.Repeat("A", 64<<10), "/public/"),
		"a header name of 64 KiB":  s.request("GET", "/public/", strings.Repeat("A", 64<<10)+": x"),
		"a host of 64 KiB":         s.request("GET", "/public/", "Host: "+strings.Repeat("a", 64<<10)),
		"a line without an end":    "GET /public/" + strings.Repeat("a", 1<<20),
		"an own endpoint, 100 KiB": s.request("GET", "/.auth/login", "X-A: "+strings.Repeat("a", 100<<10)),
	} {
		t.Run(name, func(t *testing.T) { s.denied(t, s.raw(t, head), 0, 400, 414, 431) })
	}
}

// TestHeaderLinesAndTargetsAreCounted: within the bytes that a header may have, a
// client can send thousands of lines, each of which costs more than it is long.
func TestHeaderLinesAndTargetsAreCounted(t *testing.T) {
	s := newSite(t, plan{limits: "max_headers: 20, max_target_bytes: 2000"})
	for name, c := range map[string]struct {
		head, reason string
		status       int
	}{
		"21 lines of one name":       {s.request("GET", "/public/", strings.Repeat("a: b\r\n", 20)+"a: b"), "too_many_headers", 431},
		"21 lines of their own":      {s.request("GET", "/public/", numbered(21)...), "too_many_headers", 431},
		"4,000 lines":                {s.request("GET", "/app", strings.Repeat("a:b\r\n", 4000)+"c: d"), "too_many_headers", 431},
		"4,000 for an own endpoint":  {s.request("GET", "/.auth/me", strings.Repeat("a:b\r\n", 4000)+"c: d"), "too_many_headers", 431},
		"a path of 2,001 bytes":      {s.request("GET", "/public/"+strings.Repeat("a", 1993)), "target_too_long", 414},
		"a query of 2,001 bytes":     {s.request("GET", "/public/?"+strings.Repeat("a", 1992)), "target_too_long", 414},
		"the same, an own endpoint":  {s.request("GET", "/.auth/login?"+strings.Repeat("a", 2000)), "target_too_long", 414},
		"escapes that decode to few": {s.request("GET", "/public/"+strings.Repeat("%61", 700)), "target_too_long", 414},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.raw(t, c.head)
			s.denied(t, a, c.status)
			if !strings.Contains(a.text, c.reason) || !a.Close {
				t.Errorf("the answer is %v\n%s", a.Header, a.text)
			}
		})
	}
	s.passed(t, s.raw(t, s.request("GET", "/public/"+strings.Repeat("a", 1992), append(numbered(18), "Connection: close")...)))

	client, base := s.http2(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/public/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = s.host
	for i := range 30 {
		req.Header.Add("A", fmt.Sprint(i))
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	s.denied(t, answer{Response: res}, 431)
}

func numbered(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("X-%d: a", i)
	}
	return lines
}

// TestOversizedCredentialsCostNothing (CVE-2025-30204, CVE-2025-27144): they are
// refused by their length, before anything splits or decodes them.
func TestOversizedCredentialsCostNothing(t *testing.T) {
	s := newSite(t, plan{})
	const size = 900 << 10
	for name, value := range map[string]string{
		"random":               strings.Repeat("Zm9v", size/4),
		"dots":                 strings.Repeat(".", size),
		"a long header":        strings.Repeat("a", size) + ".b.c",
		"a long payload":       "e30." + strings.Repeat("a", size) + ".c",
		"a long signature":     "e30.e30." + strings.Repeat("a", size),
		"deeply nested":        "e30." + strings.Repeat("W1tb", size/4) + ".c",
		"just below the limit": "e30." + strings.Repeat("W1tb", 15<<8) + ".c",
	} {
		for _, line := range [][2]string{{"Authorization", "Bearer " + value}, {"Cookie", "sp=" + value}, {"Cookie", strings.Repeat("sp="+value[:34]+";", size/38)}} {
			t.Run(name+" as "+line[0], func(t *testing.T) {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/both/", nil)
				r.Host = s.host
				r.Header.Set(line[0], line[1])
				w := httptest.NewRecorder()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				s.gw.Handler().ServeHTTP(w, r)
				runtime.ReadMemStats(&after)
				if w.Code != http.StatusUnauthorized {
					t.Errorf("the answer is %d", w.Code)
				}
				if spent := after.TotalAlloc - before.TotalAlloc; spent > 2*size {
					t.Errorf("refusing %d bytes allocated %d", len(line[1]), spent)
				}
			})
		}
	}
}

func TestBodiesAreBoundedWhereTheConfigurationSaysSo(t *testing.T) {
	s := newSite(t, plan{limits: "max_body_bytes: 1000"})
	alice := "Cookie: " + s.signIn(t, "alice")
	s.denied(t, s.raw(t, s.request("POST", "/app", alice, "Content-Length: 1001", "Connection: close")+strings.Repeat("a", 1001)), http.StatusRequestEntityTooLarge)
	s.passed(t, s.raw(t, s.request("POST", "/app", alice, "Content-Length: 1000", "Connection: close")+strings.Repeat("a", 1000)))

	// Without a length it shows on the way.
	chunked := s.raw(t, s.request("POST", "/app", alice, "Transfer-Encoding: chunked", "Connection: close")+"7d0\r\n"+strings.Repeat("a", 2000)+"\r\n0\r\n\r\n")
	if chunked.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("the answer is %d", chunked.StatusCode)
	}
	form := s.raw(t, s.request("POST", "/.auth/login", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 200000", "Connection: close")+strings.Repeat("a", 200000))
	if form.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a form of 200 kB: %d", form.StatusCode)
	}
}

// TestHostileApplication (CVE-2025-61724, CVE-2024-24791): what it sends becomes
// an answer of the gateway, and hurts nobody else.
func TestHostileApplication(t *testing.T) {
	s := newSite(t, plan{})
	for name, reply := range map[string]string{
		"a header of 10 MB":    "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 10<<20) + "\r\n\r\n",
		"nonsense":             "nonsense\r\n\r\n",
		"nothing":              "\r\n",
		"two lengths":          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"a bad status":         "HTTP/1.1 abc OK\r\n\r\n",
		"a bad encoding":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
		"a header with a bell": "HTTP/1.1 200 OK\r\nX-\x07: a\r\n\r\n",
		"a status below 100":   "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(name+" to "+method, func(t *testing.T) {
				s.upstream.answers(reply)
				a := s.raw(t, s.request(method, "/app", "Cookie: "+s.signIn(t, "alice"), "Content-Length: 0", "Connection: close"))
				s.upstream.take()
				if a.StatusCode != http.StatusBadGateway || strings.Contains(a.text, "nonsense") || strings.Contains(a.text, "127.0.0.1") {
					t.Errorf("the answer is %d\n%s", a.StatusCode, a.text)
				}
			})
		}
	}
	s.upstream.stop()
	a := s.as(t, "alice", "/app")
	if a.StatusCode != http.StatusBadGateway {
		t.Errorf("with the application gone: %d", a.StatusCode)
	}
	if !strings.Contains(a.text, "upstream_unreachable") {
		t.Errorf("the answer is\n%s", a.text)
	}
}
