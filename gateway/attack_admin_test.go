package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// operate sends a request to the operators' listener as the browser of an operator
// does who is at 127.0.0.1.
func (s *site) operate(t *testing.T, method, target, form string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:9080"+target, strings.NewReader(form))
	r.RemoteAddr = "127.0.0.1:5000"
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, r)
	return w
}

// operator signs one in, and returns his cookie.
func (s *site) operator(t *testing.T) func(*http.Request) {
	t.Helper()
	w := s.operate(t, "POST", "/login", "token=operator", nil)
	cookies := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("signing in: %d %v", w.Code, cookies)
	}
	if ck := cookies[0]; !ck.HttpOnly || ck.SameSite != http.SameSiteStrictMode || ck.Domain != "" || ck.Path != "/" {
		t.Errorf("the cookie is %v", ck)
	}
	return func(r *http.Request) { r.AddCookie(cookies[0]) }
}

func formToken(t *testing.T, page string) string {
	t.Helper()
	m := regexp.MustCompile(`name="form_token" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no form on the page\n%.400s", page)
	}
	return m[1]
}

// operatorPages are those that need no name of anything.
func operatorPages() []string {
	return []string{"/", "/sessions", "/sessions/revoke?issuer=urn:sallyport:dev&subject=alice", "/events", "/locks", "/routes", "/policies", "/health", "/shield", "/keys", "/keys/rotate?ring=signing", "/keys/rotate?ring=sealing"}
}

// TestTheOperatorsListenerIsNotReachedByThePublicOne: what other gateways have shown to
// everybody is at most the application's here, and then by its policy.
func TestTheOperatorsListenerIsNotReachedByThePublicOne(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t)})
	targets := append(operatorPages(),
		"/metrics", "/debug/pprof/", "/debug/vars", "/healthz?verbose=1", "/livez", "/readyz", "/api/v1/sessions", "/api/v1/openapi.json", "/api/rawdata",
		"/config", "/login", "/.auth/admin/", "/.auth/config", "/.auth/metrics", "/.auth/api/v1/sessions", "/.auth/../metrics", "/.auth/%2e%2e/metrics", "/public/../metrics",
		"/public/..%2fmetrics", "//metrics", "/metrics;x", "/%6detrics", "/./metrics")
	for _, target := range targets {
		for _, credential := range []string{"", "Authorization: Bearer operator", "Authorization: Basic Om9wZXJhdG9y", "Cookie: sallyport_admin=x"} {
			lines := []string{"Connection: close"}
			if credential != "" {
				lines = append(lines, credential)
			}
			a := s.raw(t, s.request("GET", target, lines...))
			if strings.Contains(a.text, "sallyport_build_info") || strings.Contains(a.text, `"sessions":[`) || strings.Contains(a.text, `"checks"`) || strings.Contains(a.text, "Admin token") || strings.Contains(a.text, "goroutine") {
				t.Errorf("%s with %q is answered by the operators' listener:\n%.200s", target, credential, a.text)
			}
			s.denied(t, a)
		}
		for _, host := range []string{"127.0.0.1:9080", "localhost:9080", "[::1]:9080", "sallyport"} {
			a := s.raw(t, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\nAuthorization: Bearer operator\r\nConnection: close\r\n\r\n")
			if strings.Contains(a.text, "sallyport_build_info") || strings.Contains(a.text, "Admin token") {
				t.Errorf("%s at %s is answered by the operators' listener", target, host)
			}
			s.denied(t, a)
		}
	}
}

// TestFormsOfOperatorsAreNotSentByOtherSites, which browsers would do with the
// operator's cookie, nor by an application on the same host at another port.
func TestFormsOfOperatorsAreNotSentByOtherSites(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t)})
	id := s.sessionOf(t, "alice")
	s.upstream.take()
	me, other := s.operator(t), s.operator(t)
	mine := formToken(t, s.operate(t, "GET", "/locks", "", me).Body.String())
	others := formToken(t, s.operate(t, "GET", "/locks", "", other).Body.String())
	forms := map[string]url.Values{
		"/sessions/revoke": {"id": {id}},
		"/locks":           {"subject": {"alice"}, "issuer": {"urn:sallyport:dev"}, "reason": {"x"}},
		"/locks/lift":      {"id": {"x"}},
		"/keys/rotate":     {"ring": {"sealing"}},
		"/keys/retire":     {"ring": {"sealing"}, "key": {"x"}, "force": {"yes"}},
		"/reload":          {},
		"/logout":          {},
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { me(r); r.Header.Set(name, value) }
	}
	for path, form := range forms {
		for name, c := range map[string]struct {
			token  string
			change func(*http.Request)
		}{
			"without its token":               {"", me},
			"with the token of another":       {others, me},
			"with a token that was changed":   {mine[:len(mine)-2] + "AA", me},
			"from another site":               {mine, header("Sec-Fetch-Site", "cross-site")},
			"from another port of this host":  {mine, header("Sec-Fetch-Site", "same-site")},
			"from another origin":             {mine, header("Origin", "http://127.0.0.1:8080")},
			"from a page without an origin":   {mine, header("Origin", "null")},
			"by somebody who has not come in": {mine, func(*http.Request) {}},
		} {
			form.Set("form_token", c.token)
			if w := s.operate(t, "POST", path, form.Encode(), c.change); w.Code != http.StatusForbidden && w.Code != http.StatusUnauthorized {
				t.Errorf("%s %s: %d", path, name, w.Code)
			}
		}
		if w := s.operate(t, "GET", path+"?"+form.Encode(), "", me); path == "/logout" && w.Code != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
	if w := s.operate(t, "POST", "/login", "token=operator", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); w.Code != http.StatusForbidden {
		t.Errorf("a sign-in from another site: %d", w.Code)
	}
	s.passed(t, s.as(t, "alice", "/")) // nothing came of it
	form := forms["/sessions/revoke"]
	form.Set("form_token", mine)
	if w := s.operate(t, "POST", "/sessions/revoke", form.Encode(), header("Sec-Fetch-Site", "same-origin")); w.Code != http.StatusSeeOther {
		t.Fatalf("the operator's own form: %d %s", w.Code, w.Body)
	}
	s.denied(t, s.as(t, "alice", "/"))
}

// TestPagesOfOperatorsAreNotFramedAndRunNothing of what others have chosen: subjects,
// groups, paths, user agents and addresses of pages.
func TestPagesOfOperatorsAreNotFramedAndRunNothing(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	s := newSite(t, plan{
		adminToken: adminToken(t),
		identities: fmt.Sprintf("- {subject: '%[1]s', name: '%[1]s', groups: ['%[1]s', users]}", evil),
	})
	s.passed(t, s.as(t, evil, "/", "User-Agent: "+evil))
	s.denied(t, s.as(t, evil, "/admin/<script>alert(1)</script>", "User-Agent: "+evil))
	me := s.operator(t)
	denial := s.logged(t, evil, "/admin/<script>alert(1)</script>")
	pages := append(operatorPages(), "/sessions/"+denial["session"].(string), "/decisions/"+denial["decision"].(string),
		"/sessions?subject="+url.QueryEscape(evil), "/sessions?older_than="+url.QueryEscape(evil), "/events?kind="+url.QueryEscape(evil),
		"/locks?subject="+url.QueryEscape(evil), "/login?next="+url.QueryEscape(evil), "/"+url.PathEscape(evil), "/decisions/"+url.PathEscape(evil),
		"/sessions/revoke?issuer=urn:sallyport:dev&subject="+url.QueryEscape(evil), "/sessions/revoke?before="+url.QueryEscape(evil),
		"/keys/rotate?ring="+url.QueryEscape(evil), "/keys/retire?ring=sealing&key="+url.QueryEscape(evil))
	for _, page := range pages {
		w := s.operate(t, "GET", page, "", func(r *http.Request) {
			me(r)
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Sec-Fetch-Mode", "navigate")
		})
		if text := w.Body.String(); strings.Contains(text, "<script>alert") || strings.Contains(text, "<img src=x") {
			t.Errorf("%s has what others wrote as it is", page)
		}
		h := w.Header()
		policy := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") ||
			h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s (%d): %v", page, w.Code, h)
		}
	}
	if w := s.operate(t, "POST", "/login", "token=operator&next="+url.QueryEscape("//evil.test/"), nil); w.Header().Get("Location") != "/" {
		t.Errorf("signing in leads to %q", w.Header().Get("Location"))
	}
}

// TestGuessingTheAdminToken is over after a few attempts from one address, whoever
// waits behind it with the right one; those who are in stay in.
func TestGuessingTheAdminToken(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t)})
	me := s.operator(t)
	from := func(addr, token string) func(*http.Request) {
		return func(r *http.Request) { r.RemoteAddr = addr; r.Header.Set("Authorization", "Bearer "+token) }
	}
	seen := map[int]int{}
	for i := range 40 {
		// Of IPv6, one stranger has a whole network.
		seen[s.operate(t, "GET", "/api/v1/keys", "", from(fmt.Sprintf("[2001:db8::%x]:1", i), fmt.Sprint("guess", i))).Code]++
	}
	if seen[401] != 10 || seen[429] != 30 {
		t.Errorf("40 guesses were answered %v", seen)
	}
	w := s.operate(t, "GET", "/api/v1/keys", "", from("[2001:db8::ffff]:1", "operator"))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("the right token among the guesses: %d", w.Code)
	}
	if w := s.operate(t, "GET", "/api/v1/keys", "", from("[2001:db8:1::1]:1", "operator")); w.Code != http.StatusOK {
		t.Errorf("another network: %d", w.Code)
	}
	for range 20 {
		s.operate(t, "POST", "/login", "token=guess", nil)
	}
	if w := s.operate(t, "POST", "/login", "token=operator", nil); w.Code != http.StatusTooManyRequests {
		t.Errorf("the form after guesses: %d", w.Code)
	}
	if w := s.operate(t, "GET", "/", "", me); w.Code != http.StatusOK {
		t.Errorf("who was in before: %d", w.Code)
	}
	if strings.Contains(s.logText.String(), "guess") {
		t.Error("the log has what was guessed")
	}
}

// TestAnotherNameForTheOperatorsListener is what a page needs that lets its own name
// point at 127.0.0.1 (DNS rebinding): it would be of the same origin.
func TestAnotherNameForTheOperatorsListener(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t)})
	me := s.operator(t)
	for host, want := range map[string]int{
		"127.0.0.1:9080": 200, "[::1]:9080": 200, "localhost:9080": 200, "LOCALHOST": 200, "sallyport-admin:9080": 200, "10.0.0.7": 200,
		"evil.test:9080": 421, "evil.test": 421, "127.0.0.1.evil.test": 421, "localhost.evil.test": 421, "": 421, "127.0.0.1:99999": 421, "a b": 421,
	} {
		if w := s.operate(t, "GET", "/sessions", "", func(r *http.Request) { me(r); r.Host = host }); w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
	// A certificate is sent by the browser itself, as a cookie is.
	if w := s.operate(t, "GET", "/", "", func(r *http.Request) { me(r); r.RemoteAddr = "192.0.2.1:1" }); w.Code != http.StatusForbidden {
		t.Errorf("a page over plain http for another machine: %d", w.Code)
	}
}

// TestSignInsOfOperatorsEnd with the token, when they are ended, and never begin with
// what somebody has made up. Applications do not get to see them.
func TestSignInsOfOperatorsEnd(t *testing.T) {
	file := adminToken(t)
	s := newSite(t, plan{adminToken: file})
	me, other := s.operator(t), s.operator(t)
	status := func(as func(*http.Request)) int { return s.operate(t, "GET", "/", "", as).Code }
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	me(r)
	cookie := r.Header.Get("Cookie")
	changed := []byte(cookie)
	changed[30] = 'y' - changed[30]%2 // x or y, whichever it is not
	for name, value := range map[string]string{"cut": cookie[:len(cookie)-4], "changed": string(changed), "twice": cookie + "; " + cookie, "empty": "sallyport_admin="} {
		if got := status(func(r *http.Request) { r.Header.Set("Cookie", value) }); got != http.StatusUnauthorized {
			t.Errorf("a cookie that is %s: %d", name, got)
		}
	}
	a := s.raw(t, s.request("GET", "/", "Cookie: "+s.signIn(t, "alice")+"; "+cookie+"; a=1", "Connection: close"))
	if got := s.passed(t, a); strings.Contains(got.raw, "sallyport_admin") || !strings.Contains(got.raw, "a=1") {
		t.Errorf("the application received\n%s", got.raw)
	}
	token := formToken(t, s.operate(t, "GET", "/", "", me).Body.String())
	if w := s.operate(t, "POST", "/logout", "form_token="+token, me); w.Code != http.StatusSeeOther {
		t.Fatalf("signing out: %d", w.Code)
	}
	if status(me) != http.StatusUnauthorized || status(other) != http.StatusOK {
		t.Error("signing out ends one sign-in, and that at once")
	}
	if err := os.WriteFile(file, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := status(other); got != http.StatusUnauthorized {
		t.Errorf("with the token exchanged: %d", got)
	}
}

// TestCertificatesOfOperatorsAreNoUseToOtherSites: browsers send them by themselves.
func TestCertificatesOfOperatorsAreNoUseToOtherSites(t *testing.T) {
	certificate := func(r *http.Request) {
		leaf := &x509.Certificate{Raw: []byte("leaf"), Subject: pkix.Name{CommonName: "ops"}}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
	}
	s := newSite(t, plan{adminToken: adminToken(t)})
	if w := s.operate(t, "GET", "/api/v1/keys", "", certificate); w.Code != http.StatusUnauthorized {
		t.Errorf("where no authority is configured: %d", w.Code)
	}
	s = newSite(t, plan{adminToken: adminToken(t), admin: "hosts: [ops.example.test], tls: {client_ca_file: operators.pem}"})
	for name, c := range map[string]struct {
		method, host, site string
		want               int
	}{
		"his own program":           {"DELETE", "127.0.0.1:9080", "", 404},
		"his own pages":             {"DELETE", "ops.example.test", "same-origin", 404},
		"another site":              {"DELETE", "127.0.0.1:9080", "cross-site", 403},
		"another port of this host": {"DELETE", "127.0.0.1:9080", "same-site", 403},
		"another name":              {"GET", "evil.test", "same-origin", 421},
	} {
		w := s.operate(t, c.method, "/api/v1/locks/none", "", func(r *http.Request) {
			certificate(r)
			r.Host = c.host
			if c.site != "" {
				r.Header.Set("Sec-Fetch-Site", c.site)
			}
		})
		if w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
