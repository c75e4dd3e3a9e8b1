package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lock makes a lock as an operator, and returns what lifts it.
func (s *site) lock(t *testing.T, on map[string]any) (lift func()) {
	t.Helper()
	wish := map[string]any{"reason": "only operators read this", "message": "Call the desk.", "confirm": true}
	maps.Copy(wish, on)
	w := s.admin(t, http.MethodPost, "/locks", wish)
	var made struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("locking %v: %d %s", on, w.Code, w.Body)
	}
	return func() {
		t.Helper()
		if w := s.admin(t, http.MethodDelete, "/locks/"+made.ID, nil); w.Code != http.StatusOK {
			t.Fatalf("unlocking: %d %s", w.Code, w.Body)
		}
	}
}

// isLocked asserts a refusal that says no more than it should.
func (s *site) isLocked(t *testing.T, what string, a answer) {
	t.Helper()
	if a.StatusCode != http.StatusForbidden || !strings.Contains(a.text, "locked") || !strings.Contains(a.text, "Call the desk.") {
		t.Errorf("%s: %d %s", what, a.StatusCode, a.text)
	}
	if strings.Contains(a.text, "only operators") {
		t.Errorf("%s: the client reads the reason: %s", what, a.text)
	}
	for _, got := range s.upstream.take() {
		t.Errorf("%s: the application received:\n%s", what, got.raw)
	}
}

// TestALockEndsSignInsAndTokens: no session is made, nobody is sent round in circles,
// and who is signed in can sign out.
func TestALockEndsSignInsAndTokens(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: operatorsTokenFile(t), tokens: "exchange: {enabled: true, audiences: [api]}"})
	exchange := func() answer {
		return s.post(t, "/.auth/token", nil, "Cookie: "+s.signIn(t, "alice"))
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	a := exchange()
	if err := json.Unmarshal([]byte(a.text), &token); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	byToken := func() answer {
		return s.raw(t, s.request("GET", "/api/", "Authorization: Bearer "+token.AccessToken, "Connection: close"))
	}
	s.passed(t, byToken())
	signIn := func(user string) answer {
		return s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {user}})
	}

	lift := s.lock(t, map[string]any{"issuer": "urn:sallyport:dev", "subject": "alice"})
	a = signIn("alice")
	s.isLocked(t, "a sign-in", a)
	for _, c := range a.Cookies() {
		if c.Name == s.cookie && c.MaxAge >= 0 {
			t.Errorf("a session was made: %v", c)
		}
	}
	inBrowser := []string{"Accept: text/html", "Origin: http://" + s.host}
	if page := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}}, inBrowser...); page.StatusCode != http.StatusForbidden || strings.Contains(page.text, "/.auth/logout") {
		t.Errorf("who is not signed in can sign out: %d\n%s", page.StatusCode, page.text)
	}
	if page := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}}, append(inBrowser, "Cookie: "+s.signIn(t, "mallory"))...); page.StatusCode != http.StatusForbidden || !strings.Contains(page.text, "/.auth/logout") {
		t.Errorf("who is signed in as another can't sign out: %d\n%s", page.StatusCode, page.text)
	}
	if b := signIn("mallory"); b.StatusCode != http.StatusSeeOther {
		t.Errorf("another's sign-in: %d %s", b.StatusCode, b.text)
	}
	s.isLocked(t, "a token for the session", exchange())
	s.isLocked(t, "the token from before", byToken())
	navigation := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	page := s.as(t, "alice", "/", navigation...)
	s.isLocked(t, "a page", page)
	if strings.Contains(page.text, "/.auth/login") || !strings.Contains(page.text, "/.auth/logout") {
		t.Errorf("the page leads round in circles, or not out:\n%s", page.text)
	}
	if me := s.as(t, "alice", "/.auth/me"); me.StatusCode != http.StatusOK || !strings.Contains(me.text, `"locked":true`) {
		t.Errorf("/me: %d %s", me.StatusCode, me.text)
	}
	if own := s.as(t, "alice", "/.auth/sessions"); own.StatusCode != http.StatusOK {
		t.Errorf("/sessions: %d %s", own.StatusCode, own.text)
	}
	lift()
	s.passed(t, s.as(t, "alice", "/"))
	s.passed(t, byToken())
	if me := s.as(t, "alice", "/.auth/me"); strings.Contains(me.text, "locked") {
		t.Errorf("/me after the lifting: %s", me.text)
	}

	// An address is refused before it can guess, and before anybody leaves for a provider.
	lift = s.lock(t, map[string]any{"address": "127.0.0.1"})
	s.isLocked(t, "the sign-in page", s.as(t, "", "/.auth/login", navigation...))
	s.isLocked(t, "a sign-in from there", signIn("mallory"))
	s.isLocked(t, "nobody in particular", s.as(t, "", "/", navigation...))
	s.isLocked(t, "a public page", s.as(t, "", "/public/"))
	if out := s.post(t, "/.auth/logout", nil, "Cookie: "+s.signIn(t, "alice"), "Origin: http://"+s.host); out.StatusCode != http.StatusSeeOther && out.StatusCode != http.StatusOK {
		t.Errorf("signing out from there: %d %s", out.StatusCode, out.text)
	}
	lift()
	s.passed(t, s.as(t, "", "/public/"))
	if text := s.logText.String(); !strings.Contains(text, `"event":"login","outcome":"failed","reason":"locked"`) || !strings.Contains(text, `"note":"only operators read this"`) {
		t.Error("the audit log does not tell of the lock, or of whom it refused")
	}
}

// TestEveryFrontEndRefusesWhatIsLocked: those who ask get the answer that a request
// would have got, for what is public too, and by the client's address.
func TestEveryFrontEndRefusesWhatIsLocked(t *testing.T) {
	t.Parallel()
	e := envoyOf(t, asking(t, plan{adminToken: operatorsTokenFile(t), top: asksByGRPC}))
	ways := map[string]func(about) answer{"gRPC": func(a about) answer { return e.got(t, a) }}
	for _, dialect := range everyDialect() {
		ways[dialect] = func(a about) answer { return e.checked(t, dialect, a) }
	}
	e.signIn(t, "alice")
	e.signIn(t, "root")
	from := []string{"X-Forwarded-For: 198.51.100.7"}
	userinfo := func() answer { return e.as(t, "alice", "/oauth2/userinfo") }
	for name, tt := range map[string]struct {
		on    map[string]any
		about about
	}{
		"subject": {map[string]any{"issuer": "urn:sallyport:dev", "subject": "alice"}, about{user: "alice"}},
		"group":   {map[string]any{"group": "users"}, about{user: "alice"}},
		"address": {map[string]any{"address": "198.51.100.0/24"}, about{user: "alice", lines: from}},
		"nobody":  {map[string]any{"address": "198.51.100.7"}, about{lines: from}},
		"route":   {map[string]any{"route": "public"}, about{target: "/public/x"}},
	} {
		lift := e.lock(t, tt.on)
		for way, ask := range ways {
			if way == "gRPC" && tt.about.lines != nil {
				continue // Envoy says itself where the client is
			}
			a := ask(tt.about)
			if a.StatusCode != http.StatusForbidden || a.Header.Get("Sallyport-Reason") != "locked" {
				t.Errorf("%s, %s: %d %v %s", name, way, a.StatusCode, a.Header, a.text)
			}
			if a := ask(about{user: "root", target: "/"}); name != "group" && a.StatusCode > 299 {
				t.Errorf("%s, %s: another is refused: %d %s", name, way, a.StatusCode, a.text)
			}
		}
		if a := userinfo(); (name == "subject" || name == "group") != (a.StatusCode == http.StatusForbidden) {
			t.Errorf("%s: /oauth2/userinfo: %d %s", name, a.StatusCode, a.text)
		}
		lift()
	}
	// Envoy says itself where the client is.
	lift := e.lock(t, map[string]any{"address": "203.0.113.9"})
	if a := e.got(t, about{}); a.StatusCode != http.StatusForbidden || a.Header.Get("Sallyport-Reason") != "locked" {
		t.Errorf("gRPC, by address: %d %s", a.StatusCode, a.text)
	}
	lift()
}

// operatorsTokenFile is the file of the token that site.admin sends.
func operatorsTokenFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "admin")
	if err := os.WriteFile(file, []byte(operatorsToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLocksThatAreNotMeantAreNotMade(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: operatorsTokenFile(t)})
	for name, tt := range map[string]struct {
		wish   map[string]any
		status int
		says   string
	}{
		"nothing":                  {map[string]any{"reason": "x"}, 400, "name what to lock"},
		"no reason":                {map[string]any{"route": "app"}, 400, "reason is missing"},
		"a subject of whom":        {map[string]any{"subject": "alice", "reason": "x"}, 400, "name the issuer too, one of https://op1.test, urn:sallyport:dev"},
		"a session of whom":        {map[string]any{"provider_session": "s", "reason": "x"}, 400, "provider_session is unique only together with its issuer"},
		"a route that is not":      {map[string]any{"route": "nowhere", "reason": "x"}, 400, "there is no route"},
		"no address":               {map[string]any{"address": "home", "reason": "x"}, 400, "is no address"},
		"a network with host bits": {map[string]any{"address": "10.1.2.3/8", "reason": "x"}, 400, "write 10.0.0.0/8 for the network"},
		"the past":                 {map[string]any{"route": "app", "reason": "x", "until": "2020-01-01T00:00:00Z"}, 400, "in the past"},
		"everybody":                {map[string]any{"address": "0.0.0.0/0", "reason": "x"}, 409, "everybody"},
		"everybody by IPv6":        {map[string]any{"address": "::/0", "reason": "x"}, 409, "everybody"},
		"the operator":             {map[string]any{"address": "192.0.2.0/24", "reason": "x"}, 409, "where you are yourself"}, // httptest's address
		"what nobody knows":        {map[string]any{"route": "app", "reason": "x", "usr": "alice"}, 400, "JSON"},
		"an id that is not":        {nil, 404, "no lock of this id"},
	} {
		method, path := http.MethodPost, "/locks"
		if tt.wish == nil {
			method, path = http.MethodDelete, "/locks/nothing"
		}
		if w := s.admin(t, method, path, tt.wish); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := s.admin(t, http.MethodGet, "/locks", nil); !strings.Contains(w.Body.String(), `{"locks":[]}`) {
		t.Errorf("something was locked: %s", w.Body)
	}
}

// TestALockOfANewerReleaseFailsClosed: nobody is let in whom it may be on, and an
// operator can lift it without knowing more than its id.
func TestALockOfANewerReleaseFailsClosed(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: operatorsTokenFile(t)})
	publish := func(name, value string) {
		t.Helper()
		if err := s.gw.PublishLock(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	lift := func(name string) {
		t.Helper()
		if w := s.admin(t, http.MethodDelete, "/locks/"+name, nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "that this release can't read") {
			t.Fatalf("lifting %s: %d %s", name, w.Code, w.Body)
		}
		s.passed(t, s.as(t, "alice", "/"))
		s.passed(t, s.as(t, "", "/public/"))
	}
	ready := func() int {
		w := httptest.NewRecorder()
		s.gw.AdminHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
		return w.Code
	}
	s.passed(t, s.as(t, "alice", "/"))

	publish("partly", `{"v":2,"id":"partly","sub":"alice","iss":"urn:sallyport:dev","methods":["POST"],"message":"Call the desk.","created":"2026-01-01T00:00:00Z"}`)
	poll(t, "the lock is in force", func() bool { return s.as(t, "alice", "/").StatusCode == http.StatusForbidden })
	s.isLocked(t, "whom the readable part is on", s.as(t, "alice", "/"))
	s.passed(t, s.as(t, "mallory", "/"))
	if got := ready(); got != http.StatusOK {
		t.Errorf("/readyz is %d, though the rest is judged", got)
	}
	lift("partly")

	publish("wholly", `{"v":2,"id":"wholly","paths":["/pay"]}`)
	poll(t, "the lock is in force", func() bool { return s.as(t, "alice", "/").StatusCode == http.StatusServiceUnavailable })
	for what, a := range map[string]answer{"a user": s.as(t, "mallory", "/"), "a sign-in": s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"root"}})} {
		if a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.text)
		}
	}
	for _, got := range s.upstream.take() {
		t.Errorf("the application received:\n%s", got.raw)
	}
	s.passed(t, s.as(t, "", "/public/")) // as without the store
	if got := s.metrics(t); !strings.Contains(got, `sallyport_locks_active{on="unreadable"} 1`) {
		t.Error("the metrics do not tell of it")
	}
	poll(t, "the gateway is taken out of service", func() bool { return ready() == http.StatusServiceUnavailable })
	lift("wholly")
	poll(t, "the gateway is ready again", func() bool { return ready() == http.StatusOK })
}
