package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// closed asserts that the answer to a check lets nobody in and sets no cookie. want are
// the statuses that it may have, as the proxies other than nginx get them.
func closed(t *testing.T, dialect string, a answer, want ...int) {
	t.Helper()
	if strings.HasPrefix(dialect, "nginx") || strings.HasPrefix(dialect, "oauth2_proxy") {
		want = slices.Clone(want)
		for i, status := range want {
			switch {
			case status == http.StatusFound:
				want[i] = http.StatusUnauthorized
			case status < 500 && status != http.StatusUnauthorized:
				want[i] = http.StatusForbidden
			}
		}
	}
	if !slices.Contains(want, a.StatusCode) {
		t.Errorf("%s: the answer is %d, want one of %v\n%.300s", dialect, a.StatusCode, want, a.text)
	}
	if got := a.Header["Set-Cookie"]; len(got) != 0 {
		t.Errorf("%s: the answer sets %q", dialect, got)
	}
	for _, name := range identityHeaders() {
		if got := a.Header[name]; len(got) != 0 {
			t.Errorf("%s: a refusal has %s: %q", dialect, name, got)
		}
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" && a.StatusCode != 0 {
		t.Errorf("%s: Cache-Control is %q", dialect, got)
	}
}

// open asserts an answer that each proxy takes for a yes.
func open(t *testing.T, dialect string, a answer) {
	t.Helper()
	yes := http.StatusOK
	if strings.HasPrefix(dialect, "oauth2_proxy") {
		yes = http.StatusAccepted
	}
	if a.StatusCode != yes || a.text != "" || a.Header.Get("Cache-Control") != "no-store" || len(a.Header["Set-Cookie"]) != 0 {
		t.Errorf("%s: the answer is %d %v %q", dialect, a.StatusCode, a.Header, a.text)
	}
}

// TestCheckWithoutTheForwardedRequest: what a proxy does not say is nowhere else to
// be had, least of all from the check's own request line.
func TestCheckWithoutTheForwardedRequest(t *testing.T) {
	s := asking(t, plan{})
	alice := "Cookie: " + s.signIn(t, "alice")
	forwarded := []string{"X-Forwarded-Method: GET", "X-Forwarded-Proto: http", "X-Forwarded-Host: " + s.host, "X-Forwarded-Uri: /public/x"}
	says := map[string][]string{
		"nginx":   {"X-Original-URL: http://" + s.host + "/public/x", "X-Original-Method: GET"},
		"traefik": forwarded, "caddy": forwarded, "haproxy": forwarded,
		"envoy": {"X-Forwarded-Proto: http"},
	}
	for _, dialect := range dialects() {
		path := "/.auth/check/" + dialect
		if dialect == "envoy" {
			path += "/public/x"
		}
		for i, line := range says[dialect] {
			name, _, _ := strings.Cut(line, ":")
			without := slices.Delete(slices.Clone(says[dialect]), i, i+1)
			for what, lines := range map[string][]string{
				"missing":             without,
				"empty":               append(slices.Clone(without), name+": "),
				"in another spelling": append(slices.Clone(without), strings.Replace(line, "-", "_", 1)),
			} {
				for _, who := range []string{"X-Nobody: 1", alice} {
					a := s.raw(t, s.request("GET", path, append([]string{"Connection: close", "Accept: text/html", who}, lines...)...))
					closed(t, dialect+", "+what, a, 400, 403)
				}
			}
			poll(t, "a line that names "+name, func() bool {
				for _, entry := range s.log.FilterMessage("request").All() {
					f := entry.ContextMap()
					if text, _ := f["error"].(string); f["dialect"] == dialect && strings.EqualFold(strings.TrimSuffix(text, " is missing: have the proxy set it"), name) {
						return f["reason"] == "bad_original_request" && f["outcome"] == "malformed"
					}
				}
				return false
			})
		}
	}
	for _, path := range []string{"/.auth/check", "/.auth/check/", "/.auth/check/apache", "/.auth/check/nginx/", "/.auth/check/traefik/public/x", "/.auth/check/%6eginx/x", "/.auth/check/envoy"} {
		lines := append([]string{"Connection: close"}, append(says["nginx"], forwarded...)...)
		closed(t, path, s.raw(t, s.request("GET", path, lines...)), 404, 400)
	}
}

// TestDirectCallByAClient (CVE-2026-40575): only the address of the peer says who is
// a proxy, and nothing that a client can send.
func TestDirectCallByAClient(t *testing.T) {
	s := asking(t, plan{trusted: "10.1.2.3"})
	before := s.signIn(t, "alice")
	for _, dialect := range dialects() {
		for _, user := range []string{"", "alice"} {
			for _, target := range []string{"/public/", "/app"} {
				a := s.checked(t, dialect, about{user: user, target: target, lines: []string{"X-Forwarded-For: 10.1.2.3", "X-Real-IP: 10.1.2.3", "Forwarded: for=10.1.2.3"}})
				closed(t, dialect, a, 403)
				if a.StatusCode != http.StatusForbidden {
					t.Errorf("%s: %d", dialect, a.StatusCode)
				}
			}
		}
	}
	if s.metric(t, `sallyport_checks_total{dialect="traefik",outcome="forbid"}`) != "4" {
		t.Error("who may not ask is not counted")
	}
	s.passed(t, s.raw(t, s.request("GET", "/app", "Cookie: "+before, "Connection: close")))
}

// TestOnlyTheDocumentedHeaderOfEachProxy (GHSA-5wcc-hf24-rf5h, CVE-2021-32777): a
// client can add whatever another proxy would have set.
func TestOnlyTheDocumentedHeaderOfEachProxy(t *testing.T) {
	s := asking(t, plan{})
	all := []string{
		"X-Original-URI: /public/", "X-Original-URL: http://" + s.host + "/public/", "X-Original-Method: OPTIONS",
		"X-Forwarded-Uri: /public/", "X-Forwarded-Host: public.localhost", "X-Forwarded-Method: OPTIONS", "X-Rewrite-URL: /public/", "X-Scheme: https",
		"X-Auth-Request-Redirect: /public/", "X-Envoy-Original-Path: /public/", "X-Replaced-Path: /public/",
		"X_Original_URL: http://" + s.host + "/public/", "X_Forwarded_Uri: /public/", "Forwarded: host=public.localhost",
	}
	reads := map[string][]string{
		"nginx":   {"X-Original-URL", "X-Original-Method"},
		"traefik": {"X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-Method", "X-Forwarded-Proto"},
		"envoy":   {"X-Forwarded-Proto"},
	}
	reads["caddy"], reads["haproxy"] = reads["traefik"], reads["traefik"]
	for _, dialect := range dialects() {
		var others []string
		for _, line := range all {
			name, _, _ := strings.Cut(line, ":")
			if !slices.Contains(reads[dialect], name) {
				others = append(others, line)
			}
		}
		closed(t, dialect, s.checked(t, dialect, about{target: "/admin/secret", lines: others}), 401)
		closed(t, dialect, s.checked(t, dialect, about{target: "/admin/secret", user: "alice", lines: others}), 403)
		open(t, dialect, s.checked(t, dialect, about{target: "/admin/secret", user: "root", lines: others}))
		for _, query := range []string{"?url=/public/", "?X-Original-URL=http://localhost:8080/public/", "?allowed_groups=users", "?rd=/public/"} {
			if dialect == "envoy" { // whose query is the client's
				break
			}
			target := "/.auth/check/" + dialect + query
			text := s.request("GET", target, "Connection: close", "Cookie: "+s.signIn(t, "alice"),
				"X-Original-URL: http://"+s.host+"/admin/secret", "X-Original-Method: GET",
				"X-Forwarded-Uri: /admin/secret", "X-Forwarded-Host: "+s.host, "X-Forwarded-Method: GET", "X-Forwarded-Proto: http")
			closed(t, dialect, s.raw(t, text), 403)
		}
		for _, name := range reads[dialect] {
			for _, second := range []string{name + ": http", strings.ToLower(name) + ": GET", name + ": http://" + s.host + "/public/"} {
				closed(t, dialect, s.checked(t, dialect, about{target: "/admin/secret", user: "root", lines: []string{second}}), 400)
			}
		}
	}
}

// TestGatewayPathsInsideTheForwardedURL (CVE-2026-34457): a path of the gateway's own
// is not free because it is the gateway's, nor a client because it calls itself a
// health check.
func TestGatewayPathsInsideTheForwardedURL(t *testing.T) {
	s := asking(t, plan{})
	for _, dialect := range dialects() {
		for _, target := range []string{
			"/livez", "/readyz", "/metrics", "/robots.txt", "/favicon.ico", "/oauth2/auth", "/.well-known/openid-configuration",
			"/.auth", "/.auth/", "/.auth/login", "/.auth/callback", "/.auth/callback/dev", "/.auth/static/x.css", "/.auth/check/" + dialect, "/%2eauth/login",
		} {
			for _, agent := range []string{"GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0"} {
				closed(t, dialect+" "+target, s.checked(t, dialect, about{target: target, lines: []string{"User-Agent: " + agent}}), 401, 404)
			}
			own := strings.HasPrefix(strings.Replace(target, "%2e", ".", 1), "/.auth") || strings.HasPrefix(target, "/oauth2/")
			if a := s.checked(t, dialect, about{target: target, user: "root"}); own {
				closed(t, dialect+" "+target, a, 404)
			} else {
				open(t, dialect, a)
			}
		}
	}
}

// TestEndpointInAnotherSpellingIsNone: a proxy may keep clients from the check
// endpoints by their path, and lead everything else below the prefix here.
func TestEndpointInAnotherSpellingIsNone(t *testing.T) {
	s := asking(t, plan{})
	for _, target := range []string{"/.auth/%63heck/traefik", "/.auth/check%2Ftraefik", "/%2eauth/check/traefik", "/.auth/check/trae%66ik", "/.auth//check/traefik", "/.auth/check//traefik", "/.auth/check/traefik/"} {
		a := s.as(t, "alice", target, "X-Forwarded-Method: GET", "X-Forwarded-Proto: http", "X-Forwarded-Host: "+s.host, "X-Forwarded-Uri: /public/x")
		if a.StatusCode == http.StatusOK || a.Header.Get("X-Forwarded-User") != "" {
			t.Errorf("%s: %d %v", target, a.StatusCode, a.Header)
		}
		s.upstream.take()
	}
}
