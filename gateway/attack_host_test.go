package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestHostIsComparedWithoutRegardToItsSpelling (CVE-2026-48794, CVE-2026-27588,
// CVE-2022-23632): admin.localhost is for admins, and its other spellings must
// not be taken for the wildcard that every user may enter.
func TestHostIsComparedWithoutRegardToItsSpelling(t *testing.T) {
	s := newSite(t, plan{})
	for _, host := range []string{
		"admin.localhost", "ADMIN.localhost", "admin.LOCALHOST", "admin.localhost.", "admin.localhost:443", "admin.localhost.:443", "Admin.Localhost:8080",
	} {
		s.denied(t, s.as(t, "alice", "/", "Host: "+host), http.StatusForbidden)
		s.passed(t, s.as(t, "root", "/", "Host: "+host))
	}
	s.passed(t, s.as(t, "alice", "/", "Host: other.localhost"))
}

func TestMalformedHostIsABadRequest(t *testing.T) {
	s := newSite(t, plan{})
	for _, host := range []string{
		"admin.localhost:80:80", "admin.localhost:abc", "admin.localhost:", "admin.localhost:0", "admin.localhost:65536", "", "[::1", "::1",
		"local host", "localhost/admin", "a@localhost", "localhost..", ".localhost", "..localhost", "%61dmin.localhost", "localhost,evil.test",
		"localhost\x00", "ad\xe9.localhost", "localhost\\admin", "[::1%25lo]", "x" + strings.Repeat("y", 300) + ".localhost",
	} {
		s.denied(t, s.as(t, "root", "/", "Host: "+host), http.StatusBadRequest)
		s.denied(t, s.as(t, "", "/public/", "Host: "+host), http.StatusBadRequest)
	}
}

func TestUnknownHostIsNotServed(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost"})
	for _, host := range []string{"unknown.test", "localhost.evil.test", "evillocalhost", "a.b.localhost", "10.0.0.1", "[::2]", "xn--lcalhost-e1a"} {
		for _, target := range []string{"/", "/public/", "/.auth/login", "/.auth/me", "/.auth/login?return_to=/app"} {
			a := s.as(t, "", target, "Host: "+host, "Accept: text/html")
			s.denied(t, a, http.StatusMisdirectedRequest)
			if a.Header.Get("Location") != "" || len(a.Header["Set-Cookie"]) != 0 || strings.Contains(a.text, "//"+host) {
				t.Errorf("%s at %s: %v\n%s", target, host, a.Header, a.text)
			}
		}
	}
	s.denied(t, s.raw(t, "GET / HTTP/1.0\r\n\r\n"), http.StatusBadRequest)
	s.denied(t, s.raw(t, "GET / HTTP/1.1\r\n\r\n"), http.StatusBadRequest)
	s.denied(t, s.raw(t, "GET / HTTP/1.1\r\nHost: localhost\r\nHost: admin.localhost\r\n\r\n"), http.StatusBadRequest)
}

// TestAbsoluteTargetBringsNoSecondHost (RFC 9112, section 3.2.2): net/http lets
// the target win over the Host header, so the two must never differ.
func TestAbsoluteTargetBringsNoSecondHost(t *testing.T) {
	s := newSite(t, plan{})
	for _, pair := range [][2]string{{"http://localhost:8080/", "admin.localhost"}, {"http://admin.localhost/", "localhost:8080"}, {"http://other.localhost/x", "other.localhost"}} {
		s.denied(t, s.as(t, "alice", pair[0], "Host: "+pair[1]), http.StatusBadRequest)
	}
	// The gateway's own endpoints go by the same reading.
	s.denied(t, s.as(t, "", "http://evil.test/.auth/login", "Accept: text/html"), http.StatusBadRequest, http.StatusMisdirectedRequest)
}

func TestApplicationSeesTheHostThatWasJudged(t *testing.T) {
	s := newSite(t, plan{})
	got := s.passed(t, s.as(t, "alice", "/", "Host: other.localhost", "X-Forwarded-Host: admin.localhost", "X-Host: admin.localhost"))
	if h := got.header("Host"); len(h) != 1 || h[0] != "other.localhost" {
		t.Errorf("Host is %q", h)
	}
	if h := got.header("X-Forwarded-Host"); len(h) != 1 || h[0] != "other.localhost" {
		t.Errorf("X-Forwarded-Host is %q", h)
	}
}
