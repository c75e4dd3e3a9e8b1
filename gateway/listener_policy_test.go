package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway"
)

// by is the same site, by another of its listeners.
func (s *site) by(i int) *site {
	return &site{gw: s.gw, addr: s.gw.Addresses()[i].Addr.String(), host: s.host, cookie: s.cookie, upstream: s.upstream, sessions: s.sessions}
}

// TestListenerWithAPolicyIsNotForEverybody: its policy is asked besides the route's,
// and can only take away.
func TestListenerWithAPolicyIsNotForEverybody(t *testing.T) {
	s := newSite(t, plan{
		adminToken: adminToken(t),
		listeners: `{name: open, listen: "127.0.0.1:0"}, {name: inside, listen: "127.0.0.1:0", policy: admins},` +
			`{name: strict, listen: "127.0.0.1:0", policy: strict}, {name: trial, listen: "127.0.0.1:0", policy: trial}, {name: query, listen: "127.0.0.1:0", policy: query}`,
		policies: `
  - {name: strict, rules: [{name: anybody, allow: {groups: [users]}, require: {acr: [gold]}}]}
  - {name: trial, mode: shadow, rules: [{name: admins, allow: {groups: [admin]}}]}
  - {name: query, rules: [{name: by query, allow: {when: 'request.query["a"] == "1"'}}]}
  - {name: nobody, rules: [{name: nobody, allow: {subjects: [nobody]}}]}`,
		routes: "\n  - {name: nobody, paths: [/nobody], upstream: $UP, policy: nobody}",
	})
	inside := s.by(1)
	for _, user := range []string{"alice", "root"} {
		s.signIn(t, user) // by the listener that is open
	}
	for name, c := range map[string]struct {
		by           int
		user, target string
		status       int
		reason       string
	}{
		"anybody, by the open one":                 {0, "alice", "/app", 200, ""},
		"who is not of its policy":                 {1, "alice", "/app", 403, "no_rule_matched"},
		"who is":                                   {1, "root", "/app", 200, ""},
		"who is, where the route's policy says no": {1, "root", "/nobody", 403, "no_rule_matched"},
		"nobody":                    {1, "", "/app", 401, "no_credential"},
		"nobody, to a public route": {1, "", "/public/", 200, ""},
		"whom it does not let in, to a public route":     {1, "alice", "/public/", 200, ""},
		"whom it does not let in, to an own endpoint":    {1, "alice", "/.auth/me", 200, ""},
		"where there is no route":                        {1, "alice", "/app/../x", 400, "ambiguous_path"},
		"who has to sign in anew":                        {2, "alice", "/app", 401, "insufficient_user_authentication"},
		"a policy in the mode shadow":                    {3, "alice", "/app", 200, ""},
		"a query with two readings, where a policy asks": {4, "alice", "/app?a=1;a=2", 400, "malformed_query"},
		"the same where none asks":                       {0, "alice", "/app?a=1;a=2", 200, ""},
		"a query that it wants":                          {4, "alice", "/app?a=1", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.by(c.by).as(t, c.user, c.target)
			if s.upstream.take(); a.StatusCode != c.status || !strings.Contains(a.text, c.reason) {
				t.Errorf("the answer is %d\n%s", a.StatusCode, a.text)
			}
		})
	}

	// HTTP/2 has its own way to the request's context.
	h := inside.http2Frames(t)
	if err := h.get(1, "/app", cookieField(s.signIn(t, "alice"))); err != nil {
		t.Fatal(err)
	}
	if status := h.status(t, 1); status != "403" {
		t.Errorf("by HTTP/2: %s", status)
	}

	// The denial can be explained, by its name and by asking.
	a := inside.as(t, "alice", "/app")
	s.upstream.take()
	var x gateway.Explanation
	if status, text := s.ask(t, http.MethodGet, "/decisions/"+a.Header.Get("Sallyport-Decision"), nil, &x); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	if x.Listener == nil || x.Listener.Name != "inside" || x.Listener.Policy == nil || x.Listener.Policy.Policy != "admins" || x.Verdict.Outcome != "forbid" {
		t.Errorf("it is explained by %+v, %+v", x.Listener, x.Verdict)
	}
	cookie := map[string][]string{"Cookie": {s.signIn(t, "alice")}}
	for listener, want := range map[string]string{"": "allow", "open": "allow", "inside": "forbid", "strict": "step_up", "trial": "allow"} {
		x = gateway.Explanation{}
		if status, text := s.ask(t, http.MethodPost, "/explain", map[string]any{"method": "GET", "url": "/app", "headers": cookie, "listener": listener}, &x); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		if x.Verdict.Outcome != want {
			t.Errorf("by %q: %+v", listener, x.Verdict)
		}
		if told := slices.ContainsFunc(x.Notes, func(n string) bool { return strings.Contains(n, "the listener inside") }); told != (listener == "" || listener == "open") {
			t.Errorf("by %q it notes %q", listener, x.Notes)
		}
	}
	if status, text := s.ask(t, http.MethodPost, "/explain", map[string]any{"method": "GET", "url": "/app", "listener": "none"}, nil); status != http.StatusBadRequest || !strings.Contains(text, "open, inside") {
		t.Errorf("of a listener that there is not: %d %s", status, text)
	}
}

// TestStreamsOfAListenerEndWithItsPolicy: one that was opened by it ends when the
// policy lets its user in no more.
func TestStreamsOfAListenerEndWithItsPolicy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "subjects.txt")
	if err := os.WriteFile(file, []byte("alice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, plan{
		upstream:  newStreamingApp(t).URL,
		listeners: `{name: open, listen: "127.0.0.1:0"}, {name: inside, listen: "127.0.0.1:0", policy: known}`,
		policies:  fmt.Sprintf("\n  - {name: known, rules: [{name: known, allow: {subjects_file: %q}}]}", file),
	})
	alice := "Cookie: " + s.signIn(t, "alice")
	inside, outside := listen(t, s.by(1).socket(t, "/ws/echo", alice)), s.socket(t, "/ws/echo", alice)
	if err := os.WriteFile(file, []byte("root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	endsWith(t, inside, websocket.StatusPolicyViolation)
	say(t, outside)
}
