package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// refusedCheck asserts an answer that no proxy takes for a yes, and that a client
// gets nothing to follow from.
func refusedCheck(t *testing.T, what string, a answer, statuses ...int) {
	t.Helper()
	if !slices.Contains(statuses, a.StatusCode) {
		t.Errorf("%s: %d, want one of %v\n%v", what, a.StatusCode, statuses, a.Header)
	}
	if len(a.Header["Set-Cookie"]) != 0 || a.Header.Get("X-Forwarded-User") != "" || a.Header.Get("X-Auth-Request-User") != "" {
		t.Errorf("%s: the refusal has %v", what, a.Header)
	}
}

// TestSpoofedDescriptionsNeverOpenTheCheckOfOAuth2Proxy (GHSA-7x63-xv5r-3p2x): the
// proxy overwrites one of the headers that may describe the request, and the client
// sends the others, all about a public path or a host where everything is public.
func TestSpoofedDescriptionsNeverOpenTheCheckOfOAuth2Proxy(t *testing.T) {
	routes := `
  - {name: open, hosts: [open.localhost], paths: [/], upstream: "$UP", public: true}
`
	s := formerly(t, plan{routes: routes})
	traefik := formerly(t, plan{routes: routes}, "forwarded_headers: true")
	const host = "localhost:8080"
	spoofs := []string{
		"X-Original-URL: http://localhost:8080/public/x", "X-Original-URL: http://open.localhost:8080/admin/secret", "X-Original-Method: GET",
		"X-Forwarded-Uri: /public/x", "X-Forwarded-Host: open.localhost:8080", "X-Forwarded-Proto: https", "X-Forwarded-Method: GET",
		"X-Auth-Request-Redirect: /public/x", "X-Auth-Request-Redirect: http://open.localhost:8080/admin/secret",
		"X-Original-URI: /public/x", "X-Rewrite-URL: /public/x", "X-Forwarded-Path: /public/x",
	}
	proxies := map[string]struct {
		at   *site
		sets []string
	}{
		"ingress-nginx":   {s, []string{"Host: auth.svc", "X-Original-URL: http://" + host + "/admin/secret", "X-Original-Method: GET", "X-Auth-Request-Redirect: /admin/secret"}},
		"nginx, URI":      {s, []string{"Host: " + host, "X-Forwarded-Uri: /admin/secret"}},
		"nginx, any host": {s, []string{"Host: evil.test", "X-Forwarded-Uri: /admin/secret"}},
		"nginx, redirect": {s, []string{"Host: " + host, "X-Auth-Request-Redirect: http://" + host + "/admin/secret"}},
		"Caddy":           {s, []string{"Host: " + host, "X-Forwarded-Uri: /admin/secret", "X-Forwarded-Method: GET", "X-Forwarded-Host: " + host, "X-Forwarded-Proto: http"}},
		"Traefik":         {traefik, []string{"Host: auth.svc", "X-Forwarded-Uri: /admin/secret", "X-Forwarded-Method: GET", "X-Forwarded-Host: " + host, "X-Forwarded-Proto: http"}},
	}
	sent := 0
	for name, proxy := range proxies {
		t.Run(name, func(t *testing.T) {
			var free []string // what the proxy does not overwrite
			for _, spoof := range spoofs {
				field, _, _ := strings.Cut(spoof, ":")
				if !slices.ContainsFunc(proxy.sets, func(line string) bool { return strings.HasPrefix(line, field+":") }) {
					free = append(free, spoof)
				}
			}
			for _, user := range []string{"", "alice"} {
				for chosen := range 1 << len(free) { // every subset
					lines := slices.Clone(proxy.sets)
					for i, spoof := range free {
						if chosen>>i&1 == 1 {
							lines = append(lines, spoof)
						}
					}
					if sent++; len(free) > 7 && chosen%7 != 0 {
						continue // a seventh of the large ones
					}
					refusedCheck(t, fmt.Sprintf("%q with %q", user, lines), proxy.at.auth(t, user, "", lines...), 400, 401, 403)
				}
			}
		})
	}
	if sent < 500 {
		t.Errorf("only %d combinations were there", sent)
	}
}

// TestSpoofedMethodsNeverOpenTheCheckOfOAuth2Proxy: nginx as oauth2-proxy documents
// it says nothing of the method, so that one which is there is the client's.
func TestSpoofedMethodsNeverOpenTheCheckOfOAuth2Proxy(t *testing.T) {
	s := formerly(t, plan{})
	for _, lines := range [][]string{
		{"X-Original-Method: GET"},
		{"X-Forwarded-Method: GET"},
		{"X-Original-Method: GET", "X-Forwarded-Method: HEAD"},
		{"X-Original-Method: GET", "X-Original-URL: http://localhost:8080/rw/"},
	} {
		refusedCheck(t, strings.Join(lines, ", "), s.auth(t, "alice", "", append(lines, "X-Forwarded-Uri: /rw/")...), 403)
	}
	refusedCheck(t, "two methods", s.auth(t, "alice", "", s.original("/rw/", "X-Forwarded-Method: POST")...), 403)
}

// TestClientsCannotAskTheCheckOfOAuth2Proxy (CVE-2026-40575): whoever reaches the
// endpoint without being a proxy of the operator's learns nothing.
func TestClientsCannotAskTheCheckOfOAuth2Proxy(t *testing.T) {
	s := formerly(t, plan{trusted: "192.0.2.1"})
	for _, user := range []string{"", "alice"} {
		for _, line := range []string{"X-Forwarded-Uri: /public/", "X-Original-URL: http://localhost:8080/public/", "X-Auth-Request-Redirect: http://localhost:8080/public/", "Accept: */*"} {
			a := s.auth(t, user, "", line)
			refusedCheck(t, line, a, 403)
			if !strings.Contains(a.text, "untrusted_proxy") {
				t.Errorf("%s", a.text)
			}
		}
	}
	// Nor is his word taken for where a sign-in leads.
	if a := s.as(t, "", "/oauth2/start", "X-Auth-Request-Redirect: /x"); a.Header.Get("Location") != "/.auth/login" {
		t.Errorf("%v", a.Header)
	}
}

// TestMalformedDescriptionsNeverOpenTheCheckOfOAuth2Proxy (CVE-2021-32637).
func TestMalformedDescriptionsNeverOpenTheCheckOfOAuth2Proxy(t *testing.T) {
	s := formerly(t, plan{})
	const url, method = "X-Original-URL: http://localhost:8080/public/x", "X-Original-Method: GET"
	tests := map[string][]string{
		"nothing":                   {method},
		"empty":                     {"X-Original-URL:", "X-Forwarded-Uri:", "X-Auth-Request-Redirect:", method},
		"the URL twice":             {url, url, method},
		"the method twice":          {url, method, method},
		"the URI twice":             {"X-Forwarded-Uri: /public/x", "X-Forwarded-Uri: /public/x"},
		"a path in place of a URL":  {"X-Original-URL: /public/x", method},
		"a list":                    {"X-Original-URL: http://localhost:8080/public/x, http://localhost:8080/public/y", method},
		"no path":                   {"X-Original-URL: http://localhost:8080", method},
		"no host":                   {"X-Original-URL: http:///public/x", method},
		"user info":                 {"X-Original-URL: http://localhost:8080@evil.test/public/x", method},
		"another scheme":            {"X-Original-URL: ftp://localhost:8080/public/x", method},
		"a host with a space":       {"X-Original-URL: http://local host/public/x", method},
		"half an address":           {"X-Original-URL: http://[::1/public/x", method},
		"port abc":                  {"X-Original-URL: http://localhost:abc/public/x", method},
		"a bad escape":              {"X-Original-URL: http://localhost:8080/public/%zz", method},
		"64 KiB":                    {"X-Forwarded-Uri: /public/" + strings.Repeat("a", 20<<10)},
		"no slash":                  {"X-Forwarded-Uri: public/x"},
		"a URL in place of a path":  {"X-Forwarded-Uri: http://localhost:8080/public/x"},
		"two schemes":               {"X-Forwarded-Uri: /public/x", "X-Forwarded-Proto: https, http"},
		"a list of hosts":           {"X-Forwarded-Uri: /public/x", "X-Forwarded-Host: localhost:8080, open.localhost"},
		"method in small letters":   {url, "X-Original-Method: get"},
		"TRACE":                     {url, "X-Original-Method: TRACE"},
		"a method that is none":     {url, "X-Original-Method: G T"},
		"fragment in place of path": {"X-Original-URL: http://localhost:8080#/public/x", method},
		"the gateway's own":         {"X-Original-URL: http://localhost:8080/.auth/login", method},
		"oauth2-proxy's own":        {"X-Original-URL: http://localhost:8080/oauth2/start", method},
		"liveness":                  {"X-Original-URL: http://localhost:8080/livez", method},
		"metrics":                   {"X-Original-URL: http://localhost:8080/metrics", method},
		"robots":                    {"X-Original-URL: http://localhost:8080/robots.txt", method},
		"ping":                      {"X-Original-URL: http://localhost:8080/ping", method},
	}
	for name, lines := range tests {
		a := s.auth(t, "", "", lines...)
		refusedCheck(t, name, a, 400, 401, 403, 431)
		if got := a.Header.Get("Location"); strings.Contains(got, "evil") {
			t.Errorf("%s leads to %s", name, got)
		}
	}
}

// TestPathTricksInTheCheckOfOAuth2Proxy (CVE-2025-54576, CVE-2026-41059): the answer
// is that of the proxy mode for the same path.
func TestPathTricksInTheCheckOfOAuth2Proxy(t *testing.T) {
	s := formerly(t, plan{})
	for _, target := range []string{
		"/public/../admin/secret", "/public/%2e%2e/admin/secret", "/public/..%2fadmin", "//admin/public/x", "/admin/secret?x=/public/",
		"/admin/secret%23/public/", "/admin/secret;/public/", `/admin\x`, "/%61dmin/secret", "/admin/secret%3f/public/", "/./public/../admin/secret",
	} {
		for name, lines := range map[string][]string{
			"URL": {"X-Original-URL: http://localhost:8080" + target, "X-Original-Method: GET"}, "URI": {"X-Forwarded-Uri: " + target}, "redirect": {"X-Auth-Request-Redirect: http://localhost:8080" + target},
		} {
			refusedCheck(t, name+" "+target, s.auth(t, "alice", "", lines...), 400, 403)
		}
	}
}

// TestHealthCheckersPassNoCheckOfOAuth2Proxy (GHSA-5hvv-m4w4-gf6v): oauth2-proxy let
// in whoever called himself a health check.
func TestHealthCheckersPassNoCheckOfOAuth2Proxy(t *testing.T) {
	s := formerly(t, plan{})
	for _, agent := range []string{"GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0", "oauth2-proxy"} {
		refusedCheck(t, agent, s.auth(t, "", "", s.original("/x", "User-Agent: "+agent)...), 401)
		s.denied(t, s.as(t, "", "/x", "User-Agent: "+agent), 401)
	}
}

// TestAddingToTheQueryOfTheCheckOnlyNarrowsIt: proxies append the client's query to
// that of the check, as Caddy does, where oauth2-proxy took either of two lists.
func TestAddingToTheQueryOfTheCheckOnlyNarrowsIt(t *testing.T) {
	s := formerly(t, plan{})
	for _, added := range []string{
		"", "&allowed_groups=users", "&allowed_groups=", "&allowed_groups=admin&allowed_groups=users", "&require_all_matches=false&allowed_emails=alice@example.test",
		"&allowed_emails=alice@example.test", "&constraints_required=false", "&allowed_groups[]=users", "&ALLOWED_GROUPS=users", "&allowed_roles=x", "&x=%zz", "&a;allowed_groups=users", "#",
	} {
		refusedCheck(t, added, s.auth(t, "alice", "?allowed_groups=admin"+added, s.original("/x")...), 400, 403)
	}
	for _, unreadable := range []string{"?x=%zz", "?a;b", "?allowed_roles=x"} {
		refusedCheck(t, unreadable, s.auth(t, "alice", unreadable, s.original("/x")...), 403)
	}
}

// TestAllowAnswersOfOAuth2ProxysCheckOverwriteWhatClientsSend (CVE-2026-30851): every
// identity header is there, empty where there is nothing to say, so that the proxy
// that copies it overwrites the client's.
func TestAllowAnswersOfOAuth2ProxysCheckOverwriteWhatClientsSend(t *testing.T) {
	s := formerly(t, plan{})
	forged := []string{
		"X-Forwarded-User: root", "X-Forwarded-Email: root@example.test", "X-Forwarded-Groups: admin", "X-Forwarded-Issuer: x",
		"X-Auth-Request-User: root", "X-Auth-Request-Email: root@example.test", "X-Auth-Request-Groups: admin", "X-Auth-Request-Access-Token: x", "Authorization: Basic cm9vdDp4",
	}
	for name, tt := range map[string]struct {
		user, target string
		forged       []string
	}{
		"without an address":       {"mallory", "/x", forged[:8]},
		"public, nobody":           {"", "/public/x", forged[:8]},
		"public, malformed cookie": {"", "/public/x", append([]string{"Cookie: sp=%%%"}, forged[:8]...)},
	} {
		a := s.auth(t, tt.user, "", s.original(tt.target, tt.forged...)...)
		if a.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %d %v", name, a.StatusCode, a.Header)
		}
		for _, header := range []string{
			"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Issuer",
			"X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username", "X-Auth-Request-Access-Token",
		} {
			if got := a.Header[header]; len(got) != 1 || strings.Contains(got[0], "root") || strings.Contains(got[0], "admin") || got[0] == "x" {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
	}
	refusedCheck(t, "malformed cookie", s.auth(t, "", "", s.original("/x", "Cookie: sp=%%%")...), 401)
	refusedCheck(t, "another credential", s.auth(t, "alice", "", s.original("/x", "Authorization: Basic cm9vdDp4")...), 401)
}

// TestTroubleInsideTheCheckOfOAuth2ProxyLetsNobodyIn (CVE-2021-32637): what can't be
// judged is neither yes nor no.
func TestTroubleInsideTheCheckOfOAuth2ProxyLetsNobodyIn(t *testing.T) {
	s := formerly(t, plan{
		issuers:  "- {issuer: \"http://127.0.0.1:9\", audiences: [x], algorithms: [ES256], insecure_http: true}",
		policies: "- {name: broken, rules: [{name: broken, allow: {when: 'identity.claims.nothing == \"x\"'}}]}",
		routes: `
  - {name: broken, paths: [/broken/], policy: broken}
  - {name: down, paths: [/down/], auth: [bearer], policy: authenticated, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
`,
	})
	refusedCheck(t, "a rule that fails", s.auth(t, "alice", "", s.original("/broken/")...), 403)
	token := s.token(t, map[string]any{"iss": "http://127.0.0.1:9", "aud": "x"})
	down := s.auth(t, "", "", s.original("/down/", "Authorization: Bearer "+token)...)
	refusedCheck(t, "keys that can't be had", down, 503)
	if down.text != "" || down.Header.Get("Sallyport-Reason") != "unavailable" {
		t.Errorf("%v %q", down.Header, down.text)
	}
}

// TestNoAddressOfOAuth2ProxyLeadsToAnotherSite: rd and X-Auth-Request-Redirect are
// refused before anything is made.
func TestNoAddressOfOAuth2ProxyLeadsToAnotherSite(t *testing.T) {
	s := formerly(t, plan{})
	for trick, targets := range awayTargets() {
		t.Run(trick, func(t *testing.T) {
			for _, target := range targets {
				q := url.QueryEscape(target)
				ask := map[string]func() answer{
					"start":    func() answer { return s.as(t, "", "/oauth2/start?rd="+q) },
					"sign_in":  func() answer { return s.as(t, "alice", "/oauth2/sign_in?rd="+q) },
					"sign_out": func() answer { return s.as(t, "alice", "/oauth2/sign_out?rd="+q) },
					"POST": func() answer {
						return s.post(t, "/oauth2/sign_out?rd="+q, nil, "Sec-Fetch-Site: same-origin")
					},
				}
				if !strings.ContainsFunc(target, func(c rune) bool { return c < ' ' || c == 0x7f }) && strings.TrimSpace(target) == target {
					ask["by header"] = func() answer { return s.as(t, "", "/oauth2/start", "X-Auth-Request-Redirect: "+target) }
				}
				for name, ask := range ask {
					a := ask()
					if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || a.Header.Get("Refresh") != "" || len(a.Header["Set-Cookie"]) != 0 {
						t.Errorf("%s with %.60q: %d to %q %q, cookies %q", name, target, a.StatusCode, a.Header.Get("Location"), a.Header.Get("Refresh"), a.Header["Set-Cookie"])
					}
					if strings.Contains(a.text, "evil.test") {
						t.Errorf("%s with %.60q shows the address", name, target)
					}
				}
			}
		})
	}
}
