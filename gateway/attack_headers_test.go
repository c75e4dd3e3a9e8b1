package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestIdentityHeadersOfAnAnonymousClient (CVE-2017-6062, CVE-2026-30851): on a
// public route the gateway has nothing to set, and must delete all the same.
func TestIdentityHeadersOfAnAnonymousClient(t *testing.T) {
	s := newSite(t, plan{})
	spoofed := []string{"X-Forwarded-User: root", "X-Forwarded-Email: root@example.test", "X-Forwarded-Groups: admin", "X-Forwarded-Preferred-Username: root"}
	s.passed(t, s.as(t, "", "/public/", spoofed...)).isNobody(t)
	s.passed(t, s.as(t, "alice", "/public/", spoofed...)).isNobody(t)
}

// TestIdentityHeadersOfASignedInClient: duplicates, any letter case
// (CVE-2026-33433), and the spellings that CGI, WSGI, Rack and PHP take for the
// same name (CVE-2025-64484, CVE-2026-54763).
func TestIdentityHeadersOfASignedInClient(t *testing.T) {
	s := newSite(t, plan{})
	for _, lines := range [][]string{
		{"X-Forwarded-User: root", "x-forwarded-USER: root2", "X-Forwarded-Groups: admin"},
		{"X_Forwarded_User: root"},
		{"X-Forwarded_User: root"},
		{"x_forwarded_groups: admin"},
		{"X.Forwarded.User: root"},
		{"X-Forwarded.User: root"},
		{"X.Forwarded_Groups: admin"},
		{"XForwardedUser: root"},
		{"X--Forwarded--User: root"},
		{"X~Forwarded|User: root", "X!Forwarded*User: root", "'X-Forwarded-User': root"},
		{"X-Forwarded-User-: root", "-X-Forwarded-User: root"},
		{"X-Forwarded-User:"},
	} {
		got := s.passed(t, s.as(t, "alice", "/app", lines...))
		got.isAlice(t)
		if strings.Contains(got.raw, ": root") || strings.Contains(got.raw, ": admin") {
			t.Errorf("%q: the application received\n%s", lines, got.raw)
		}
	}
}

func TestHeaderOfAClaimThatTheUserDoesNotHave(t *testing.T) {
	s := newSite(t, plan{})
	got := s.passed(t, s.as(t, "mallory", "/app", "X-Forwarded-Email: root@example.test"))
	got.isUser(t, "mallory", "", "users", "mallory")
	got = s.passed(t, s.as(t, "", "/api/", "Authorization: Bearer "+s.token(t, nil), "X-Forwarded-Groups: admin", "X-Forwarded-Email: root@example.test"))
	got.isUser(t, "caller", "", "", "")
}

// TestConnectionHeaderRemovesNoIdentity (GHSA-w9mr-28mw-j8hg, CVE-2021-32813):
// a client that declares the gateway's headers hop-by-hop must not have them
// removed.
func TestConnectionHeaderRemovesNoIdentity(t *testing.T) {
	s := newSite(t, plan{})
	for _, line := range []string{
		"Connection: close, X-Forwarded-User, X-Forwarded-Groups, X-Forwarded-Email, X-Forwarded-For, X-Request-Id",
		"Connection: X-Forwarded-Proto, Host, X-Forwarded-Host, Cookie", "Connection: x-forwarded-user", "Proxy-Connection: X-Forwarded-User",
		"Keep-Alive: X-Forwarded-User", "TE: trailers, X-Forwarded-User",
	} {
		got := s.passed(t, s.as(t, "alice", "/app", line))
		got.isAlice(t)
		for _, name := range []string{"Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id"} {
			if len(got.header(name)) != 1 {
				t.Errorf("%s: %s reached the application as %q", line, name, got.header(name))
			}
		}
	}
}

// TestLineBreaksInClaims (CVE-2023-27493).
func TestLineBreaksInClaims(t *testing.T) {
	s := newSite(t, plan{})
	for _, name := range []string{
		"alice\r\nX-Forwarded-Groups: admin", "alice\rX-Forwarded-Groups: admin", "alice\nX-Forwarded-Groups: admin",
		"alice\u0085X-Forwarded-Groups: admin", "alice\u2028X-Forwarded-Groups: admin", "alice\x00", " alice ",
	} {
		for _, claim := range []string{"preferred_username", "sub"} {
			a := s.as(t, "", "/api/", "Authorization: Bearer "+s.token(t, map[string]any{claim: name}))
			if a.StatusCode == http.StatusUnauthorized {
				s.denied(t, a)
				continue
			}
			got := s.passed(t, a)
			if len(got.header("X-Forwarded-Groups")) != 0 || strings.Contains(got.raw, name) {
				t.Errorf("%q as %s arrived as\n%s", name, claim, got.raw)
			}
		}
	}
}

// TestDelimiterInsideAListClaim: one group called "a,admin" must not be read as two.
func TestDelimiterInsideAListClaim(t *testing.T) {
	s := newSite(t, plan{})
	for want, groups := range map[string][]string{
		"a%2Cadmin":         {"a,admin"},
		"users,x;admin":     {"users", "x;admin"},
		`users"%2C"admin`:   {`users","admin`},
		"a%252Cadmin":       {"a%2Cadmin"},
		"%20admin":          {" admin"},
		"users%0D%0A,admin": {"users\r\n", "admin"},
	} {
		got := s.passed(t, s.as(t, "", "/api/", "Authorization: Bearer "+s.token(t, map[string]any{"groups": groups})))
		if h := got.header("X-Forwarded-Groups"); !slices.Equal(h, []string{want}) {
			t.Errorf("%q arrived as %q, want %q", groups, h, want)
		}
	}
}

// TestVeryLargeIdentityIsNeverCutShort: half of a list of groups is another
// list of groups.
func TestVeryLargeIdentityIsNeverCutShort(t *testing.T) {
	var groups []string
	for i := range 3000 {
		groups = append(groups, fmt.Sprintf("group-number-%d", i))
	}
	s := newSite(t, plan{identities: "- {subject: crowd, groups: [" + strings.Join(groups, ", ") + ", users]}"})
	a := s.as(t, "crowd", "/app")
	s.denied(t, a, http.StatusForbidden)
	if !strings.Contains(a.text, "identity_too_large") {
		t.Errorf("the answer does not say why:\n%s", a.text)
	}
	s.passed(t, s.as(t, "crowd", "/public/")).isNobody(t)
}

// TestGatewayCookiesAreNotSentToTheApplication has cookies of the application
// around the gateway's, which must arrive byte for byte.
func TestGatewayCookiesAreNotSentToTheApplication(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost"})
	session := s.signIn(t, "alice")
	for want, sent := range map[string]string{
		`a=1; b="x y"; c=d=e`: `a=1; ` + session + `; b="x y"; c=d=e; __Host-sp_login=abc; __Host-sp_state_1=x`,
		"a=1":                 session + "; a=1",
		"a=1; a=2":            "a=1; " + session + "; a=2",
		"":                    session,
		"sp=x; __host-spx=1":  "sp=x; " + session + "; __host-spx=1",
	} {
		for _, target := range []string{"/app", "/public/"} {
			got := s.passed(t, s.raw(t, s.request("GET", target, "Cookie: "+sent, "Connection: close")))
			if h := strings.Join(got.header("Cookie"), "|"); h != want {
				t.Errorf("%s: %q arrived as %q, want %q", target, sent, h, want)
			}
		}
	}
	got := s.passed(t, s.raw(t, s.request("GET", "/app", "Cookie: a=1", "Cookie: "+session, "Cookie: =__Host-sp=x", "Cookie: b=2", "Connection: close")))
	if h := got.header("Cookie"); !slices.Equal(h, []string{"a=1; b=2"}) {
		t.Errorf("several lines arrived as %q", h)
	}
}

func TestCredentialThatWasUsedIsNotSentToTheApplication(t *testing.T) {
	s := newSite(t, plan{})
	bearer := "Authorization: Bearer " + s.token(t, map[string]any{"groups": []string{"users"}})
	for _, target := range []string{"/api/", "/both/"} {
		if got := s.passed(t, s.as(t, "", target, bearer)); len(got.header("Authorization")) != 0 {
			t.Errorf("%s: %q arrived", target, got.header("Authorization"))
		}
	}
	// Where the header is the application's own, it arrives untouched.
	for target, user := range map[string]string{"/public/": "", "/own/": "alice"} {
		if got := s.passed(t, s.as(t, user, target, "Authorization: Basic eDp5")); !slices.Equal(got.header("Authorization"), []string{"Basic eDp5"}) {
			t.Errorf("%q arrived", got.header("Authorization"))
		}
	}
}

// TestHTTP2ChangesNothing sends the spoofed headers, a split cookie and a
// trailer over HTTP/2, where names are lower case and cookies come in pieces.
func TestHTTP2ChangesNothing(t *testing.T) {
	s := newSite(t, plan{})
	client, base := s.http2(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/app", strings.NewReader("a"))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = -1
	req.Host = s.host
	req.Header = http.Header{
		"Cookie": {"a=1", s.signIn(t, "alice"), "b=2"}, "x-forwarded-user": {"root"}, "X_Forwarded_Groups": {"admin"},
	}
	req.Trailer = http.Header{"X-Forwarded-User": {"root"}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := s.passed(t, answer{Response: res})
	got.isAlice(t)
	if res.ProtoMajor != 2 || !slices.Equal(got.header("Cookie"), []string{"a=1; b=2"}) || strings.Contains(got.raw, "root") {
		t.Errorf("%s; the application received:\n%s", res.Proto, got.raw)
	}
}
