package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
)

const preflightRoutes = `
  - {name: shared, paths: [/shared-api/], methods: [GET, PUT], upstream: "$UP", policy: users, preflight: true}
  - {name: shared-write, paths: [/shared-api/], methods: [DELETE], upstream: "$UP", policy: users}
  - {name: any, paths: [/any/], upstream: "$UP", policy: users, preflight: true, upstream_authorization: true}`

// TestPreflightPassesWithNothingButItsQuestion: what passes without a credential
// must be of no use to anybody but a browser that asks.
func TestPreflightPassesWithNothingButItsQuestion(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t), routes: preflightRoutes})
	question := []string{"Origin: https://spa.example.test", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization,x-a"}
	for _, target := range []string{"/shared-api/x?q=1", "/any/"} {
		a := s.raw(t, s.request("OPTIONS", target, append(question, "Connection: close", "Accept: */*", "Sec-Fetch-Mode: cors", "User-Agent: b")...))
		got := s.passed(t, a)
		if got.target() != target || !strings.HasPrefix(got.raw, "OPTIONS ") {
			t.Errorf("the application received %s", got.raw)
		}
		for _, line := range append(question, "Accept: */*", "Sec-Fetch-Mode: cors", "User-Agent: b") {
			name, want, _ := strings.Cut(line, ": ")
			if !slices.Equal(got.header(name), []string{want}) {
				t.Errorf("%s reached the application as %q", name, got.header(name))
			}
		}

		loaded := append([]string{
			"Connection: close", "X-Forwarded-User: root", "X_Forwarded_Groups: admin", "Authorization: Basic cm9vdDpyb290", "X-API-Key: key", "X-HTTP-Method-Override: DELETE",
			"X-Original-Method: GET", "X-Forwarded-For: 10.0.0.1", "Cookie: app=1; " + s.signIn(t, "alice"), "X-Whatever: 1", "DPoP: x", "Proxy-Authorization: Basic x",
		}, question...)
		got = s.passed(t, s.raw(t, s.request("OPTIONS", target, loaded...)))
		got.isNobody(t)
		got.noCredential(t)
		for _, name := range []string{"Cookie", "X-HTTP-Method-Override", "X-Original-Method", "X-Whatever", "Proxy-Authorization"} {
			if v := got.header(name); len(v) != 0 {
				t.Errorf("%s reached the application as %q", name, v)
			}
		}
		if v := got.header("X-Forwarded-For"); !slices.Equal(v, []string{"127.0.0.1"}) {
			t.Errorf("X-Forwarded-For is %q", v)
		}
	}
	poll(t, "the preflights to be counted", func() bool {
		return strings.Contains(s.metrics(t), `sallyport_requests_total{outcome="allow",reason="preflight",route="any"} 2`)
	})
	var x gateway.Explanation
	s.ask(t, "POST", "/explain", map[string]any{"method": "OPTIONS", "url": "/shared-api/", "headers": http.Header{
		"Origin": {"https://spa.example.test"}, "Access-Control-Request-Method": {"PUT"}, "X-Whatever": {"1"},
	}}, &x)
	if x.Verdict.Outcome != "allow" || x.Verdict.Reason != "preflight" || x.Route != "shared" || !slices.Contains(x.Removed, "X-Whatever") {
		t.Errorf("explained as %+v", x)
	}
}

// TestOnlyTruePreflightsPass: everything that only looks like one is judged as
// the request that it is.
func TestOnlyTruePreflightsPass(t *testing.T) {
	s := newSite(t, plan{routes: preflightRoutes})
	const origin, method = "Origin: https://spa.example.test", "Access-Control-Request-Method: PUT"
	for name, c := range map[string]struct {
		method, target string
		lines          []string
		body           string
		status         int
	}{
		"no origin":                  {"OPTIONS", "/any/", []string{method}, "", 401},
		"no method":                  {"OPTIONS", "/any/", []string{origin}, "", 401},
		"two origins":                {"OPTIONS", "/any/", []string{origin, origin, method}, "", 401},
		"two methods":                {"OPTIONS", "/any/", []string{origin, method, method}, "", 401},
		"a body":                     {"OPTIONS", "/any/", []string{origin, method, "Content-Length: 1"}, "x", 401},
		"a chunked body":             {"OPTIONS", "/any/", []string{origin, method, "Transfer-Encoding: chunked"}, "0\r\n\r\n", 401},
		"an upgrade":                 {"OPTIONS", "/any/", handshake(origin, method), "", 401},
		"another method":             {"GET", "/any/", []string{origin, method}, "", 401},
		"in other letters":           {"options", "/any/", []string{origin, method}, "", 401},
		"a method that is not there": {"OPTIONS", "/shared-api/", []string{origin, "Access-Control-Request-Method: POST"}, "", 405},
		"a method in other letters":  {"OPTIONS", "/shared-api/", []string{origin, "Access-Control-Request-Method: put"}, "", 405},
		"TRACE":                      {"OPTIONS", "/any/", []string{origin, "Access-Control-Request-Method: TRACE"}, "", 401},
		"no method at all":           {"OPTIONS", "/any/", []string{origin, "Access-Control-Request-Method: P T"}, "", 401},
		"a route that allows none":   {"OPTIONS", "/shared-api/", []string{origin, "Access-Control-Request-Method: DELETE"}, "", 405},
		"another route":              {"OPTIONS", "/admin/", []string{origin, method}, "", 401},
		"by a longer path":           {"OPTIONS", "/any/../admin/", []string{origin, method}, "", 400},
		"another host":               {"OPTIONS", "/any/", []string{origin, method, "Host: evil.test"}, "", 421},
	} {
		a := s.raw(t, s.request(c.method, c.target, append(c.lines, "Connection: close")...)+c.body)
		if a.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, a.StatusCode, c.status)
		}
		s.denied(t, a)
		for header := range a.Header {
			if strings.HasPrefix(header, "Access-Control-") {
				t.Errorf("%s: the gateway's own answer has %s", name, header)
			}
		}
	}
}
