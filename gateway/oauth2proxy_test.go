package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// formerly is a site whose proxies were set up for oauth2-proxy. The test is one of
// them.
func formerly(t *testing.T, p plan, compat ...string) *site {
	t.Helper()
	p.trusted = orDefault(p.trusted, "127.0.0.1")
	p.top += "\ncompat: {oauth2_proxy: true" + strings.Join(append([]string{""}, compat...), ", ") + "}\n"
	return newSite(t, p)
}

// auth asks /oauth2/auth, with the session of a user; nobody's for "".
func (s *site) auth(t *testing.T, user, query string, lines ...string) answer {
	t.Helper()
	return s.as(t, user, "/oauth2/auth"+query, lines...)
}

// original describes a request as ingress-nginx does.
func (s *site) original(target string, more ...string) []string {
	return append([]string{"X-Original-URL: http://" + s.host + target, "X-Original-Method: GET", "X-Auth-Request-Redirect: " + target}, more...)
}

func TestCheckOfOAuth2ProxyAnswersLikeIt(t *testing.T) {
	s := formerly(t, plan{})
	yes := s.auth(t, "alice", "", s.original("/x?y=1")...)
	if yes.StatusCode != http.StatusAccepted || yes.text != "" || len(yes.Header["Set-Cookie"]) != 0 {
		t.Errorf("%d %v %q", yes.StatusCode, yes.Header, yes.text)
	}
	for name, want := range map[string]string{
		"X-Auth-Request-User": "alice", "X-Auth-Request-Email": "alice@example.test", "X-Auth-Request-Groups": "users",
		"X-Auth-Request-Preferred-Username": "alice", "X-Auth-Request-Access-Token": "", "X-Forwarded-User": "alice", "Authorization": "",
	} {
		if got, there := yes.Header[name]; !there || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want one line %q", name, got, want)
		}
	}
	page := s.auth(t, "", "", s.original("/x?y=1", "Accept: text/html")...)
	if got := page.Header.Get("Location"); page.StatusCode != http.StatusUnauthorized || page.text != "" || got != "http://localhost:8080/.auth/login?return_to=%2Fx%3Fy%3D1" {
		t.Errorf("%d to %q %q", page.StatusCode, got, page.text)
	}
	program := s.auth(t, "", "", s.original("/x")...)
	if program.StatusCode != http.StatusUnauthorized || program.Header.Get("Sallyport-Reason") != "no_credential" {
		t.Errorf("%d %v", program.StatusCode, program.Header)
	}
	no := s.auth(t, "alice", "", s.original("/admin/")...)
	if no.StatusCode != http.StatusForbidden || no.text != "" || no.Header.Get("Sallyport-Reason") != "no_rule_matched" {
		t.Errorf("%d %v %q", no.StatusCode, no.Header, no.text)
	}
	if public := s.auth(t, "", "", s.original("/public/x")...); public.StatusCode != http.StatusAccepted {
		t.Errorf("public: %d", public.StatusCode)
	}
	poll(t, "a line that names the dialect for each check", func() bool {
		return strings.Count(s.logText.String(), `"dialect":"oauth2_proxy"`) == 5
	})
}

// TestProxiesDescribeRequestsAsTheyDidForOAuth2Proxy: each in the words that the
// documentation of oauth2-proxy has for it.
func TestProxiesDescribeRequestsAsTheyDidForOAuth2Proxy(t *testing.T) {
	s, traefik := formerly(t, plan{}), formerly(t, plan{}, "forwarded_headers: true")
	tests := map[string]struct {
		at    *site
		lines []string
		want  int
	}{
		"ingress-nginx, by the name of its service": {s, []string{"Host: oauth2-proxy.auth.svc:4180", "X-Original-URL: http://localhost:8080/x", "X-Original-Method: POST", "X-Auth-Request-Redirect: /x"}, 202},
		"ingress-nginx, a write":                    {s, s.original("/rw/", "X-Original-Method: POST")[1:], 400},
		"ingress-nginx, a read":                     {s, s.original("/rw/"), 202},
		"ingress-nginx, redirect elsewhere":         {s, []string{"X-Original-URL: http://localhost:8080/x", "X-Original-Method: GET", "X-Auth-Request-Redirect: http://localhost:8080/start"}, 202},
		"ingress-nginx, redirect to another route":  {s, []string{"X-Original-URL: http://localhost:8080/x", "X-Original-Method: GET", "X-Auth-Request-Redirect: http://localhost:8080/public/start"}, 400},
		"nginx": {s, []string{"X-Forwarded-Uri: /x?y=1"}, 202},
		"nginx, of a route that writers only have": {s, []string{"X-Forwarded-Uri: /rw/"}, 403},
		"nginx, with the redirect as a URL":        {s, []string{"X-Auth-Request-Redirect: http://localhost:8080/x"}, 202},
		"Caddy":                                    {s, []string{"X-Forwarded-Uri: /x", "X-Forwarded-Method: GET", "X-Forwarded-Host: localhost:8080", "X-Forwarded-Proto: http"}, 202},
		"Traefik, by the name of its service":      {s, []string{"Host: oauth2-proxy:4180", "X-Forwarded-Uri: /x", "X-Forwarded-Method: GET", "X-Forwarded-Host: localhost:8080", "X-Forwarded-Proto: http"}, 403},
		"Traefik, believed":                        {traefik, []string{"Host: oauth2-proxy:4180", "X-Forwarded-Uri: /x", "X-Forwarded-Method: GET", "X-Forwarded-Host: localhost:8080", "X-Forwarded-Proto: http"}, 202},
		"Traefik, believed, a read":                {traefik, []string{"Host: oauth2-proxy:4180", "X-Forwarded-Uri: /rw/", "X-Forwarded-Method: GET", "X-Forwarded-Host: localhost:8080", "X-Forwarded-Proto: https"}, 202},
		"Traefik, believed, without a host":        {traefik, []string{"X-Forwarded-Uri: /x", "X-Forwarded-Method: GET", "X-Forwarded-Proto: http"}, 400},
		"nothing":                                  {s, nil, 400},
		"a path that could be anywhere":            {s, []string{"X-Auth-Request-Redirect: /x"}, 400},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if a := tt.at.auth(t, "alice", "", tt.lines...); a.StatusCode != tt.want {
				t.Errorf("%d %v\n%s", a.StatusCode, a.Header, a.text)
			}
		})
	}
	poll(t, "a log line that names the header to set", func() bool {
		return strings.Contains(s.logText.String(), "X-Original-Url is missing, and so is X-Forwarded-Uri: have the proxy set the first")
	})
}

func TestQueryOfTheCheckNarrowsIt(t *testing.T) {
	s := formerly(t, plan{identities: `
        - {subject: carol, email: carol@sub.example.test, groups: [users, staff]}
        - {subject: dave, email: "dave@evil.test@example.test", groups: [""]}
`})
	tests := []struct {
		user, query string
		want        int
	}{
		{"alice", "?allowed_groups=users", 202},
		{"alice", "?allowed_groups=staff,users", 202},
		{"alice", "?allowed_groups=staff", 403},
		{"alice", "?allowed_groups=USERS", 403},
		{"alice", "?allowed_groups=user", 403},
		{"alice", "?allowed_emails=bob@example.test,Alice@Example.test", 202},
		{"alice", "?allowed_emails=bob@example.test", 403},
		{"mallory", "?allowed_emails=", 403},
		{"mallory", "?allowed_email_domains=", 403},
		{"alice", "?allowed_email_domains=example.test", 202},
		{"alice", "?allowed_email_domains=.example.test", 202},
		{"carol", "?allowed_email_domains=example.test", 403},
		{"carol", "?allowed_email_domains=.example.test", 202},
		{"carol", "?allowed_email_domains=*.example.test", 202},
		{"alice", "?allowed_email_domains=xample.test", 403},
		{"dave", "?allowed_email_domains=example.test", 403},
		{"alice", "?allowed_email_domains=test,.", 403},
		{"alice", "?allowed_users=alice", 202},
		{"alice", "?allowed_users=alice@example.test", 403},
		{"alice", "?allowed_groups=users&allowed_emails=bob@example.test", 403},
		{"alice", "?constraints_required=true", 403},
		{"alice", "?constraints_required=true&allowed_groups=users", 202},
		{"alice", "?x=1", 202},
		{"", "?allowed_groups=users", 401},
	}
	for _, tt := range tests {
		if a := s.auth(t, tt.user, tt.query, s.original("/x")...); a.StatusCode != tt.want {
			t.Errorf("%s%s: %d %v", tt.user, tt.query, a.StatusCode, a.Header)
		}
	}
	no := s.auth(t, "alice", "?allowed_groups=staff", s.original("/x", "Accept: text/html")...)
	if no.Header.Get("Sallyport-Reason") != "denied_by_query" || no.Header.Get("Location") != "" {
		t.Errorf("%v", no.Header)
	}
}

func TestAddressesOfOAuth2ProxyLeadToTheGatewaysOwn(t *testing.T) {
	s := formerly(t, plan{})
	const there = "?return_to=%2Fx%3Fy%3D1"
	for target, want := range map[string]string{
		"/oauth2/start": "/.auth/login", "/oauth2/start?rd=%2Fx%3Fy%3D1": "/.auth/login" + there, "/oauth2/sign_in?rd=/x?y=1": "/.auth/login" + there,
		"/oauth2/start?rd=http://localhost:8080/x": "/.auth/login?return_to=http%3A%2F%2Flocalhost%3A8080%2Fx",
		"/oauth2/start?rd=/.auth/login":            "/.auth/login",
		"/oauth2/sign_out":                         "/.auth/logout", "/oauth2/sign_out?rd=%2Fx%3Fy%3D1": "/.auth/logout" + there,
	} {
		a := s.as(t, "alice", target)
		if a.StatusCode != http.StatusFound || a.Header.Get("Location") != want || a.Header.Get("Refresh") != "0;url="+want || !strings.Contains(a.text, "<a href=") || len(a.Header["Set-Cookie"]) != 0 {
			t.Errorf("%s: %d %v", target, a.StatusCode, a.Header)
		}
	}
	by := s.as(t, "", "/oauth2/sign_in", "X-Auth-Request-Redirect: /x?y=1")
	if got := by.Header.Get("Location"); got != "/.auth/login"+there {
		t.Errorf("by header: %q", got)
	}
	if a := s.as(t, "", "/oauth2/start?rd=/a", "X-Auth-Request-Redirect: /b"); a.Header.Get("Location") != "/.auth/login?return_to=%2Fa" {
		t.Errorf("the query: %v", a.Header)
	}
	for target, want := range map[string]int{
		"/oauth2/callback?code=x&state=y": 404, "/oauth2/": 404, "/oauth2": 404, "/oauth2/static/x.css": 404, "/oauth2/auth/x": 404, "/oauth2x": 200,
		"/oauth2/start?rd=/a&rd=/b": 400, "/oauth2/start?rd=%zz": 400, "/oauth2/userinfo": 200, "/oauth2/userinfo?x": 200,
	} {
		if a := s.as(t, "alice", target); a.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, a.StatusCode, want)
		}
	}
	if a := s.as(t, "", "/oauth2/start", "Host: unknown.test"); a.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("unknown host: %d", a.StatusCode)
	}
	if a := s.post(t, "/oauth2/start", nil); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.StatusCode)
	}
}

func TestOAuth2ProxyIsOffUnlessItIsWanted(t *testing.T) {
	s := newSite(t, plan{trusted: "127.0.0.1"})
	for _, target := range []string{"/oauth2/start?rd=//evil.test", "/oauth2/userinfo", "/oauth2/auth"} {
		s.passed(t, s.as(t, "alice", target))
	}
}

func TestPagesLeadToOAuth2ProxysAddressesWhereNoProxyAsks(t *testing.T) {
	s := newSite(t, plan{top: "compat: {oauth2_proxy: true}"})
	if start := s.as(t, "", "/oauth2/start?rd=/x"); start.StatusCode != http.StatusFound {
		t.Errorf("%d", start.StatusCode)
	}
	s.denied(t, s.auth(t, "alice", "", s.original("/x")...), http.StatusForbidden)
}

func TestUserinfoOfOAuth2ProxyTellsNoTokens(t *testing.T) {
	s := formerly(t, plan{})
	if a := s.as(t, "", "/oauth2/userinfo"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %d", a.StatusCode)
	}
	var got map[string]any
	a := s.as(t, "alice", "/oauth2/userinfo")
	if err := json.Unmarshal([]byte(a.text), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"user": "alice", "email": "alice@example.test", "groups": []any{"users"}, "preferredUsername": "alice"}
	if diff := cmp.Diff(want, got); diff != "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s\n%v", diff, a.Header)
	}
}

// TestSignOutAtOAuth2ProxysAddressNeedsAClick: a GET ends nothing, since any page can
// make a browser send one, and a POST of another site neither.
func TestSignOutAtOAuth2ProxysAddressNeedsAClick(t *testing.T) {
	s := formerly(t, plan{})
	cookie := "Cookie: " + s.newSession(t, "alice", "")
	live := func() int { return s.as(t, "", "/oauth2/userinfo", cookie).StatusCode }
	s.as(t, "", "/oauth2/sign_out", cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image")
	if a := s.post(t, "/oauth2/sign_out", url.Values{}, cookie, "Sec-Fetch-Site: cross-site"); a.StatusCode != http.StatusForbidden {
		t.Errorf("POST of another site: %d", a.StatusCode)
	}
	if got := live(); got != http.StatusOK {
		t.Fatalf("the session is gone: %d", got)
	}
	if a := s.post(t, "/oauth2/sign_out?rd=/public/bye", url.Values{}, cookie, "Sec-Fetch-Site: same-origin"); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/public/bye" {
		t.Errorf("POST: %d %v", a.StatusCode, a.Header)
	}
	if got := live(); got != http.StatusUnauthorized {
		t.Errorf("the session is alive: %d", got)
	}
}

// TestPrefixOfOAuth2ProxyCanBeTheGatewaysOwn: then a proxy that sends /oauth2/ to it
// needs no other location.
func TestPrefixOfOAuth2ProxyCanBeTheGatewaysOwn(t *testing.T) {
	s := formerly(t, plan{server: "auth_prefix: /oauth2"})
	if a := s.as(t, "", "/oauth2/start?rd=/x"); a.Header.Get("Location") != "/oauth2/login?return_to=%2Fx" {
		t.Errorf("%v", a.Header)
	}
	if a := s.as(t, "", "/oauth2/login", "Accept: text/html"); a.StatusCode != http.StatusOK {
		t.Errorf("sign-in page: %d", a.StatusCode)
	}
	if a := s.auth(t, "", "", s.original("/x", "Accept: text/html")...); a.Header.Get("Location") != "http://localhost:8080/oauth2/login?return_to=%2Fx" {
		t.Errorf("check: %d %v", a.StatusCode, a.Header)
	}
}
