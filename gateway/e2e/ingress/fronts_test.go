//go:build e2e

package ingress_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// fronts are the folders of deploy/ that are tested here.
func fronts() []string { return []string{"nginx", "caddy", "haproxy", "traefik"} }

// TestSitesBehindEveryProxy: what people and programs meet there.
func TestSitesBehindEveryProxy(t *testing.T) {
	for _, name := range fronts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, name, nil)
			t.Run("a browser lands on the exact URL", s.browserLandsOnTheExactURL)
			t.Run("a program gets statuses", s.programGetsStatuses)
			t.Run("the URL that is judged is the one that the application gets", s.urlStays)
			t.Run("a WebSocket opens with a session alone", s.webSockets)
			t.Run("a large body goes to the application alone", s.largeBody)
			t.Run("identity headers of clients arrive nowhere", s.spoofedIdentity)
			t.Run("cookies of the gateway stay with it", s.cookiesStay)
			t.Run("every header of a yes is copied", s.everyHeaderIsCopied)
			t.Run("nobody else can ask", s.checkIsNotReachable)
			t.Run("a sign-out counts at once", s.signOutCounts)
			t.Run("an operator's revocation counts at once", s.operatorRevokes)
			t.Run("connections to the gateway are used again", s.connectionsAreUsedAgain)
			t.Run("without the gateway nothing opens", s.closedWithoutGateway)
		})
	}
}

func (s *site) browserLandsOnTheExactURL(t *testing.T) {
	b := env.StartBrowser(t)
	page := s.url + "/reports/a%20b/%C3%A9;v=1?q=a%20b&x=1&y=%C3%A9&z=1;2+3&rd=//evil.test#part-2"
	b.Open(page)
	b.WaitText("alice@example.com")
	if at := b.URL(); !strings.HasPrefix(at, s.url+"/.auth/login") {
		t.Fatalf("a visitor without a session is at %s", at)
	}
	b.Click(`form:has(input[value="alice"]) button`)
	b.WaitText("X-Forwarded-User")
	if at := b.URL(); at != page {
		t.Errorf("after signing in at %s, not at %s", at, page)
	}
	b.Open(s.url + "/.auth/logout")
	b.Click(`form button`)
	b.WaitText("You are signed out")
	b.Open(page)
	b.WaitText("alice@example.com")
	b.Click(`form:has(input[value="carol"]) button`)
	b.WaitText("Use another account")
	b.Screenshot("forbidden")
	b.Click(`a[href*="switch=1"]`)
	b.Click(`form:has(input[value="alice"]) button`)
	b.WaitText("X-Forwarded-User")
}

func (s *site) programGetsStatuses(t *testing.T) {
	a := s.send(t, "GET", "/api?x=1", "")
	if a.status != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") || a.header.Get("Location") != "" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a credential: %d %v %s", a.status, a.header, a.body)
	}
	var problem struct {
		Status int
		Reason string
	}
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil || problem.Status != http.StatusUnauthorized || problem.Reason != "no_credential" {
		t.Errorf("the problem is %q, %v", a.body, err)
	}
	if a = s.send(t, "POST", "/api", "x=1", "Accept: text/html", "Sec-Fetch-Mode: cors"); a.status != http.StatusUnauthorized || a.header.Get("Location") != "" {
		t.Errorf("fetch without a credential: %d %v", a.status, a.header)
	}
	if a = s.send(t, "GET", "/page?x=1", "", "Accept: text/html"); a.status != http.StatusFound || !strings.HasPrefix(a.header.Get("Location"), s.url+"/.auth/login?return_to=") {
		t.Errorf("a navigation: %d %v", a.status, a.header)
	}
	carol, alice := "Cookie: "+s.signIn(t, "carol"), "Cookie: "+s.signIn(t, "alice")
	if a = s.send(t, "GET", "/api", "", carol); a.status != http.StatusForbidden || !strings.Contains(a.body, `"reason":"`) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("carol: %d %v %s", a.status, a.header, a.body)
	}
	if a = s.send(t, "GET", "/api", "", carol, "Accept: text/html"); a.status != http.StatusForbidden || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		t.Errorf("carol as a person: %d %v", a.status, a.header)
	}
	for _, method := range []string{"HEAD", "GET", "DELETE", "OPTIONS"} {
		if a = s.send(t, method, "/api", "", alice); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
	for _, line := range []string{"X-Nothing: x", carol} {
		a = s.send(t, "HEAD", "/api", "", line)
		if want := map[bool]int{true: http.StatusForbidden, false: http.StatusUnauthorized}[line == carol]; a.status != want || a.body != "" {
			t.Errorf("HEAD with %.12s: %d %q", line, a.status, a.body)
		}
	}
	if a = s.send(t, "GET", "/unhappy", "", alice); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "the application's own") || a.header.Get("WWW-Authenticate") != "Basic realm=app" {
		t.Errorf("the application's own 401: %d %v %s", a.status, a.header, a.body)
	}
	if got := s.send(t, "GET", "/assets/x.css", "").received(t); got.URL != "/assets/x.css" {
		t.Errorf("a public path: %v", got)
	}
}

func (s *site) urlStays(t *testing.T) {
	alice := "Cookie: " + s.signIn(t, "alice")
	for _, target := range []string{"/", "/a%20b?c=d%20e", "/%C3%A9?x", "/a//b", "/a;v=1/b", "/a%2Cb", "/~x", "/a?b=%zz;c&d=1;2", "/a?url=https://evil.test/?x=/assets/", "/x?/../assets/"} {
		if got := s.send(t, "GET", target, "", alice).received(t); got.URL != target || got.Host != s.host {
			t.Errorf("%s arrived as %s at %s", target, got.URL, got.Host)
		}
	}
	// A request line can name another host than the header does, which no proxy may
	// judge by one and send by the other.
	if a, err := s.try(t, "GET", "http://other.example.test/x", "", alice); err == nil && a.status == http.StatusOK && a.body != "" { // Caddy has an empty page for hosts that it does not know
		if got := a.received(t); got.Host != s.host {
			t.Errorf("a request for another host arrived at %s", got.Host)
		}
	}
	// What can be read as a path that is open to all is not.
	before := s.app.requests.Load()
	for _, target := range []string{
		"/assets/../secret", "/assets/%2e%2e/secret", "/assets/..%2fsecret", "/assets/..;/secret", "/assets/%2e%2e%2fsecret", `/assets\..\secret`, "/assets%2f..%2fsecret",
		"/secret?x=/assets/", "/secret%23/assets/", "/assets/%252e%252e/../secret", "//assets/../secret",
	} {
		if a, err := s.try(t, "GET", target, ""); err == nil && a.status < 300 {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	if n := s.app.requests.Load() - before; n > 0 {
		t.Errorf("the application got %d of them", n)
	}
}

func (s *site) webSockets(t *testing.T) {
	open := func(header http.Header) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(t.Context(), s.url+"/ws", &websocket.DialOptions{HTTPClient: s.client, HTTPHeader: header})
	}
	before := s.app.requests.Load()
	for _, cookie := range []string{"", "sp=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", s.signIn(t, "carol")} {
		c, res, err := open(http.Header{"Cookie": {cookie}, "Origin": {s.url}, "Accept": {"text/html"}})
		if err == nil {
			_ = c.CloseNow()
			t.Fatalf("with %q it opened", cookie)
		}
		if res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusForbidden {
			t.Errorf("with %q: %d", cookie, res.StatusCode)
		}
	}
	alice := s.signIn(t, "alice")
	if c, res, err := open(http.Header{"Cookie": {alice}, "Origin": {"https://evil.test"}}); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: %v %v", c, err)
	}
	if n := s.app.requests.Load() - before; n > 0 {
		t.Errorf("the application got %d of them", n)
	}
	c, _, err := open(http.Header{"Cookie": {alice}, "Origin": {s.url}, "X-Forwarded-User": {"root"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	for _, message := range []string{"alice", "hello", strings.Repeat("x", 20_000)} {
		if message != "alice" { // who was greeted
			err = c.Write(t.Context(), websocket.MessageText, []byte(message))
		}
		_, got, readErr := c.Read(t.Context())
		if err != nil || readErr != nil || string(got) != message {
			t.Fatalf("%v, %v: %.40q instead of %.40q", err, readErr, got, message)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

func (s *site) largeBody(t *testing.T) {
	body := make([]byte, 50<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(body)
	sum := sha256.Sum256(body)
	alice := s.signIn(t, "alice")
	for _, length := range []int64{int64(len(body)), -1} {
		sent := s.way.Sent()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/upload", io.NopCloser(bytes.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		req.Header.Set("Cookie", alice)
		res, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if want := fmt.Sprint(len(body), hex.EncodeToString(sum[:])); err != nil || string(text) != want {
			t.Errorf("%s, %v: %s instead of %s", res.Status, err, text, want)
		}
		if n := s.way.Sent() - sent; n > 4<<10 {
			t.Errorf("the gateway got %d bytes", n)
		}
	}
}

// spoofs are the spellings of identity headers that servers and applications take
// for one another.
func spoofs() []string {
	return []string{
		"X-Forwarded-User", "x-forwarded-user", "X-FORWARDED-USER", "X_Forwarded_User", "X-Forwarded_User", "x_forwarded-user", "X.Forwarded.User",
		"X-Forwarded-Email", "X_Forwarded_Email", "X-Forwarded-Groups", "X_Forwarded_Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Preferred_Username",
		"X-Auth-Request-User", "X_Auth_Request_User", "X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username",
		"Sallyport-Assertion",
	}
}

func (s *site) spoofedIdentity(t *testing.T) {
	alice := "Cookie: " + s.signIn(t, "alice")
	var all []string
	for _, name := range spoofs() {
		all = append(all, name+": root", name+": root2")
	}
	cases := map[string][]string{"all at once": all, "and hop by hop": append([]string{"Connection: X-Forwarded-User, X-Forwarded-Uri, X-Original-URL, Cookie"}, all...)}
	for _, name := range spoofs() {
		cases[name] = []string{name + ": root"}
	}
	for name, lines := range cases {
		for _, path := range []string{"/x", "/assets/x"} {
			lines := lines
			if path == "/x" {
				lines = append([]string{alice}, lines...)
			}
			a := s.send(t, "GET", path, "", lines...)
			if strings.Contains(a.body, "root") {
				t.Errorf("%s, %s: %s", name, path, a.body)
			}
			if a.status == http.StatusBadRequest || a.status == http.StatusForbidden || name == "and hop by hop" {
				continue // refused, as is who throws his own session away
			}
			want := map[string]string{"/x": "alice"}[path]
			if got := a.received(t).values("X-Forwarded-User"); strings.Join(got, "|") != want {
				t.Errorf("%s, %s: the application hears of %q", name, path, got)
			}
		}
	}
	for _, line := range []string{
		"X-Original-URL: http://" + s.host + "/assets/", "X-Original-Uri: /assets/", "X-Original-Method: OPTIONS", "X-Forwarded-Uri: /assets/", "X-Forwarded-Method: OPTIONS",
		"X-Forwarded-Host: evil.test", "X-Forwarded-Proto: ftp", "X-Rewrite-Url: /assets/",
	} {
		if a := s.send(t, "GET", "/secret", "", line); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", line, a.status, a.body)
		}
		if got := s.send(t, "GET", "/x", "", alice, line); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", line, got.status, got.body)
		}
	}
	// Without a session, nothing says who it is, not even an empty name.
	for _, field := range s.send(t, "GET", "/assets/x", "").received(t).Headers {
		switch strings.ToLower(field[0]) {
		case "cookie", "authorization", "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-auth-request-user":
			if s.name != "traefik" || field[1] != "" { // which copies empty ones
				t.Errorf("a stranger comes with %q", field)
			}
		}
	}
	got := s.send(t, "GET", "/x", "", alice).received(t)
	for name, want := range map[string]string{
		"X-Forwarded-User": "alice", "X-Forwarded-Email": "alice@example.com", "X-Forwarded-Groups": "staff", "X-Auth-Request-User": "alice", "X-Auth-Request-Email": "alice@example.com",
		"X-Forwarded-Proto": "http", "X-Forwarded-Host": s.host, "X-Forwarded-For": "127.0.0.1",
	} {
		if values := got.values(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q instead of %q", name, values, want)
		}
	}
}

func (s *site) cookiesStay(t *testing.T) {
	alice := s.signIn(t, "alice")
	for sent, want := range map[string]string{
		alice:                     "",
		"a=1; " + alice:           "a=1",
		alice + "; b=2":           "b=2",
		"a=1; " + alice + "; b=2": "a=1; b=2",
		"a=1;" + alice + ";b=2":   "a=1;b=2",
		"a=1; " + alice + "; sp_login=x; b=2; sp_provider=y; c=3":           "a=1; b=2; c=3",
		"xsp=1; " + alice + "; spx=2; a=sp=3; __Host-spa=4":                 "xsp=1; spx=2; a=sp=3; __Host-spa=4",
		"__Host-a=\"x y\"; " + alice + "; b={\"c\":1}":                      "__Host-a=\"x y\"; b={\"c\":1}",
		"sp =stale; " + alice + "; sp_login=1; sp_login=2; sp_login=3; b=2": "b=2",
	} {
		a := s.send(t, "GET", "/x", "", "Cookie: "+sent)
		got := strings.Join(a.received(t).values("Cookie"), "|")
		if strings.ReplaceAll(got, "; ", ";") != strings.ReplaceAll(want, "; ", ";") && (got != "" || !strings.Contains(sent, "stale")) {
			t.Errorf("of %q the application gets %q", sent, got)
		}
	}
	a := s.send(t, "GET", "/x", "", "Cookie: a=1", "Cookie: "+alice, "Cookie: b=2")
	if got := strings.Join(a.received(t).values("Cookie"), "; "); strings.ReplaceAll(got, " ", "") != "a=1;b=2" {
		t.Errorf("of three lines the application gets %q", got)
	}
	for _, path := range []string{"/assets/x", "/x"} {
		if a := s.send(t, "GET", path, "", "Cookie: sp=garbage; "+alice+"; b=1"); strings.Contains(a.body, "sp=") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

// everyHeaderIsCopied asks the gateway itself what the proxy has to copy.
func (s *site) everyHeaderIsCopied(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.gateway.URL+"/.auth/check/"+s.name, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"X-Original-URL": s.url + "/x", "X-Original-Method": "GET", "X-Forwarded-Method": "GET", "X-Forwarded-Proto": "http", "X-Forwarded-Host": s.host, "X-Forwarded-Uri": "/x",
		"Cookie": s.signIn(t, "alice"),
	} {
		req.Header.Set(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	file := deployed(t, s.name, map[string]string{"nginx": "sallyport.conf", "caddy": "Caddyfile", "haproxy": "haproxy.cfg", "traefik": "dynamic.yml"}[s.name])
	copied := 0
	for name := range res.Header {
		switch name {
		case "Cache-Control", "Content-Length", "Date", "X-Request-Id":
			continue
		}
		copied++
		if !regexp.MustCompile(`(?m)(copy_headers|proxy_set_header|lua\.sallyport|^ +-)\b?.*[ ,]` + name + `([ ,]|$)`).MatchString(file) {
			t.Errorf("%s is not copied", name)
		}
	}
	if res.StatusCode != http.StatusOK || copied < 9 {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

func (s *site) checkIsNotReachable(t *testing.T) {
	alice := "Cookie: " + s.signIn(t, "alice")
	lines := []string{
		alice, "X-Original-URL: http://" + s.host + "/assets/", "X-Original-Method: GET",
		"X-Forwarded-Method: GET", "X-Forwarded-Proto: http", "X-Forwarded-Host: " + s.host, "X-Forwarded-Uri: /assets/",
	}
	for _, path := range []string{
		"/.auth/check/" + s.name, "/.auth/check/nginx", "/.auth/check/", "/.auth/check", "/.auth/%63heck/" + s.name, "/%2eauth/check/" + s.name, "//.auth/check/" + s.name,
		"/.auth//check/" + s.name, "/.auth/./check/" + s.name, "/.auth/x/../check/" + s.name, "/.auth/check/" + s.name + "?x=1", "/.AUTH/check/" + s.name, "/.auth/check%2f" + s.name,
		"/.auth/check/" + s.name + "/", "/assets/../.auth/check/" + s.name, "/.auth;x/check/" + s.name, "/.auth/check;x/" + s.name,
	} {
		a, err := s.try(t, "GET", path, "", lines...)
		if err == nil && (a.header["X-Forwarded-User"] != nil || a.header["Sallyport-Reason"] != nil && a.status < 400 || a.status == http.StatusOK && a.body == "") {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
}

func (s *site) signOutCounts(t *testing.T) {
	cookie := "Cookie: " + s.signIn(t, "alice")
	for range 3 {
		s.send(t, "GET", "/x", "", cookie).received(t)
	}
	if a := s.send(t, "POST", "/.auth/logout", "", cookie, "Content-Length: 0", "Sec-Fetch-Site: same-origin"); a.status != http.StatusSeeOther {
		t.Fatalf("sign-out: %d %s", a.status, a.body)
	}
	if a := s.send(t, "GET", "/x", "", cookie); a.status != http.StatusUnauthorized {
		t.Errorf("after the sign-out: %d", a.status)
	}
	// Elsewhere: at the gateway itself, past this proxy.
	cookie = s.signIn(t, "alice")
	s.send(t, "GET", "/x", "", "Cookie: "+cookie).received(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.gateway.URL+"/.auth/logout", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = s.host
	req.Header.Set("Cookie", cookie)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign-out elsewhere: %s", res.Status)
	}
	if a := s.send(t, "GET", "/x", "", "Cookie: "+cookie); a.status != http.StatusUnauthorized {
		t.Errorf("after a sign-out elsewhere: %d", a.status)
	}
}

func (s *site) connectionsAreUsedAgain(t *testing.T) {
	opened := s.way.Opened()
	l := s.load(t, 3*time.Second, 100)
	t.Logf("%s; %d connections to the gateway were opened", l, s.way.Opened()-opened)
	if n := s.way.Opened() - opened; n > 40 {
		t.Errorf("%d requests took %d connections to the gateway", l.requests, n)
	}
}

func (s *site) closedWithoutGateway(t *testing.T) {
	alice := "Cookie: " + s.signIn(t, "alice")
	s.send(t, "GET", "/x", "", alice).received(t)
	if code := s.gateway.Stop(); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
	before := s.app.requests.Load()
	for _, how := range []func(){func() {}, s.way.Cut, s.way.Refuse} {
		how()
		for _, path := range []string{"/x", "/assets/x", "/.auth/me"} {
			if a := s.send(t, "GET", path, "", alice); a.status < 500 {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	}
	if n := s.app.requests.Load() - before; n > 0 {
		t.Errorf("the application got %d requests", n)
	}
	s.way.Accept()
	s.startGateway(t)
	env.WaitUntil(t, "the proxy asks again", func() bool { return s.send(t, "GET", "/x", "", alice).status == http.StatusOK })
}
