package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestClientAddressIsTheOneThatNobodyCanInvent (CVE-2024-21494, GHSA-9g5q-2w5x-hmxf):
// the peer's or, behind trusted proxies, the right-most address that is none of
// theirs. It is what logs and the audit show.
func TestClientAddressIsTheOneThatNobodyCanInvent(t *testing.T) {
	s := newSite(t, plan{trusted: "127.0.0.1, 10.0.0.0/8, 'fd00::/8'"})
	for name, c := range map[string]struct {
		peer string
		xff  []string
		want string
	}{
		"an untrusted peer's word counts nothing":      {"203.0.113.9:1", []string{"10.0.0.1"}, "203.0.113.9"},
		"an untrusted IPv6 peer":                       {"[2001:db8::1]:1", []string{"10.0.0.1"}, "2001:db8::1"},
		"a trusted peer without a chain":               {"127.0.0.1:1", nil, "127.0.0.1"},
		"the client of a trusted peer":                 {"127.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"what stands to the left is invented":          {"127.0.0.1:1", []string{"10.0.0.1, 203.0.113.9"}, "203.0.113.9"},
		"two lines are one chain, in order":            {"127.0.0.1:1", []string{"10.0.0.1", "203.0.113.9"}, "203.0.113.9"},
		"two trusted proxies":                          {"127.0.0.1:1", []string{"198.51.100.7, 203.0.113.9, 10.1.2.3"}, "203.0.113.9"},
		"nobody but trusted proxies":                   {"127.0.0.1:1", []string{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		"a trusted IPv6 network":                       {"[fd00::1]:1", []string{"2001:db8::2"}, "2001:db8::2"},
		"a mapped address is the IPv4 address":         {"[::ffff:127.0.0.1]:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"a mapped address in the chain":                {"127.0.0.1:1", []string{"203.0.113.9, ::ffff:10.0.0.1"}, "203.0.113.9"},
		"a mapped client":                              {"127.0.0.1:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"what can't be read ends the chain":            {"127.0.0.1:1", []string{"203.0.113.9, unknown"}, "127.0.0.1"},
		"an empty element ends the chain":              {"127.0.0.1:1", []string{"203.0.113.9,,10.0.0.1"}, "10.0.0.1"},
		"text after a good address ends the chain":     {"127.0.0.1:1", []string{"203.0.113.9:80"}, "127.0.0.1"},
		"an octal look-alike ends the chain":           {"127.0.0.1:1", []string{"010.0.0.1"}, "127.0.0.1"},
		"an address that only begins like the network": {"10x.0.0.1:1", []string{"203.0.113.9"}, "10x.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/app", nil)
			r.Host, r.RemoteAddr = s.host, c.peer
			for _, line := range c.xff {
				r.Header.Add("X-Forwarded-For", line)
			}
			for _, other := range []string{"X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"} {
				r.Header.Set(other, "192.0.2.1")
			}
			r.Header.Set("Forwarded", "for=192.0.2.1")
			s.log.TakeAll()
			s.gw.Handler().ServeHTTP(httptest.NewRecorder(), r)
			logged := s.log.FilterMessage("request").All()
			if len(logged) != 1 || logged[0].ContextMap()["client"] != c.want {
				t.Errorf("the log has %v, want the client %s", logged, c.want)
			}
		})
	}
}

// TestForwardedHeadersOfAnUntrustedPeer (CVE-2024-21498, CVE-2026-33495): they
// change neither the route nor where a browser is sent.
func TestForwardedHeadersOfAnUntrustedPeer(t *testing.T) {
	s := newSite(t, plan{})
	plain := s.as(t, "", "/app/", "Accept: text/html")
	for _, line := range []string{
		"X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https", "X-Forwarded-Proto: javascript", "X-Forwarded-Uri: /public/",
		"X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil", "X-Original-URL: /public/", "X-Rewrite-URL: /public/", "Forwarded: host=evil.test;proto=https",
		"X-Forwarded-Method: OPTIONS", "X-HTTP-Method-Override: OPTIONS", "X-Host: evil.test",
	} {
		a := s.as(t, "", "/app/", "Accept: text/html", line)
		s.denied(t, a, http.StatusFound)
		if a.Header.Get("Location") != plain.Header.Get("Location") {
			t.Errorf("%s: Location is %q", line, a.Header.Get("Location"))
		}
		login := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}}, line)
		for _, ck := range login.Cookies() {
			if ck.Secure || ck.Domain != "" {
				t.Errorf("%s: the cookie is %v", line, ck)
			}
		}
		s.denied(t, s.as(t, "alice", "/admin/secret", line), http.StatusForbidden)
	}
}

// TestTheWholeFamilyOfForwardingHeadersIsOverwritten (CVE-2026-35051,
// CVE-2016-5386): net/http/httputil removes four of them alone.
func TestTheWholeFamilyOfForwardingHeadersIsOverwritten(t *testing.T) {
	names := []string{
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Uri",
		"X-Forwarded-Method", "X-Forwarded-Ssl", "X-Forwarded-Scheme", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Real-IP",
		"X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Rewrite-URL", "Forwarded", "Proxy", "X-Client-IP", "X-Forwarded-Client-Cert",
		"Ssl-Client-Verify", "Ssl-Client-Cert", "Client-Cert", "X-Auth-Request-User", "X-Auth-Request-Email", "Remote-User", "X-Remote-User", "X-WebAuth-User",
		"X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Authentik-Username", "X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Data",
		"X-Ms-Client-Principal", "Sallyport-Assertion", "X-Pomerium-Claim-Email", "Cf-Access-Authenticated-User-Email",
		"X_Real_IP", "X.Forwarded.For", "Remote_User", "REMOTE_USER",
	}
	lines := make([]string, 0, len(names))
	for _, name := range names {
		lines = append(lines, name+": 192.0.2.66")
	}
	s := newSite(t, plan{})
	for target, user := range map[string]string{"/app": "alice", "/public/": ""} {
		got := s.passed(t, s.as(t, user, target, lines...))
		if strings.Contains(got.raw, "192.0.2.66") {
			t.Errorf("%s: the application received:\n%s", target, got.raw)
		}
		for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": s.host, "X-Forwarded-Proto": "http"} {
			if h := got.header(name); !slices.Equal(h, []string{want}) {
				t.Errorf("%s: %s is %q, want %q", target, name, h, want)
			}
		}
	}
}

func TestChainOfATrustedProxyIsContinued(t *testing.T) {
	s := newSite(t, plan{trusted: "127.0.0.1"})
	got := s.passed(t, s.as(t, "alice", "/app", "X-Forwarded-For: 198.51.100.7", "X-Forwarded-For: 203.0.113.9"))
	if h := got.header("X-Forwarded-For"); !slices.Equal(h, []string{"198.51.100.7, 203.0.113.9, 127.0.0.1"}) {
		t.Errorf("X-Forwarded-For is %q", h)
	}
}
