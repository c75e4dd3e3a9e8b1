package gateway_test

import (
	"net/http"
	"testing"
)

// TestMethodsAreCaseSensitiveAndNothingIsAssumed (CVE-2020-14359): a method that
// a rule does not name is refused, however it is written.
func TestMethodsAreCaseSensitiveAndNothingIsAssumed(t *testing.T) {
	s := newSite(t, plan{})
	for _, method := range []string{"get", "Post", "PROPFIND", "G!T", "FOO", "TRACE", "TRACK", "OPTIONS", "HEAD", "QUERY"} {
		s.denied(t, s.raw(t, s.request(method, "/admin/secret", "Connection: close")))
	}
	alice := "Cookie: " + s.signIn(t, "alice")
	for _, method := range []string{"get", "post", "FOO", "PATCH", "OPTIONS", "Head", "PROPFIND"} {
		a := s.raw(t, s.request(method, "/rw/x", alice, "Connection: close"))
		s.denied(t, a, http.StatusMethodNotAllowed)
		if got := a.Header.Get("Allow"); got != "DELETE, GET, HEAD, POST, PUT" {
			t.Errorf("%s: Allow is %q", method, got)
		}
	}
	s.denied(t, s.raw(t, s.request("TRACE", "/app", alice, "Connection: close")), http.StatusMethodNotAllowed)
}

func TestMethodChoosesTheRuleOfAPath(t *testing.T) {
	s := newSite(t, plan{})
	alice, root := "Cookie: "+s.signIn(t, "alice"), "Cookie: "+s.signIn(t, "root")
	s.passed(t, s.raw(t, s.request("GET", "/rw/x", alice, "Connection: close")))
	s.denied(t, s.raw(t, s.request("POST", "/rw/x", alice, "Content-Length: 0", "Connection: close")), http.StatusForbidden)
	s.passed(t, s.raw(t, s.request("DELETE", "/rw/x", root, "Connection: close")))

	// What asks an application to treat a request as another method comes from
	// the client, and the gateway judged the method that it saw.
	got := s.passed(t, s.raw(t, s.request("GET", "/rw/x", alice, "Connection: close")))
	if line := got.raw[:len("GET /rw/x HTTP/1.1")]; line != "GET /rw/x HTTP/1.1" {
		t.Errorf("the request line is %q", line)
	}
}

// TestConnectOpensNoTunnel (CVE-2026-71324, CVE-2025-64763): ReverseProxy alone
// answers 200, and what follows would go to the application unjudged.
func TestConnectOpensNoTunnel(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{"localhost:443", "/admin/secret", "/public/", "/.auth/login", "/.auth/nothing", "127.0.0.1:22"} {
		t.Run(target, func(t *testing.T) {
			early := s.request("GET", "/public/early", "Connection: close")
			all := s.conversation(t, s.request("CONNECT", target)+early)
			if len(all) != 1 {
				t.Fatalf("%d answers", len(all))
			}
			s.denied(t, all[0], http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusBadRequest)
		})
	}
}

// TestPreflightIsNoWayIn: the shortcut that answers OPTIONS without a credential
// has let spoofed identity headers through elsewhere.
func TestPreflightIsNoWayIn(t *testing.T) {
	s := newSite(t, plan{})
	preflight := []string{"Origin: https://evil.test", "Access-Control-Request-Method: GET"}
	for _, lines := range [][]string{nil, preflight} {
		lines = append([]string{"X-Forwarded-User: root", "Connection: close"}, lines...)
		s.denied(t, s.raw(t, s.request("OPTIONS", "/admin/secret", lines...)), http.StatusUnauthorized)
	}
	s.denied(t, s.raw(t, s.request("OPTIONS", "*", "Connection: close")), http.StatusBadRequest)
}
