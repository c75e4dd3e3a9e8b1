package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestPathTricksThroughTheForwardedURL (CVE-2025-54576, CVE-2026-41059,
// CVE-2026-26205): a path that is read in two ways is decided as the proxy mode
// decides it.
func TestPathTricksThroughTheForwardedURL(t *testing.T) {
	s := asking(t, plan{})
	for _, target := range trickyTargets() {
		for _, user := range []string{"", "alice", "root"} {
			direct := s.as(t, user, target)
			s.upstream.take()
			for _, dialect := range dialects() {
				a := s.checked(t, dialect, about{user: user, target: target})
				if direct.StatusCode == http.StatusOK {
					open(t, dialect+" "+target, a)
				} else {
					closed(t, dialect+" "+target, a, direct.StatusCode)
				}
			}
		}
	}
	// What is no path is nothing that a client of a proxy can have asked for.
	for _, target := range noPaths() {
		for _, dialect := range dialects() {
			if dialect == "envoy" && target[0] != '?' { // the prefix and this would be another endpoint
				continue
			}
			closed(t, dialect+" "+target, s.checked(t, dialect, about{user: "root", target: target}), 400, 421)
		}
	}
}

// TestMalformedForwardedValues (CVE-2021-32637): what can't be is refused, and comes
// back in no redirect.
func TestMalformedForwardedValues(t *testing.T) {
	s := asking(t, plan{})
	for _, c := range malformed() {
		for _, user := range []string{"", "root"} {
			for _, dialect := range dialects() {
				a := c
				a.user, a.lines = user, []string{"Accept: text/html"}
				got := s.checked(t, dialect, a)
				if a.method == "CONNECT" && dialect == "envoy" {
					s.denied(t, got, 400, 404, 405)
					continue
				}
				what := dialect + " " + strings.Join([]string{c.method, c.scheme, c.host, c.target}, " ")
				if len(what) > 200 {
					what = what[:200]
				}
				if got.Header.Get("Location") != "" {
					t.Errorf("%.100q leads to %q", what, got.Header.Get("Location"))
				}
				refusedAnyhow(t, what, got)
			}
		}
	}
}

// refusedAnyhow is closed for what net/http may refuse before anybody else sees it.
func refusedAnyhow(t *testing.T, what string, a answer) {
	t.Helper()
	if !slices.Contains([]int{0, 400, 403, 405, 414, 421, 431}, a.StatusCode) {
		t.Errorf("%.100q: the answer is %d\n%.300s", what, a.StatusCode, a.text)
	}
	if len(a.Header["Set-Cookie"]) != 0 {
		t.Errorf("%.100q: the answer sets a cookie", what)
	}
}

// trickyTargets are paths that programs read in different ways, and two that they
// don't.
func trickyTargets() []string {
	return []string{
		"/public/../admin/secret", "/public/%2e%2e/admin/secret", "/public/..%2fadmin", "//admin/public/x", "/admin/secret?x=/public/",
		"/admin/secret%23/public/", "/public/?/../admin", `/admin\x`, "/public/..;/admin", "/public#/../admin", "/admin/secret#/public/", "///admin/secret",
		"/public/%00", "/public/%252e%252e/admin", "/public/%2e%2e%2fadmin/secret", "/%61dmin/secret", "/public//../admin", "/public/;x=1/", "/pub/abc/../../admin/",
		"/app", "/public/x",
	}
}

// noPaths are targets that no client of a proxy can have asked for.
func noPaths() []string {
	return []string{"https://app.example.test/admin/secret", "http://localhost:8080/public/", "admin", "*", "?x=/public/", "public/", "@evil.test/public/"}
}

// malformed are requests that can't be.
func malformed() []about {
	long := strings.Repeat("a", 5<<10)
	var cases []about
	for _, host := range []string{
		"evil.test", "a\x00b", "[::1", "local host:8080", "localhost:8080, evil.test", "localhost:abc", "localhost:80:80", long, "localhost:8080@evil.test",
		"localhost:8080\\evil.test", "evil.test#localhost:8080", "%6cocalhost:8080",
	} {
		cases = append(cases, about{host: host})
	}
	for _, target := range []string{"/%zz", "/a\x01b", "/\x7f", "/" + strings.Repeat("a", 64<<10), "/" + strings.Repeat("a", 17<<10)} {
		cases = append(cases, about{target: target})
	}
	for _, scheme := range []string{"ftp", "https, http", "HTTP", "javascript", "http:"} {
		cases = append(cases, about{scheme: scheme})
	}
	for _, method := range []string{"GETz", "get", "TRACE", "CONNECT", "GET, POST", "G\x01T"} {
		cases = append(cases, about{method: method})
	}
	return cases
}
