package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
)

// TestChecksOfWebSockets: proxies take Upgrade out of what they ask, and leave the
// key; Traefik calls the scheme ws.
func TestChecksOfWebSockets(t *testing.T) {
	s := asking(t, plan{})
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	for _, dialect := range dialects() {
		for _, scheme := range []string{"http", "ws", "wss"} {
			ask := func(user, origin string) answer {
				return s.checked(t, dialect, about{user: user, target: "/ws/x", scheme: scheme, lines: []string{key, "Origin: " + origin, "Accept: text/html"}})
			}
			open(t, dialect, ask("alice", "http://localhost:8080"))
			a := ask("", "http://localhost:8080")
			closed(t, dialect, a, 401)
			if a.Header.Get("Location") != "" {
				t.Errorf("%s: a WebSocket is sent to %q", dialect, a.Header.Get("Location"))
			}
			a = ask("alice", "https://evil.test")
			closed(t, dialect, a, 403)
			if got := a.Header.Get("Sallyport-Reason"); got != "cross_site_upgrade" {
				t.Errorf("%s: the reason is %q", dialect, got)
			}
		}
	}
}

func TestChecksOfEveryMethod(t *testing.T) {
	s := asking(t, plan{})
	for _, dialect := range dialects() {
		for _, method := range []string{"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"} {
			open(t, dialect+" "+method, s.checked(t, dialect, about{user: "alice", method: method, target: "/app"}))
			a := s.checked(t, dialect, about{method: method, target: "/app", lines: []string{"Accept: text/html"}})
			status := http.StatusUnauthorized
			if method == "HEAD" { // a navigation
				status = http.StatusFound
			}
			closed(t, dialect+" "+method, a, status)
		}
		// A form that comes too late can't be kept: its body stays with the proxy.
		form := s.checked(t, dialect, about{method: "POST", target: "/app", lines: []string{
			"Accept: text/html", "Origin: http://" + s.host, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Content-Type: application/x-www-form-urlencoded",
		}})
		if closed(t, dialect, form, 401); (form.text == "") != (dialect == "nginx") || strings.Contains(form.text, "/resend") {
			t.Errorf("%s: a form is answered with %.300s", dialect, form.text)
		}
		closed(t, dialect, s.checked(t, dialect, about{user: "alice", method: "POST", target: "/rw/"}), 403)
		open(t, dialect, s.checked(t, dialect, about{user: "alice", method: "GET", target: "/rw/"}))
		a := s.checked(t, dialect, about{user: "alice", method: "PATCH", target: "/rw/"})
		closed(t, dialect, a, 405)
		if a.Header.Get("Allow") == "" {
			t.Errorf("%s: the allowed methods are not told", dialect)
		}
	}
}

// TestBodyOfACheckIsNotWaitedFor: a proxy that passes Content-Length on and no body
// would wait for its answer, and the next check be read as the body.
func TestBodyOfACheckIsNotWaitedFor(t *testing.T) {
	s := asking(t, plan{})
	cookie := "Cookie: " + s.signIn(t, "alice")
	lines := []string{cookie, "X-Original-URL: http://" + s.host + "/app", "X-Original-Method: POST"}
	next := s.request("GET", "/.auth/check/nginx", lines...)
	for name, body := range map[string]string{
		"announced": fmt.Sprintf("Content-Length: %d", len(next)), "chunked": "Transfer-Encoding: chunked", "huge": "Content-Length: 52428800",
	} {
		all := s.conversation(t, s.request("GET", "/.auth/check/nginx", append(lines, body)...)+next)
		if len(all) != 1 || !all[0].Close {
			t.Fatalf("%s: %d answers: %v", name, len(all), all)
		}
		open(t, name, all[0])
	}
	// Nobody sends anything more, and there is an answer.
	c := s.dial(t)
	defer c.Close()
	if _, err := io.WriteString(c, s.request("POST", "/.auth/check/envoy/app", cookie, "X-Forwarded-Proto: http", "Content-Length: 10")); err != nil {
		t.Fatal(err)
	}
	open(t, "envoy", readAnswer(t, bufio.NewReader(c), "POST"))
}

// TestNginxKeepsItsConnection, and asks by HTTP/1.0 unless it is told otherwise.
func TestNginxKeepsItsConnection(t *testing.T) {
	s := asking(t, plan{})
	one := s.request("GET", "/.auth/check/nginx", "Cookie: "+s.signIn(t, "alice"), "X-Original-URL: http://"+s.host+"/app", "X-Original-Method: GET")
	refused := s.request("GET", "/.auth/check/nginx", "X-Original-URL: http://"+s.host+"/app", "X-Original-Method: GET", "Accept: text/html")
	all := s.conversation(t, one+refused+one+strings.Replace(one, "HTTP/1.1", "HTTP/1.0", 1))
	if len(all) != 4 {
		t.Fatalf("%d answers", len(all))
	}
	for i, a := range all {
		if i == 1 {
			closed(t, "nginx", a, 401)
		} else {
			open(t, "nginx", a)
		}
		if a.ContentLength != 0 || a.Close != (i == 3) {
			t.Errorf("answer %d has %d bytes, and ends the connection: %v", i, a.ContentLength, a.Close)
		}
	}
}

// TestSignInOfSharedCookieIsAtThePublicURL: where hosts share the cookie, the others
// need not lead to the gateway.
func TestSignInOfSharedCookieIsAtThePublicURL(t *testing.T) {
	s := asking(t, plan{publicURL: "https://auth.app.localhost", session: "cookie: {domain: app.localhost}", routes: `
  - {name: wiki, hosts: [wiki.app.localhost], paths: [/], upstream: "$UP", policy: users}`})
	for _, dialect := range dialects() {
		a := s.checked(t, dialect, about{host: "wiki.app.localhost", scheme: "https", target: "/page?x=1", lines: []string{"Accept: text/html"}})
		closed(t, dialect, a, 302)
		want := "https://auth.app.localhost/.auth/login?return_to=" + url.QueryEscape("https://wiki.app.localhost/page?x=1")
		if got := a.Header.Get("Location"); got != want {
			t.Errorf("%s leads to %q, want %q", dialect, got, want)
		}
	}
}

// TestIngressNginxSendsToTheSignIn by its own auth-signin, to which it adds the URL.
func TestIngressNginxSendsToTheSignIn(t *testing.T) {
	s := asking(t, plan{})
	for _, target := range []string{"/x?y=1&z=a%2Fb", "/public/"} {
		u := "http://" + s.host + target
		a := s.raw(t, s.request("GET", "/.auth/check/nginx", "Host: sallyport.sallyport.svc", "Connection: close", "X-Request-ID: 0123456789abcdef",
			"X-Original-URL: "+u, "X-Original-Method: GET", "X-Sent-From: nginx-ingress-controller", "X-Real-IP: 10.0.0.9", "X-Forwarded-For: 10.0.0.9",
			"X-Auth-Request-Redirect: "+target, "Accept: text/html"))
		if target == "/public/" {
			open(t, "nginx", a)
			continue
		}
		closed(t, "nginx", a, 401)
		signedIn := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}, "rd": {u}})
		if got := signedIn.Header.Get("Location"); got != u {
			t.Errorf("the sign-in leads to %q, want %q", got, u)
		}
		if page := s.as(t, "alice", "/.auth/login?rd="+url.QueryEscape(u), "Accept: text/html"); page.StatusCode >= 400 {
			t.Errorf("the sign-in page: %d", page.StatusCode)
		}
	}
}

// TestClientsAddressThroughTheProxyThatAsks: the chain is believed as far as it is
// trusted.
func TestClientsAddressThroughTheProxyThatAsks(t *testing.T) {
	s := asking(t, plan{
		trusted:  "127.0.0.1, 10.0.0.0/8",
		policies: `- {name: office, rules: [{name: office, allow: {cidr: [203.0.113.0/24]}}]}`,
		routes:   `- {name: office, paths: [/office/], upstream: "$UP", policy: office}`,
	})
	for _, dialect := range dialects() {
		for chain, inside := range map[string]bool{"203.0.113.7": true, "198.51.100.1, 203.0.113.7, 10.1.1.1": true, "203.0.113.7, 198.51.100.1": false, "203.0.113.7, nonsense": false, "10.1.1.1": false} {
			a := s.checked(t, dialect, about{user: "alice", target: "/office/", lines: []string{"X-Forwarded-For: " + chain, "X-Real-IP: 203.0.113.7"}})
			if inside {
				open(t, dialect+" "+chain, a)
			} else {
				closed(t, dialect+" "+chain, a, 403)
			}
		}
	}
}

// TestOwnLimitOfTheTargetHoldsForChecks: the target came in a header of the check.
func TestOwnLimitOfTheTargetHoldsForChecks(t *testing.T) {
	s := asking(t, plan{limits: "max_target_bytes: 100"})
	for _, dialect := range dialects() {
		a := s.checked(t, dialect, about{user: "alice", target: "/" + strings.Repeat("a", 100)})
		closedAnyhow(t, dialect, a, 414)
		open(t, dialect, s.checked(t, dialect, about{user: "alice", target: "/" + strings.Repeat("a", 60)}))
	}
}

// closedAnyhow is closed without a look at what stands in the answer.
func closedAnyhow(t *testing.T, dialect string, a answer, status int) {
	t.Helper()
	if dialect == "nginx" {
		status = http.StatusForbidden
	}
	if a.StatusCode != status {
		t.Errorf("%s: %d, want %d", dialect, a.StatusCode, status)
	}
}

func TestChecksAreCountedAndLogged(t *testing.T) {
	s := asking(t, plan{})
	for _, dialect := range dialects() {
		for range 2 {
			open(t, dialect, s.checked(t, dialect, about{user: "alice", method: "POST", target: "/app?secret=1", lines: []string{"X-Forwarded-For: 203.0.113.9"}}))
		}
		closed(t, dialect, s.checked(t, dialect, about{target: "/app"}), 401)
		for outcome, want := range map[string]string{"allow": "2", "challenge": "1"} {
			poll(t, dialect+" to be counted", func() bool {
				return strings.Contains(s.metrics(t), fmt.Sprintf("sallyport_checks_total{dialect=%q,outcome=%q} %s\n", dialect, outcome, want))
			})
		}
		found := false
		for _, line := range s.log.FilterMessage("request").All() {
			f := line.ContextMap()
			found = found || f["dialect"] == dialect && f["method"] == "POST" && f["host"] == s.host && f["path"] == "/app" &&
				f["client"] == "203.0.113.9" && f["subject"] == "alice" && f["route"] == "app" && f["outcome"] == "allow"
		}
		if !found {
			t.Errorf("no line of the log tells of a check of %s", dialect)
		}
	}
	if strings.Contains(s.logText.String(), "secret") {
		t.Error("a query is in the log")
	}
	s.as(t, "alice", "/app")
	poll(t, "the request to be logged", func() bool {
		lines := s.log.FilterMessage("request").All()
		return lines[len(lines)-1].ContextMap()["dialect"] == nil
	})
}

// TestChecksOfAGatewayThatLeaves end their connections, and are answered.
func TestChecksOfAGatewayThatLeaves(t *testing.T) {
	t.Parallel()
	s := asking(t, plan{server: "drain: {delay: 5s}"})
	cookie := "Cookie: " + s.signIn(t, "alice")
	s.leave(t)
	a := s.raw(t, s.request("GET", "/.auth/check/nginx", cookie, "X-Original-URL: http://"+s.host+"/app", "X-Original-Method: GET"))
	if open(t, "nginx", a); !a.Close {
		t.Error("the connection stays")
	}
}

// TestRouteThatIsOnlyAskedAbout has no upstream: nothing is forwarded, and all else is
// as ever.
func TestRouteThatIsOnlyAskedAbout(t *testing.T) {
	s := asking(t, plan{adminToken: adminToken(t), routes: `- {name: elsewhere, paths: [/elsewhere/], policy: users}`})
	for _, dialect := range dialects() {
		open(t, dialect, s.checked(t, dialect, about{user: "alice", target: "/elsewhere/x"}))
		closed(t, dialect, s.checked(t, dialect, about{target: "/elsewhere/x"}), 401)
	}
	s.problem(t, s.as(t, "alice", "/elsewhere/x", "Accept: application/json"), http.StatusNotFound, "check_only")
	s.denied(t, s.as(t, "", "/elsewhere/x"), 401)
	var x gateway.Explanation
	status, text := s.ask(t, "POST", "/explain", map[string]any{"method": "GET", "url": "/elsewhere/x", "headers": http.Header{"Cookie": {s.signIn(t, "alice")}}}, &x)
	if status != http.StatusOK || x.Verdict.Outcome != "allow" || x.Route != "elsewhere" {
		t.Errorf("explained as %d %s", status, text)
	}
	if code, state := s.readiness(t); code != http.StatusOK {
		t.Errorf("not ready: %s", state)
	}
}

// TestARefusedHeadIsAWholeAnswer: the check is a GET that is about a HEAD. An answer
// to it that promises a body and has none costs the proxy its connection, and Traefik
// takes it for a failure.
func TestARefusedHeadIsAWholeAnswer(t *testing.T) {
	s := asking(t, plan{})
	for _, dialect := range []string{"nginx", "traefik", "caddy", "haproxy"} {
		for user, want := range map[string]int{"": http.StatusUnauthorized, "alice": http.StatusForbidden} {
			got := s.checked(t, dialect, about{method: "HEAD", target: "/admin/", user: user})
			if length := got.Header.Get("Content-Length"); got.StatusCode != want || length != strconv.Itoa(len(got.text)) {
				t.Errorf("%s, %q: %d with %d bytes of %s", dialect, user, got.StatusCode, len(got.text), length)
			}
		}
	}
}
