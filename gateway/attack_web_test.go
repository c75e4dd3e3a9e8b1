package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestOtherOriginsGetNoCORS (CVE-2018-20744, CVE-2024-25124).
func TestOtherOriginsGetNoCORS(t *testing.T) {
	s := newSite(t, plan{})
	for _, origin := range []string{"https://evil.test", "null", "http://localhost:8080.evil.test"} {
		for _, target := range []string{"/.auth/me", "/.auth/login", "/.auth/logout", "/.auth/nothing", "/app", "/admin/secret", "/app/../x"} {
			for _, method := range []string{"GET", "OPTIONS"} {
				for _, user := range []string{"", "alice"} {
					lines := []string{"Origin: " + origin, "Access-Control-Request-Method: GET", "Connection: close"}
					if user != "" {
						lines = append(lines, "Cookie: "+s.signIn(t, user))
					}
					a := s.raw(t, s.request(method, target, lines...))
					s.upstream.take()
					for name := range a.Header {
						if strings.HasPrefix(name, "Access-Control-") {
							t.Errorf("%s %s: %s is %q", method, target, name, a.Header[name])
						}
					}
				}
			}
		}
	}
}

// TestSharedAnswersOfTheGateway: the pages of a listed origin may read who is
// signed in and ask for tokens, and nothing else; all others nothing at all.
func TestSharedAnswersOfTheGateway(t *testing.T) {
	const spa = "https://spa.example.test"
	s := newSite(t, plan{login: "cors_origins: [" + spa + "]", tokens: "exchange: {enabled: true, audiences: [api]}"})
	cors := func(a answer) string {
		return a.Header.Get("Access-Control-Allow-Origin") + a.Header.Get("Access-Control-Allow-Credentials")
	}
	ask := func(method, target, origin, user string, more ...string) answer {
		lines := append([]string{"Origin: " + origin, "Sec-Fetch-Site: cross-site", "Connection: close"}, more...)
		if user != "" {
			lines = append(lines, "Cookie: "+s.signIn(t, user))
		}
		return s.raw(t, s.request(method, target, lines...))
	}
	for name, c := range map[string]struct {
		a      answer
		status int
		shared bool
	}{
		"who is signed in":          {ask("GET", "/.auth/me", spa, "alice"), 200, true},
		"that nobody is":            {ask("GET", "/.auth/me", spa, ""), 401, true},
		"a token":                   {ask("POST", "/.auth/token", spa, "alice", "Content-Length: 0"), 200, true},
		"a token for nobody":        {ask("POST", "/.auth/token", spa, "", "Content-Length: 0"), 401, true},
		"a preflight for a token":   {ask("OPTIONS", "/.auth/token", spa, "", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"), 204, true},
		"a token to another site":   {ask("POST", "/.auth/token", "https://evil.test", "alice", "Content-Length: 0"), 403, false},
		"a token to null":           {ask("POST", "/.auth/token", "null", "alice", "Content-Length: 0"), 403, false},
		"a token to a look-alike":   {ask("POST", "/.auth/token", spa+".evil.test", "alice", "Content-Length: 0"), 403, false},
		"another site's preflight":  {ask("OPTIONS", "/.auth/token", "https://evil.test", "", "Access-Control-Request-Method: POST"), 405, false},
		"signing out":               {ask("POST", "/.auth/logout", spa, "alice", "Content-Length: 0"), 403, false},
		"a preflight for that":      {ask("OPTIONS", "/.auth/logout", spa, "", "Access-Control-Request-Method: POST"), 405, false},
		"the sign-in page":          {ask("GET", "/.auth/login", spa, "", "Accept: text/html"), 200, false},
		"a route of an application": {ask("GET", "/admin/x", spa, "alice"), 403, false},
		"and nobody there":          {ask("GET", "/app", spa, ""), 401, false},
		"another site, me":          {ask("GET", "/.auth/me", "https://evil.test", "alice"), 200, false},
	} {
		want := ""
		if c.shared {
			want = spa + "true"
		}
		if c.a.StatusCode != c.status || cors(c.a) != want {
			t.Errorf("%s: %d, shared with %q", name, c.a.StatusCode, cors(c.a))
		}
		if c.a.Header.Get("Access-Control-Allow-Origin") == "*" {
			t.Errorf("%s: shared with everybody", name)
		}
	}
	// A cache must not give the answer for one origin to another.
	if vary := ask("GET", "/.auth/me", "https://evil.test", "").Header.Get("Vary"); !strings.Contains(vary, "Origin") {
		t.Errorf("Vary is %q", vary)
	}
}

// TestMarkupInWhatPagesRepeat (CVE-2026-33525, CVE-2024-21496).
func TestMarkupInWhatPagesRepeat(t *testing.T) {
	const markup = `x"'><script>alert(1)</script>`
	s := newSite(t, plan{identities: `- {subject: evil, email: "x\"'><script>alert(1)</script>@example.test", name: "<script>alert(1)</script>", groups: [users]}`})
	q := url.QueryEscape(markup)
	pages := map[string]answer{
		"sign-in":                 s.as(t, "", "/.auth/login?return_to=/"+q, "Accept: text/html"),
		"sign-in, another name":   s.as(t, "", "/.auth/login?provider="+q, "Accept: text/html"),
		"sign-out":                s.as(t, "evil", "/.auth/logout?return_to=/"+q, "Accept: text/html"),
		"forbidden":               s.as(t, "evil", "/admin/"+q, "Accept: text/html"),
		"not found":               s.as(t, "evil", "/.auth/"+q, "Accept: text/html"),
		"malformed":               s.as(t, "evil", "/app/../"+q, "Accept: text/html"),
		"callback":                s.as(t, "", "/.auth/callback/dev?error="+q+"&error_description="+q, "Accept: text/html"),
		"unknown host":            s.as(t, "", "/", "Host: unknown.test", "Accept: text/html", "User-Agent: "+markup, "Referer: "+markup),
		"a request id":            s.as(t, "", "/.auth/nothing", "Accept: text/html", "X-Request-Id: "+markup),
		"a language":              s.as(t, "", "/.auth/login", "Accept: text/html", "Accept-Language: "+markup),
		"wrong name":              s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {markup}}, "Accept: text/html", "Sec-Fetch-Site: same-origin"),
		"to a program":            s.as(t, "evil", "/admin/"+q),
		"forbidden to a program":  s.as(t, "evil", "/.auth/callback/"+q+"?state="+q),
		"who is signed in":        s.as(t, "evil", "/.auth/me"),
		"a method":                s.raw(t, s.request("X'", "/.auth/login", "Accept: text/html", "Connection: close")),
		"a failed program's POST": s.post(t, "/.auth/login", url.Values{"provider": {markup}}),
	}
	for name, a := range pages {
		t.Run(name, func(t *testing.T) {
			kind := a.Header.Get("Content-Type")
			if strings.HasPrefix(kind, "text/html") && strings.Contains(a.text, "<script>alert") {
				t.Errorf("the page repeats the markup:\n%s", a.text)
			}
			if a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("no nosniff")
			}
			if a.StatusCode == 0 || kind == "" {
				t.Errorf("the answer is %d with the type %q", a.StatusCode, kind)
			}
			if !strings.HasPrefix(kind, "text/html") {
				return
			}
			csp := a.Header.Get("Content-Security-Policy")
			for _, directive := range []string{"frame-ancestors 'none'", "base-uri 'none'", "default-src 'none'"} {
				if !strings.Contains(csp, directive) {
					t.Errorf("the Content-Security-Policy %q has no %s", csp, directive)
				}
			}
			if a.Header.Get("Referrer-Policy") == "" || strings.Contains(csp, "unsafe-inline") {
				t.Errorf("Referrer-Policy %q, Content-Security-Policy %q", a.Header.Get("Referrer-Policy"), csp)
			}
		})
	}
}

// TestAnswersOfTheGatewayAreNotStored (RFC 9111, section 5.2): what is said to
// one user, or for one moment, must not come out of a cache.
func TestAnswersOfTheGatewayAreNotStored(t *testing.T) {
	s := newSite(t, plan{})
	for name, a := range map[string]answer{
		"401":           s.as(t, "", "/app"),
		"403":           s.as(t, "alice", "/admin/secret"),
		"403 page":      s.as(t, "alice", "/admin/secret", "Accept: text/html"),
		"302 to login":  s.as(t, "", "/app", "Accept: text/html"),
		"the sign-in":   s.as(t, "", "/.auth/login", "Accept: text/html"),
		"callback":      s.as(t, "", "/.auth/callback/dev"),
		"sign-out":      s.as(t, "alice", "/.auth/logout", "Accept: text/html"),
		"me":            s.as(t, "alice", "/.auth/me"),
		"me, anonymous": s.as(t, "", "/.auth/me"),
		"404":           s.as(t, "", "/.auth/nothing"),
		"400":           s.as(t, "", "/x/.."),
		"421":           s.as(t, "", "/", "Host: unknown.test"),
		"405":           s.raw(t, s.request("PATCH", "/rw/", "Connection: close")),
		"signed in":     s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}}),
		"signed out":    s.post(t, "/.auth/logout", nil, "Sec-Fetch-Site: same-origin"),
		"another site":  s.post(t, "/.auth/logout", nil, "Sec-Fetch-Site: cross-site"),
		"an outage 502": func() answer {
			s.upstream.answers("nonsense\r\n\r\n")
			defer s.upstream.answers("")
			return s.as(t, "alice", "/app")
		}(),
	} {
		if got := a.Header["Cache-Control"]; !slices.Equal(got, []string{"no-store"}) {
			t.Errorf("%s: %d with Cache-Control %q", name, a.StatusCode, got)
		}
		if a.StatusCode == http.StatusMovedPermanently || a.StatusCode == http.StatusPermanentRedirect {
			t.Errorf("%s: the redirect is permanent", name)
		}
	}
}

// TestCacheDeception: a path that looks like a static file must not make a
// shared cache keep alice's page.
func TestCacheDeception(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{"/app/account/x.css", "/app/account;x.js", "/app/account%0ax.css", "/static/../app/account"} {
		a := s.as(t, "alice", target)
		if a.StatusCode == http.StatusBadRequest {
			s.denied(t, a)
			continue
		}
		s.passed(t, a)
		if got := a.Header["Cache-Control"]; !slices.Equal(got, []string{"private"}) {
			t.Errorf("%s: Cache-Control is %q", target, got)
		}
		s.denied(t, s.as(t, "", target), http.StatusUnauthorized)
		s.denied(t, s.as(t, "", target, `If-None-Match: "x"`, "If-Modified-Since: Thu, 01 Jan 2037 00:00:00 GMT", "Range: bytes=0-1"), http.StatusUnauthorized)
	}
	s.upstream.answers("HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 0\r\n\r\n")
	if got := s.as(t, "alice", "/app/x").Header["Cache-Control"]; !slices.Equal(got, []string{"public, max-age=60"}) {
		t.Errorf("the application's own Cache-Control came as %q", got)
	}
	s.upstream.answers("")
	if a := s.as(t, "", "/public/"); len(a.Header["Cache-Control"]) != 0 {
		t.Errorf("a public route got Cache-Control %q", a.Header["Cache-Control"])
	}
}

// TestNothingAdministrativeOnThePublicListener (CVE-2022-24797, CVE-2025-24030).
func TestNothingAdministrativeOnThePublicListener(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{"/metrics", "/livez", "/readyz", "/debug/pprof/", "/debug/vars", "/healthz?verbose=1", "/api/rawdata"} {
		for _, agent := range []string{"curl", "kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0"} {
			s.denied(t, s.as(t, "", target, "User-Agent: "+agent), http.StatusUnauthorized)
			s.denied(t, s.as(t, "", target, "User-Agent: "+agent, "Host: 127.0.0.1:9080"), http.StatusUnauthorized)
		}
	}
	for _, target := range []string{"/.auth", "/.auth/", "/.auth/admin/", "/.auth/config", "/.auth/metrics", "/.auth/check/nginx", "/.auth/login/x", "/.auth/static/x.css", "/.auth/callback/"} {
		s.denied(t, s.as(t, "root", target), http.StatusNotFound)
	}
	for _, target := range []string{"/.auth/../metrics", "/.auth/%2e%2e/metrics", "/.auth/..;/metrics"} {
		s.denied(t, s.as(t, "root", target), http.StatusNotFound, http.StatusBadRequest)
	}
}
