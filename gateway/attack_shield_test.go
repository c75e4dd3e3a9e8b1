package gateway_test

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/shield"
)

const shieldRoutes = `
  - {name: legacy, paths: [/legacy/], upstream: "$UP", policy: users, shield: {mode: enforce, host_prefix: true, remove_headers: [Server], cookies: [{name: csrf, script: true}]}}
  - {name: legacy-public, paths: [/legacy/login], upstream: "$UP", public: true, shield: {mode: enforce, host_prefix: true}}
  - {name: audited, paths: [/audited/], upstream: "$UP", policy: users, shield: {mode: report}}`

func TestLegacyApplicationIsHardenedAndDoesNotNotice(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost", routes: shieldRoutes})
	s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/html\r\nServer: Apache/1.3\r\n" +
		"Set-Cookie: JSESSIONID=1; Path=/\r\nSet-Cookie: csrf=2; Path=/; Expires=Wed, 21 Oct 2099 07:28:00 GMT\r\n\r\n")
	a := s.as(t, "alice", "/legacy/")
	want := []string{
		"__Host-JSESSIONID=1; Path=/; Secure; HttpOnly; SameSite=Lax", "csrf=2; Path=/; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Secure; SameSite=Lax",
	}
	if got := a.Header["Set-Cookie"]; !slices.Equal(got, want) {
		t.Errorf("the browser got %q", got)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "frame-ancestors 'self'", "Referrer-Policy": "strict-origin-when-cross-origin", "Server": "", "Cache-Control": "private",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	s.upstream.answers("")
	s.upstream.take()
	got := s.passed(t, s.as(t, "alice", "/legacy/", "Cookie: csrf=2; __Host-JSESSIONID=1"))
	if c := got.header("Cookie"); !slices.Equal(c, []string{"csrf=2; JSESSIONID=1"}) {
		t.Errorf("the application got %q", c)
	}
}

// TestTossedCookieOfAnotherHostLosesAgainstTheShield (cookie tossing), also on the
// page where people sign in to the application (session fixation).
func TestTossedCookieOfAnotherHostLosesAgainstTheShield(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost", routes: shieldRoutes})
	for _, target := range []string{"/legacy/", "/legacy/login"} {
		for _, cookies := range [][]string{
			{"Cookie: JSESSIONID=evil; __Host-JSESSIONID=1"}, {"Cookie: __Host-JSESSIONID=1; JSESSIONID=evil"}, {"Cookie: JSESSIONID=evil", "Cookie: __Host-JSESSIONID=1"},
		} {
			got := s.passed(t, s.as(t, "alice", target, cookies...))
			if c := got.header("Cookie"); !slices.Equal(c, []string{"JSESSIONID=1"}) {
				t.Errorf("%s, %q: the application got %q", target, cookies, c)
			}
		}
	}
}

// TestShieldIsNoWayAroundTheGatewaysOwnCookies: neither by a name that becomes
// theirs when it is renamed, nor by one that becomes theirs on the way back.
func TestShieldIsNoWayAroundTheGatewaysOwnCookies(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost", routes: shieldRoutes})
	s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: sp=evil; Path=/\r\nSet-Cookie: __Host-sp=evil; Path=/; Secure\r\n" +
		"Set-Cookie: sp_login=evil; Path=/; Max-Age=0\r\nSet-Cookie: =sp=evil; Path=/\r\nSet-Cookie: sp_mine=1; Path=/\r\n\r\n")
	a := s.as(t, "alice", "/legacy/")
	if got := a.Header["Set-Cookie"]; !slices.Equal(got, []string{"sp_mine=1; Path=/; Secure; HttpOnly; SameSite=Lax"}) {
		t.Errorf("the browser got %q", got)
	}
	s.upstream.answers("")
	s.upstream.take()
	got := s.passed(t, s.as(t, "alice", "/legacy/", "Cookie: __Host-__Host-sp=x; __Host-__Host-sp_login=y; sp_mine=1"))
	for _, line := range got.header("Cookie") {
		for part := range strings.SplitSeq(line, "; ") {
			if name, _, _ := strings.Cut(part, "="); name == "__Host-sp" || name == "__Host-sp_login" {
				t.Errorf("the application got %q", line)
			}
		}
	}
}

// TestSwitchedProtocolsSetNoCookieOfTheGateway: ReverseProxy writes a 101 past
// every ResponseWriter.
func TestSwitchedProtocolsSetNoCookieOfTheGateway(t *testing.T) {
	for _, target := range []string{"/ws/", "/public/ws", "/legacy/ws"} {
		s := newSite(t, plan{routes: strings.ReplaceAll(shieldRoutes, "host_prefix: true", "host_prefix: false")})
		s.upstream.answers("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Set-Cookie: sp=evil\r\nSet-Cookie: __Host-sp=evil; Secure; Path=/\r\nSet-Cookie: SP_LOGIN=evil\r\nSet-Cookie: app=1; HttpOnly; SameSite=Lax\r\n" +
			"Sallyport-Decision: x\r\nX-Forwarded-User: root\r\nClear-Site-Data: \"cookies\"\r\n\r\n")
		c := s.dial(t)
		defer c.Close()
		if _, err := io.WriteString(c, s.request("GET", target, handshake("Origin: http://localhost:8080", "Cookie: "+s.signIn(t, "alice"))...)); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header["Set-Cookie"]; res.StatusCode != http.StatusSwitchingProtocols || !slices.Equal(got, []string{"app=1; HttpOnly; SameSite=Lax"}) {
			t.Errorf("%s: %d, the browser got %q", target, res.StatusCode, got)
		}
		for _, name := range []string{"Sallyport-Decision", "X-Forwarded-User", "Clear-Site-Data", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"} {
			if v := res.Header[name]; len(v) != 0 {
				t.Errorf("%s: %s came as %q", target, name, v)
			}
		}
	}
}

// TestIdentityDoesNotComeBack: an application that echoes what it was sent tells
// every script of the page who somebody is, and with what it was called.
func TestIdentityDoesNotComeBack(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t), routes: strings.ReplaceAll(shieldRoutes, "host_prefix: true", "host_prefix: false")})
	s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Forwarded-User: alice\r\nx_forwarded_groups: admin\r\nX.Forwarded.Email: a@b\r\nX-Forwarded-Issuer: https://op1.test\r\n" +
		"Sallyport-Assertion: token\r\nX-Auth-Request-Access-Token: token\r\nAuthorization: Bearer token\r\nForwarded: for=10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\nX-App: stays\r\n\r\n")
	for _, target := range []string{"/app", "/public/", "/own/", "/legacy/", "/audited/", "/both/"} {
		a := s.as(t, "alice", target)
		for name, values := range a.Header {
			switch folded(name) {
			case "xforwardeduser", "xforwardedgroups", "xforwardedemail", "xforwardedissuer", "sallyportassertion", "xauthrequestaccesstoken", "forwarded", "xrealip":
				t.Errorf("%s: %s came as %q", target, name, values)
			}
		}
		if a.Header.Get("X-App") != "stays" {
			t.Errorf("%s: the application's own header is lost: %v", target, a.Header)
		}
		// Where the header is the application's, so is what it answers in it.
		own := target == "/public/" || target == "/own/"
		if got := a.Header.Get("Authorization"); (got != "") != own {
			t.Errorf("%s: Authorization came as %q", target, got)
		}
	}
	var report shield.Report
	s.ask(t, "GET", "/shield", nil, &report)
	if got := findingsOf(report, "audited"); !slices.Contains(got, "leaked_header X-Forwarded-User") || !slices.Contains(got, "leaked_header Authorization") {
		t.Errorf("found %q", got)
	}
}

func findingsOf(r shield.Report, route string) []string {
	var out []string
	for _, one := range r.Routes {
		if one.Route == route {
			for _, f := range one.Findings {
				out = append(out, strings.TrimSpace(f.Finding+" "+f.Cookie+f.Header))
			}
		}
	}
	return out
}

func TestOperatorsSeeWhichApplicationsSetWeakCookies(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost", adminToken: adminToken(t), routes: shieldRoutes})
	s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/html\r\nSet-Cookie: PHPSESSID=hunter2\r\nSet-Cookie: <b>x</b>=hunter2; Secure; HttpOnly\r\n\r\n")
	for _, target := range []string{"/legacy/", "/audited/", "/audited/", "/app"} {
		s.as(t, "alice", target)
	}
	var report shield.Report
	status, text := s.ask(t, "GET", "/shield", nil, &report)
	if status != http.StatusOK {
		t.Fatal(status, text)
	}
	byRoute := map[string]shield.RouteReport{}
	for _, r := range report.Routes {
		byRoute[r.Route] = r
	}
	if byRoute["app"].Mode != "off" || byRoute["audited"].Mode != "report" || byRoute["legacy"].Mode != "enforce" || len(byRoute["app"].Findings) != 0 {
		t.Errorf("the routes are %+v", byRoute)
	}
	found := map[string]uint64{}
	for _, f := range byRoute["audited"].Findings {
		found[f.Finding+" "+f.Cookie] = f.Count
	}
	want := map[string]uint64{
		"cookie_without_secure PHPSESSID": 2, "cookie_without_httponly PHPSESSID": 2, "cookie_without_samesite PHPSESSID": 2, "cookie_without_samesite <b>x</b>": 2,
		"missing_frame_ancestors ": 2, "missing_nosniff ": 2, "missing_referrer_policy ": 2,
	}
	if !maps.Equal(found, want) {
		t.Errorf("found %v", found)
	}
	if want := `sallyport_shield_findings_total{finding="cookie_without_secure",mode="report",route="audited"} 2`; !strings.Contains(s.metrics(t), want) {
		t.Errorf("the metrics lack %s", want)
	}
	page := s.shieldPage(t, func(r *http.Request) { r.SetBasicAuth("anybody", "operator") })
	for _, want := range []string{"PHPSESSID", "no Secure", "&lt;b&gt;x&lt;/b&gt;", `href="#audited"`, "2 times", "just now", `<span>app</span>`} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, page.Body)
		}
	}
	if strings.Contains(page.Body.String()+text, "hunter2") || strings.Contains(page.Body.String(), "<b>") {
		t.Errorf("the page holds a value, or markup of an application:\n%s", page.Body)
	}
	if policy := page.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy of the page is %q", policy)
	}
	if page.Header().Get("Cache-Control") != "no-store" {
		t.Error("the page may be kept by caches")
	}
}

func (s *site) shieldPage(t *testing.T, with func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:9080/shield", nil)
	r.RemoteAddr = "127.0.0.1:1"
	with(r)
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, r)
	return w
}

// TestPagesOfOperatorsNeedTheToken, which browsers are asked for. The API takes no
// password: a browser would send it along with the forms of other sites.
func TestPagesOfOperatorsNeedTheToken(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t)})
	for name, c := range map[string]struct {
		with   func(*http.Request)
		status int
	}{
		"the token as a password": {func(r *http.Request) { r.SetBasicAuth("", "operator") }, 200},
		"the token":               {func(r *http.Request) { r.Header.Set("Authorization", "Bearer operator") }, 200},
		"nothing":                 {func(*http.Request) {}, 401},
		"another password":        {func(r *http.Request) { r.SetBasicAuth("operator", "guess") }, 401},
		"no password":             {func(r *http.Request) { r.SetBasicAuth("operator", "") }, 401},
		"another token":           {func(r *http.Request) { r.Header.Set("Authorization", "Bearer guess") }, 401},
	} {
		w := s.shieldPage(t, c.with)
		if w.Code != c.status {
			t.Errorf("%s: %d", name, w.Code)
		}
		if ask := w.Header().Get("WWW-Authenticate"); (ask == `Basic realm="sallyport admin", charset="UTF-8"`) != (c.status == 401) {
			t.Errorf("%s: browsers are asked by %q", name, ask)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:9080/api/v1/shield", nil)
	r.SetBasicAuth("", "operator")
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("the API answers a password with %d, %v", w.Code, w.Header())
	}
	off := newSite(t, plan{})
	if w := off.shieldPage(t, func(r *http.Request) { r.SetBasicAuth("", "") }); w.Code != http.StatusForbidden {
		t.Errorf("without a token: %d", w.Code)
	}
	a := s.as(t, "alice", "/shield")
	s.passed(t, a) // the application's own, on the public listener
}

// TestTrailersSetNoCookieOfTheGateway, nor anything else that was judged before
// the body: those of gRPC answers pass without a list.
func TestTrailersSetNoCookieOfTheGateway(t *testing.T) {
	s := newSite(t, plan{routes: "\n  - {name: sums, paths: [/sums], upstream: $UP, policy: users, trailers: [Checksum, X-Real-IP, Referrer-Policy]}"})
	h2, base := s.http2(t)
	for target, kind := range map[string]string{"/app": "application/grpc", "/public/": "application/grpc+proto", "/sums": "text/plain"} {
		s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Type: " + kind + "\r\nTransfer-Encoding: chunked\r\nTrailer: Checksum, Set-Cookie, X-Real-IP, Referrer-Policy\r\n\r\n0\r\n" +
			"Checksum: 1\r\nSet-Cookie: sp=evil\r\nX-Forwarded-User: root\r\nx_forwarded_groups: admin\r\nSallyport-Decision: x\r\nContent-Security-Policy: x\r\n" +
			"X-Real-IP: 10.0.0.1\r\nReferrer-Policy: unsafe-url\r\nAccess-Control-Allow-Origin: *\r\n\r\n")
		res := get(t, h2, base, target, s.signIn(t, "alice"))
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		if len(res.Trailer) != 1 || res.Trailer.Get("Checksum") != "1" {
			t.Errorf("%s: the trailer is %v", target, res.Trailer)
		}
	}
}
