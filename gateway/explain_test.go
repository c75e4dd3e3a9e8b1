package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway"
)

// adminToken makes the file with the token of the admin API.
func adminToken(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("operator"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// ask calls the admin API as the operator.
func (s *site) ask(t *testing.T, method, path string, in, out any) (status int, text string) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1"+path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer operator")
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, r)
	if out != nil && w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%v\n%s", err, w.Body)
		}
	}
	return w.Code, w.Body.String()
}

// logged waits for the log line of a request of a user to a path, and returns its
// fields.
func (s *site) logged(t *testing.T, user, path string) map[string]any {
	t.Helper()
	var found map[string]any
	poll(t, "the log line of "+path, func() bool {
		for _, line := range slices.Backward(s.log.FilterMessage("request").All()) {
			if f := line.ContextMap(); f["subject"] == user && f["path"] == path {
				found = f
				return true
			}
		}
		return false
	})
	return found
}

// sessionOf is the name of a user's session, as logs show it.
func (s *site) sessionOf(t *testing.T, user string) string {
	t.Helper()
	s.as(t, user, "/")
	name, _ := s.logged(t, user, "/")["session"].(string)
	return name
}

// statuses are what programs are answered, by the outcome of an explanation.
func statuses() map[string]int {
	return map[string]int{
		"allow": 200, "forbid": 403, "challenge": 401, "no_route": 404, "bad_method": 405, "bad_host": 421, "malformed": 400, "step_up": 401, "unknown": 503,
	}
}

func TestExplanationsAgreeWithDecisions(t *testing.T) {
	s := newSite(t, plan{
		adminToken: adminToken(t),
		policies: `
  - {name: mixed, rules: [{name: readers, allow: {groups: [users], methods: [GET]}}, {name: not-mallory, deny: {subjects: [mallory]}, reason: barred, message: Ask the desk.}]}
  - {name: strong, rules: [{allow: {groups: [users]}, require: {acr: [gold]}}]}
  - {name: failing, rules: [{name: broken, deny: {when: "identity.claims.absent == 'x'"}}, {allow: {groups: [users]}}]}`,
		routes: `
  - {name: mixed, paths: [/mixed/], upstream: "$UP", policy: mixed}
  - {name: strong, paths: [/strong/], upstream: "$UP", policy: strong}
  - {name: failing, paths: [/failing/], upstream: "$UP", policy: failing}
  - {name: needy, paths: [/needy/], upstream: "$UP", policy: users, headers: [{name: X-Forwarded-Email, claim: email, required: true}]}`,
	})
	targets := []string{
		"/", "/public/x", "/admin/", "/admin", "/api/", "/both/", "/rw/x", "/drive/a%2fb", "/app%2fb", "/mixed/1", "/strong/", "/failing/", "/needy/",
		"/a/../admin/", "//admin/", "/nowhere;a/b",
	}
	for _, user := range []string{"", "alice", "root", "mallory"} {
		name := ""
		if user != "" {
			name = s.sessionOf(t, user)
		}
		for _, target := range targets {
			for _, method := range []string{"GET", "DELETE", "TRACE"} {
				var lines []string
				if user != "" {
					lines = append(lines, "Cookie: "+s.signIn(t, user))
				}
				got := s.raw(t, s.request(method, target, append(lines, "Connection: close")...))
				var x gateway.Explanation
				if status, text := s.ask(t, "POST", "/explain", map[string]any{"method": method, "url": target, "session": name}, &x); status != http.StatusOK {
					t.Fatalf("explain %s %s for %q: %d %s", method, target, user, status, text)
				}
				if want := statuses()[x.Verdict.Outcome]; got.StatusCode != want {
					t.Errorf("%s %s for %q: answered %d, explained as %s (%s)", method, target, user, got.StatusCode, x.Verdict.Outcome, x.Verdict.Reason)
				}
				var problem struct{ Reason string }
				if json.Unmarshal([]byte(got.text), &problem) == nil && problem.Reason != "" && problem.Reason != x.Verdict.Reason {
					t.Errorf("%s %s for %q: answered %s, explained as %s", method, target, user, problem.Reason, x.Verdict.Reason)
				}
				if matched := slices.ContainsFunc(x.Routes, func(c gateway.RouteCandidate) bool { return c.Matches }); matched != (x.Route != "") {
					t.Errorf("%s %s for %q: the routes %+v don't say which one matches: %q", method, target, user, x.Routes, x.Route)
				}
			}
		}
	}
}

func TestTheHeadersOfAnExplanationAreThoseThatTheApplicationGets(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t)})
	name := s.sessionOf(t, "root")
	s.upstream.take()
	got := s.passed(t, s.as(t, "root", "/admin/", "X-Forwarded-User: mallory", "X-Custom: kept"))
	var x gateway.Explanation
	s.ask(t, "POST", "/explain", map[string]any{
		"method": "GET", "url": "/admin/", "session": name,
		"headers": map[string][]string{"x-forwarded-user": {"mallory"}, "X-Custom": {"kept"}, "Cookie": {"other=1"}, "X-Api-Key": {"hidden"}},
	}, &x)
	shown := map[string]string{}
	for _, h := range x.Headers {
		shown[h.Name] = h.Value
		if h.Set && !slices.Equal(got.header(h.Name), []string{h.Value}) {
			t.Errorf("%s: explained as %q, the application got %q", h.Name, h.Value, got.header(h.Name))
		}
	}
	if shown["X-Forwarded-User"] != "root" || shown["X-Custom"] != "kept" {
		t.Errorf("the headers are %v", shown)
	}
	if !slices.Contains(x.Removed, "X-Forwarded-User") {
		t.Errorf("removed: %v", x.Removed)
	}
	if text := fmt.Sprint(x.Headers); strings.Contains(text, "hidden") || strings.Contains(text, "other=1") {
		t.Errorf("a header that may hold a secret is shown: %s", text)
	}
}

// decisionOf is the name of a decision in a header of the answer.
func decisionOf(t *testing.T, a answer) string {
	t.Helper()
	name := a.Header.Get("Sallyport-Decision")
	if name == "" {
		t.Fatalf("the answer has no decision: %d %v", a.StatusCode, a.Header)
	}
	return name
}

func TestADenialCanBeExplainedAfterwards(t *testing.T) {
	s := newSite(t, plan{
		adminToken: adminToken(t),
		policies:   `- {name: desk, rules: [{name: desk, allow: {groups: [desk], when: "request.headers['x-tenant'] == 'a'"}}]}`,
		routes:     `- {name: desk, paths: [/desk/], upstream: "$UP", policy: desk}`,
	})
	page := s.as(t, "alice", "/desk/7", "Accept: text/html", "Sec-Fetch-Mode: navigate", "X-Tenant: a", "X-Secret-Key: hidden")
	name := decisionOf(t, page)
	if !strings.Contains(page.text, name) {
		t.Errorf("the page does not show the decision %s", name)
	}
	api := s.as(t, "alice", "/desk/7")
	if second := decisionOf(t, api); second == name || !strings.Contains(api.text, `"decision":"`+second+`"`) {
		t.Errorf("the problem document of decision %s (before: %s) is %s", second, name, api.text)
	}
	for _, message := range []string{"request", "audit"} {
		poll(t, "the decision in a line "+message, func() bool {
			return slices.ContainsFunc(s.log.FilterMessage(message).All(), func(l observer.LoggedEntry) bool { return l.ContextMap()["decision"] == name })
		})
	}

	var x gateway.Explanation
	status, text := s.ask(t, "GET", "/decisions/"+strings.ToLower(name), nil, &x)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	if x.Decision != name || x.Path != "/desk/7" || x.Route != "desk" || x.Identity.Subject != "alice" || x.Verdict.Outcome != "forbid" || x.Verdict.Reason != "no_rule_matched" {
		t.Errorf("the explanation is\n%s", text)
	}
	conditions := x.Policy.Rules[0].Conditions
	if i := slices.IndexFunc(conditions, func(c gateway.ConditionExplanation) bool { return c.Field == "groups" }); i < 0 || conditions[i].Fits || conditions[i].Has != "users" || conditions[i].Wants != "desk" {
		t.Errorf("the condition on groups is not explained: %+v", conditions)
	}
	if i := slices.IndexFunc(conditions, func(c gateway.ConditionExplanation) bool { return c.Field == "when" }); i < 0 || !conditions[i].Fits {
		t.Errorf("the condition on the header is not explained: %+v", conditions)
	}
	cookie := s.signIn(t, "alice")
	if strings.Contains(text, "hidden") || strings.Contains(text, cookie[strings.Index(cookie, "=")+1:]) {
		t.Error("the explanation holds a credential")
	}
	if !strings.Contains(strings.Join(x.Notes, " "), "X-Secret-Key") {
		t.Errorf("what was not kept is not said: %v", x.Notes)
	}
	if status, _ := s.ask(t, "GET", "/decisions/ABCDEFGHIJKL", nil, nil); status != http.StatusNotFound {
		t.Errorf("an unknown decision: %d", status)
	}
}

// Only the last few thousand are kept, and nobody without an account fills them up.
func TestAnonymousRequestsLeaveNoDecisionsBehind(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t)})
	for _, target := range []string{"/admin/", "/api/", "/public/", "/nowhere%00"} {
		if a := s.as(t, "", target); a.Header.Get("Sallyport-Decision") != "" {
			t.Errorf("%s: an anonymous request was given a decision", target)
		}
	}
	if a := s.as(t, "root", "/admin/"); a.Header.Get("Sallyport-Decision") != "" {
		t.Error("who is let in was given a decision")
	}
}

func TestOnlyTheGatewaySpeaksOfDecisions(t *testing.T) {
	s := newSite(t, plan{})
	s.upstream.answers("HTTP/1.1 200 OK\r\nSallyport-Decision: ABCDEFGHIJKL\r\nContent-Length: 1\r\n\r\nx")
	if a := s.as(t, "alice", "/"); a.StatusCode != http.StatusOK || a.Header.Get("Sallyport-Decision") != "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

func TestWhatIsInShadowIsLoggedAndCountedAndNothingElse(t *testing.T) {
	s := newSite(t, plan{
		adminToken: adminToken(t),
		policies: `
  - {name: trial, mode: shadow, rules: [{name: desk, allow: {groups: [desk]}}]}
  - {name: stricter, rules: [{name: users, allow: {groups: [users]}}, {name: no-mallory, mode: shadow, deny: {subjects: [mallory]}, reason: barred}]}`,
		routes: `
  - {name: trial, paths: [/trial/], upstream: "$UP", policy: trial}
  - {name: stricter, paths: [/stricter/], upstream: "$UP", policy: stricter}`,
	})
	tests := []struct{ user, path, shadow, rule, reason string }{
		{"alice", "/trial/", "deny", "", "no_rule_matched"},
		{"alice", "/stricter/", "allow", "users", "allowed_by_rule"},
		{"mallory", "/stricter/", "deny", "no-mallory", "barred"},
	}
	for _, tt := range tests {
		a := s.as(t, tt.user, tt.path)
		s.passed(t, a)
		if a.Header.Get("Sallyport-Decision") != "" {
			t.Errorf("%s %s: the client learns of the shadow", tt.user, tt.path)
		}
		f := s.logged(t, tt.user, tt.path)
		if f["outcome"] != "allow" || f["shadow"] != tt.shadow || fmt.Sprint(f["shadow_rule"]) != orDefault(tt.rule, "<nil>") || f["shadow_reason"] != tt.reason {
			t.Errorf("%s %s: the log says %v", tt.user, tt.path, f)
		}
		name, _ := f["decision"].(string)
		var x gateway.Explanation
		if tt.shadow == "allow" {
			if name != "" {
				t.Errorf("%s %s: a decision that changes nothing is kept", tt.user, tt.path)
			}
		} else if s.ask(t, "GET", "/decisions/"+name, nil, &x); x.Verdict.Outcome != "allow" || x.Verdict.Shadow == nil || x.Verdict.Shadow.Effect != tt.shadow {
			t.Errorf("%s %s: the decision %q is explained as %+v", tt.user, tt.path, name, x.Verdict)
		}
	}
	for _, want := range []string{
		`sallyport_shadow_decisions_total{outcome="allow",route="stricter",shadow="allow"} 1`,
		`sallyport_shadow_decisions_total{outcome="allow",route="stricter",shadow="deny"} 1`,
		`sallyport_shadow_decisions_total{outcome="allow",route="trial",shadow="deny"} 1`,
	} {
		if text := s.metrics(t); !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
