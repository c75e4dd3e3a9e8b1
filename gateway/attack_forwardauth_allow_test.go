package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestAllowAnswersCarryEveryIdentityHeader (CVE-2026-30851, CVE-2026-25748): a proxy
// copies the headers that it was told to, and leaves the client's where the answer
// has none.
func TestAllowAnswersCarryEveryIdentityHeader(t *testing.T) {
	s := asking(t, plan{session: "idle_timeout: 1s, absolute_timeout: 1h", routes: `
  - {name: department, paths: [/department/], upstream: "$UP", policy: users, headers: [{name: X-Department, claim: department}]}
  - {name: cors, paths: [/cors/], upstream: "$UP", policy: users, preflight: true}
  - {name: signed, paths: [/signed/], upstream: "$UP", policy: users, assertion: true}`})
	all := append(identityHeaders(), "X-Department", "X-Forwarded-Issuer", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups",
		"X-Auth-Request-Preferred-Username", "Sallyport-Assertion", "Authorization", "Cookie")
	spoofed := []string{"X-Department: board", "X-Forwarded-Issuer: evil"}
	for _, name := range all {
		if strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Auth-") || name == "Sallyport-Assertion" {
			spoofed = append(spoofed, name+": root", name+": admin")
		}
	}
	malformed := "Cookie: sp=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; app=1"
	// A session that is over: it ends while the others are asked about.
	ended := "Cookie: " + s.newSession(t, "alice", "")
	poll(t, "the session to end", func() bool {
		return s.raw(t, s.request("GET", "/.auth/me", ended, "Connection: close")).StatusCode == http.StatusUnauthorized
	})
	mallory := "Cookie: " + s.newSession(t, "mallory", "") + "; app=1"
	for _, dialect := range everyDialect() {
		for name, c := range map[string]struct {
			a    about
			want map[string]string
		}{
			"somebody without an address": {about{target: "/app", lines: []string{mallory}}, map[string]string{
				"X-Forwarded-User": "mallory", "X-Forwarded-Preferred-Username": "mallory", "X-Forwarded-Groups": "users", "Cookie": "app=1",
				"X-Auth-Request-User": "mallory", "X-Auth-Request-Preferred-Username": "mallory", "X-Auth-Request-Groups": "users",
			}},
			"nobody on a public route":        {about{target: "/public/"}, nil},
			"a malformed cookie there":        {about{target: "/public/", lines: []string{malformed}}, map[string]string{"Cookie": "app=1"}},
			"a session that is over, there":   {about{target: "/public/", lines: []string{ended}}, nil},
			"the application's Authorization": {about{target: "/public/", lines: []string{"Authorization: Basic eDp5"}}, map[string]string{"Authorization": "Basic eDp5"}},
			"a preflight":                     {about{target: "/cors/", method: "OPTIONS", lines: []string{"Origin: https://spa.test", "Access-Control-Request-Method: GET", "Authorization: Bearer x", malformed}}, nil},
		} {
			a := c.a
			a.lines = append(slices.Clone(a.lines), spoofed...)
			got := s.checked(t, dialect, a)
			open(t, dialect+", "+name, got)
			for _, header := range all {
				values, want := got.Header[http.CanonicalHeaderKey(header)], c.want[header]
				if (dialect == "nginx" || dialect == "oauth2_proxy") && header == "Cookie" {
					if values != nil { // nginx gives up on an answer with large headers
						t.Errorf("the answer to nginx has cookies: %q", values)
					}
					continue
				}
				if len(values) != 1 || values[0] != want {
					t.Errorf("%s, %s: %s is %q, want one %q", dialect, name, header, values, want)
				}
			}
			if removed := got.Header.Get("X-Envoy-Auth-Headers-To-Remove"); dialect == "envoy" {
				for _, header := range all {
					if empty := got.Header.Get(header) == ""; empty != slices.Contains(strings.Split(removed, ", "), header) {
						t.Errorf("%s: Envoy is to remove %q, and %s is %q", name, removed, header, got.Header.Get(header))
					}
				}
			} else if removed != "" {
				t.Errorf("%s: removal is %q", dialect, removed)
			}
		}
		for _, cookie := range []string{malformed, ended} {
			closed(t, dialect, s.checked(t, dialect, about{target: "/app", lines: []string{cookie}}), 401)
		}
	}
}

// TestIdentityHeadersInAnotherSpellingDoNotPass: a proxy sets X-Forwarded-User, and
// an application behind CGI, WSGI or PHP reads X_Forwarded_User in its place.
func TestIdentityHeadersInAnotherSpellingDoNotPass(t *testing.T) {
	s := asking(t, plan{routes: `
  - {name: cors, paths: [/cors/], upstream: "$UP", policy: users, preflight: true}`})
	for _, dialect := range everyDialect() {
		for _, name := range []string{"X_Forwarded_User", "X-Forwarded_Groups", "x.forwarded.email", "X_Auth_Request_User", "XForwardedUser"} {
			for _, target := range []string{"/app", "/public/"} {
				a := s.checked(t, dialect, about{user: "alice", target: target, lines: []string{name + ": root"}})
				if dialect != "envoy" {
					closed(t, dialect, a, 400)
					if a.Header.Get("Sallyport-Reason") != "spoofed_header" {
						t.Errorf("the reason is %q", a.Header.Get("Sallyport-Reason"))
					}
					continue
				}
				open(t, dialect, a)
				if removed := strings.Split(a.Header.Get("X-Envoy-Auth-Headers-To-Remove"), ", "); !slices.Contains(removed, http.CanonicalHeaderKey(name)) {
					t.Errorf("%s stays: Envoy is to remove %q", name, removed)
				}
			}
		}
		// What proxies tell of the client is theirs to tell.
		a := s.checked(t, dialect, about{user: "alice", target: "/app", lines: []string{"X-Forwarded-For: 10.9.8.7", "X-Real-IP: 10.9.8.7", "X-Forwarded-Port: 443", "X-Remote-User: root"}})
		open(t, dialect, a)
		if removed := a.Header.Get("X-Envoy-Auth-Headers-To-Remove"); dialect == "envoy" && (strings.Contains(removed, "X-Forwarded-For") || !strings.Contains(removed, "X-Remote-User")) {
			t.Errorf("Envoy is to remove %q", removed)
		}
		// A preflight passes without a credential, so that it must stay one.
		a = s.checked(t, dialect, about{target: "/cors/", method: "OPTIONS", lines: []string{"Origin: https://spa.test", "Access-Control-Request-Method: GET", "X-HTTP-Method-Override: DELETE"}})
		if dialect != "envoy" {
			closed(t, dialect, a, 400)
		} else if removed := a.Header.Get("X-Envoy-Auth-Headers-To-Remove"); !strings.Contains(removed, "X-Http-Method-Override") {
			t.Errorf("Envoy is to remove %q", removed)
		}
	}
}
