package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/policy/authorizer/opatest"
)

// opaService is an authorizer on a loopback socket that can die and come back.
type opaService struct {
	*opatest.Server
	addr   string
	server *http.Server
	ended  chan struct{}
}

func newOPA(t *testing.T) *opaService {
	t.Helper()
	o := &opaService{Server: opatest.New(), addr: "127.0.0.1:0"}
	o.start(t)
	t.Cleanup(func() { o.stop(t) })
	return o
}

func (o *opaService) start(t *testing.T) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", o.addr)
	if err != nil {
		t.Fatal(err)
	}
	o.addr, o.server, o.ended = l.Addr().String(), &http.Server{Handler: o.Server}, make(chan struct{})
	go func() { _ = o.server.Serve(l); close(o.ended) }()
}

func (o *opaService) stop(t *testing.T) {
	t.Helper()
	_ = o.server.Close()
	<-o.ended
}

// site is a gateway whose route /owned/ asks the service, and nothing else.
func (o *opaService) site(t *testing.T, members string) *site {
	t.Helper()
	return newSite(t, plan{
		policies: fmt.Sprintf(`
  - {name: opa, message: "Ask the owner.", authorizer: {url: "http://%[1]s/v1/data/app/authz?key=secret-of-the-url", timeout: 10s, %[2]s}}
  - {name: both, rules: [{name: admins, allow: {groups: [admin]}}], authorizer: {url: "http://%[1]s/v1/data/app/authz", timeout: 10s}}
  - {name: shadowed, mode: shadow, authorizer: {url: "http://%[1]s/v1/data/app/authz", timeout: 10s}}`, o.addr, members),
		routes: `
  - {name: owned, paths: [/owned/], upstream: "$UP", auth: [session, bearer], policy: opa, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: both-agree, paths: [/both-agree/], upstream: "$UP", policy: both}
  - {name: shadowed, paths: [/shadowed/], upstream: "$UP", policy: shadowed}`,
	})
}

type problemDocument struct {
	Reason   string `json:"reason"`
	Detail   string `json:"detail"`
	LoginURL string `json:"login_url"`
}

func (s *site) problem(t *testing.T, a answer, status int, reason string) problemDocument {
	t.Helper()
	s.denied(t, a, status)
	var p problemDocument
	if err := json.Unmarshal([]byte(a.text), &p); err != nil || p.Reason != reason {
		t.Errorf("the answer is %s, want the reason %s", a.text, reason)
	}
	return p
}

// outage asserts an answer that is neither yes nor no and costs nobody his session.
func (s *site) outage(t *testing.T, a answer) {
	t.Helper()
	s.problem(t, a, http.StatusServiceUnavailable, "unavailable")
	if a.Header.Get("Retry-After") == "" || len(a.Header["Set-Cookie"]) != 0 {
		t.Errorf("Retry-After %q, Set-Cookie %q", a.Header.Get("Retry-After"), a.Header["Set-Cookie"])
	}
	s.passed(t, s.as(t, "alice", "/app"))
}

// ownPaths is a rule: a path belongs to the user whom its second part names.
func ownPaths(input map[string]any) (any, error) {
	request, _ := input["request"].(map[string]any)
	identity, _ := input["identity"].(map[string]any)
	path, _ := request["path"].(string)
	subject, _ := identity["subject"].(string)
	switch {
	case path == "/owned/undefined":
		return nil, opatest.ErrUndefined
	case path == "/owned/conflict":
		return nil, fmt.Errorf("complete rules must not produce multiple outputs")
	case path == "/owned/strong":
		return map[string]any{"allow": false, "reason": "weak", "step_up": map[string]any{"acr": []string{"phrh"}, "max_age": 300}}, nil
	case path == "/owned/silent":
		return false, nil
	case strings.HasPrefix(path, "/owned/"+subject+"/"), strings.HasPrefix(path, "/both-agree/"+subject+"/"):
		return map[string]any{"allow": true, "reason": "owner"}, nil
	}
	return map[string]any{"allow": false, "reason": "not_owner", "message": "It is not <b>yours</b>."}, nil
}

func TestAnExternalAuthorizerDecides(t *testing.T) {
	o := newOPA(t)
	o.Rule("app/authz", ownPaths)
	s := o.site(t, "cache: 0s")

	s.passed(t, s.as(t, "alice", "/owned/alice/x"))
	if p := s.problem(t, s.as(t, "mallory", "/owned/alice/x"), http.StatusForbidden, "denied_by_authorizer"); p.Detail != "It is not <b>yours</b>." {
		t.Errorf("a program reads %q", p.Detail)
	}
	page := s.as(t, "mallory", "/owned/alice/x", "Accept: text/html")
	s.denied(t, page, http.StatusForbidden)
	if !strings.Contains(page.text, "It is not &lt;b&gt;yours&lt;/b&gt;.") {
		t.Errorf("a person reads %s", page.text)
	}
	if got := s.log.FilterField(zap.String("rule", "authorizer:not_owner")).Len(); got == 0 {
		t.Error("the log does not have the authorizer's own reason")
	}
	for _, path := range []string{"/owned/undefined", "/owned/silent"} {
		if p := s.problem(t, s.as(t, "alice", path), http.StatusForbidden, "denied_by_authorizer"); p.Detail != "Ask the owner." {
			t.Errorf("%s: a program reads %q", path, p.Detail)
		}
	}
	s.outage(t, s.as(t, "alice", "/owned/conflict"))

	// What is asked of the sign-in goes the way of every step-up.
	strong := s.as(t, "alice", "/owned/strong", "Accept: text/html")
	s.denied(t, strong, http.StatusFound)
	if got := strong.Header.Get("Location"); !strings.HasPrefix(got, "/.auth/login?") || !strings.Contains(got, "acr_values=phrh") || !strings.Contains(got, "max_age=300") {
		t.Errorf("a person is sent to %s", got)
	}
	a := s.as(t, "alice", "/owned/strong")
	s.problem(t, a, http.StatusUnauthorized, "insufficient_user_authentication")
	if got := a.Header.Get("WWW-Authenticate"); !strings.Contains(got, `acr_values="phrh", max_age="300"`) {
		t.Errorf("a program is told %s", got)
	}

	// Beside rules it is asked about what they allow, and nobody else gets to it.
	before := len(o.Asked())
	s.problem(t, s.as(t, "alice", "/both-agree/alice/x"), http.StatusForbidden, "no_rule_matched")
	if len(o.Asked()) != before {
		t.Error("the service was asked about what no rule allows")
	}
	s.passed(t, s.as(t, "root", "/both-agree/root/x"))
	s.problem(t, s.as(t, "root", "/both-agree/alice/x"), http.StatusForbidden, "denied_by_authorizer")
	s.problem(t, s.as(t, "", "/owned/alice/x"), http.StatusUnauthorized, "no_credential")
}

func TestAnswersOfAnAuthorizerAreRememberedForWhoGotThem(t *testing.T) {
	o := newOPA(t)
	o.Rule("app/authz", ownPaths)
	s := o.site(t, "cache: 1m")
	counted := func(result, want string) {
		t.Helper()
		if got := s.metric(t, `sallyport_authorizer_requests_total{policy="opa",result="`+result+`"}`); got != want {
			t.Errorf("%s: %q, want %s", result, got, want)
		}
	}
	for range 5 {
		s.passed(t, s.as(t, "alice", "/owned/alice/x"))
		s.problem(t, s.as(t, "mallory", "/owned/alice/x"), http.StatusForbidden, "denied_by_authorizer")
	}
	counted("allow", "1")
	counted("deny", "1")
	counted("cached", "8")
	if got := s.metric(t, `sallyport_authorizer_seconds_count{policy="opa"}`); got != "2" {
		t.Errorf("%s questions were measured", got)
	}
	// Another path, another query, another credential of the same user: other questions.
	for i, target := range []string{"/owned/alice/y", "/owned/alice/x?a=1", "/owned/alice/x?a=2"} {
		s.passed(t, s.as(t, "alice", target))
		counted("allow", fmt.Sprint(i+2))
	}
	s.passed(t, s.as(t, "", "/owned/alice/x", "Authorization: Bearer "+s.token(t, map[string]any{"sub": "alice"})))
	counted("allow", "5")
}

func TestManyRequestsOfOneUserAreOneQuestionToAnAuthorizer(t *testing.T) {
	o := newOPA(t)
	var arrived atomic.Int64
	all := make(chan struct{})
	o.Script(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-all:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, `{"result": true}`)
	})
	s := o.site(t, "cache: 1m")
	cookie := s.signIn(t, "alice")
	const many = 200
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if arrived.Add(1) == many {
			close(all)
		}
		s.gw.Handler().ServeHTTP(w, r)
	})
	var asking sync.WaitGroup
	var passed atomic.Int64
	for range many {
		asking.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/owned/x", nil)
			r.Host = s.host
			r.Header.Set("Cookie", cookie)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code == http.StatusOK {
				passed.Add(1)
			}
		})
	}
	asking.Wait()
	if passed.Load() != many || len(o.Asked()) != 1 {
		t.Errorf("%d of %d passed, by %d questions", passed.Load(), many, len(o.Asked()))
	}
}

// TestAnAuthorizerLearnsNoCredential: neither cookies nor Authorization nor what the
// gateway keeps of them is in a question, and no question is in the log.
func TestAnAuthorizerLearnsNoCredential(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first-own-token")
	o := newOPA(t)
	o.Says(http.StatusOK, `{"result": true}`)
	s := o.site(t, fmt.Sprintf("headers: [X-Tenant, Accept], token_file: %q", file))
	cookie, token := s.signIn(t, "alice"), s.token(t, map[string]any{"sub": "alice", "groups": []string{"users"}})
	s.passed(t, s.as(t, "alice", "/owned/x?a=1", "X-Tenant: t1", "X-Other: o1", "Proxy-Authorization: Basic cHJveHk="))
	write("second-own-token")
	s.passed(t, s.as(t, "", "/owned/x", "Authorization: Bearer "+token, "Cookie: other=chocolate"))
	asked := o.Asked()
	if len(asked) != 2 {
		t.Fatalf("%d questions", len(asked))
	}
	for i, own := range []string{"Bearer first-own-token", "Bearer second-own-token"} {
		if got := asked[i].Header.Get("Authorization"); got != own {
			t.Errorf("the service got %q, want %q", got, own)
		}
	}
	if !strings.Contains(asked[0].Body, `"headers":{"x-tenant":"t1"}`) || !strings.Contains(asked[0].Body, `"query":{"a":["1"]}`) {
		t.Errorf("the question is %s", asked[0].Body)
	}
	_, value, _ := strings.Cut(cookie, "=")
	signature := token[strings.LastIndexByte(token, '.')+1:]
	for _, q := range asked {
		for _, secret := range []string{value, signature, "chocolate", "cHJveHk=", "o1"} {
			if strings.Contains(q.Body, secret) || strings.Contains(fmt.Sprint(q.Header, q.Path), secret) {
				t.Errorf("the service got %q: %s %v", secret, q.Body, q.Header)
			}
		}
	}
	o.stop(t)
	s.outage(t, s.as(t, "alice", "/owned/x"))
	for _, secret := range []string{"own-token", "secret-of-the-url", `"preferred_username"`} {
		if strings.Contains(s.logText.String(), secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
}

// TestAnAuthorizerNeverGetsHalfOfAQuery (CVE-2026-39825, CVE-2022-2880): the
// application gets the very query that was decided on, or none.
func TestAnAuthorizerNeverGetsHalfOfAQuery(t *testing.T) {
	o := newOPA(t)
	o.Rule("app/authz", func(input map[string]any) (any, error) {
		request, _ := input["request"].(map[string]any)
		query, _ := request["query"].(map[string]any)
		roles, _ := query["role"].([]any)
		return len(roles) == 1 && roles[0] == "user", nil
	})
	s := o.site(t, "cache: 1m")
	if got := s.passed(t, s.as(t, "alice", "/owned/x?role=user")).target(); got != "/owned/x?role=user" {
		t.Errorf("the application got %s", got)
	}
	for target, reason := range map[string]string{
		"/owned/x?role=user&role=admin":                                "denied_by_authorizer",
		"/owned/x?role=user&ROLE=admin":                                "denied_by_authorizer",
		"/owned/x?role=user&r%6fle=admin":                              "denied_by_authorizer",
		"/owned/x?role=user;role=admin":                                "malformed_query",
		"/owned/x?role=user&%zz=1":                                     "malformed_query",
		"/owned/x?" + strings.Repeat("a=1&", 1000) + "role=user&role=": "malformed_query",
		"/owned/x?role=user&x=%ff":                                     "policy_error",
	} {
		status := http.StatusForbidden
		if reason == "malformed_query" {
			status = http.StatusBadRequest
		}
		s.problem(t, s.as(t, "alice", target), status, reason)
	}
	// In shadow it can't be asked about them, and nothing else happens.
	s.passed(t, s.as(t, "alice", "/shadowed/x?role=user;role=admin"))
}

// TestAnAuthorizerIsToldWhatTheGatewayKnows and not what a client claims: addresses
// and hosts of nobody's proxy, and the path in another spelling.
func TestAnAuthorizerIsToldWhatTheGatewayKnows(t *testing.T) {
	o := newOPA(t)
	o.Says(http.StatusOK, `{"result": true}`)
	s := o.site(t, "cache: 0s")
	for target, path := range map[string]string{"/owned/x": "/owned/x", "/%6fwned/%78": "/owned/x", "/owned/a%20b": "/owned/a b", "/owned//y;v=1": "/owned/y"} {
		s.passed(t, s.as(t, "alice", target, "X-Forwarded-For: 10.0.0.1", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1",
			"X-Forwarded-Host: evil.test", "X-Forwarded-Uri: /public/", "X-Forwarded-User: root", "X-HTTP-Method-Override: DELETE"))
		asked := o.Asked()
		var question struct {
			Input struct {
				Client   struct{ Address string }
				Identity struct{ Subject, Issuer, Email, Provider, Credential string }
				Request  struct{ Method, Host, Path string }
				Route    struct{ Name string }
				Policy   string
			}
		}
		if err := json.Unmarshal([]byte(asked[len(asked)-1].Body), &question); err != nil {
			t.Fatal(err)
		}
		in := question.Input
		got := []string{
			in.Client.Address, in.Request.Method, in.Request.Host, in.Request.Path, in.Route.Name, in.Policy,
			in.Identity.Subject, in.Identity.Email, in.Identity.Provider, in.Identity.Credential,
		}
		want := []string{"127.0.0.1", "GET", "localhost", path, "owned", "opa", "alice", "alice@example.test", "dev", "session"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
}
