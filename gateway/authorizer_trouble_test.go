package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// TestNoTroubleOfAnAuthorizerLetsAnybodyIn (CVE-2021-32637 and its kind): an answer
// that can't be had is 503, one that makes no sense 403, and in between is nothing.
func TestNoTroubleOfAnAuthorizerLetsAnybodyIn(t *testing.T) {
	o := newOPA(t)
	s := o.site(t, "cache: 30s")
	yes := `{"result": true}`
	for name, tt := range map[string]struct {
		script http.HandlerFunc
		status int
	}{
		"an error":     {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, yes, http.StatusInternalServerError) }, 503},
		"a refusal":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, yes, http.StatusForbidden) }, 503},
		"another page": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, yes, http.StatusNotFound) }, 503},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/v1/data/app/allow", http.StatusTemporaryRedirect)
		}, 503},
		"a cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, yes)
		}, 503},
		"a panic":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503},
		"nonsense":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"result": "yes"}`) }, 403},
		"two answers":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, yes+yes) }, 403},
		"a web page":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>ok</html>") }, 403},
		"nothing":       {func(http.ResponseWriter, *http.Request) {}, 403},
		"a huge answer": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, yes+strings.Repeat(" ", 1<<20)) }, 403},
	} {
		o.Script(tt.script)
		for range 2 { // none of it is remembered
			before := len(o.Asked())
			a := s.as(t, "alice", "/owned/x")
			if tt.status == 503 {
				s.outage(t, a)
			} else {
				s.problem(t, a, http.StatusForbidden, "policy_error")
			}
			if len(o.Asked()) == before { // it can be more than one, where a connection was hung up on
				t.Errorf("%s: was remembered", name)
			}
		}
		// In shadow it is asked, too, and that is all.
		s.passed(t, s.as(t, "alice", "/shadowed/x"))
	}
	o.Says(http.StatusOK, yes)
	s.passed(t, s.as(t, "alice", "/owned/x"))
	if logged := s.logText.String(); !strings.Contains(logged, "for the policy opa") || strings.Contains(logged, "secret-of-the-url") {
		t.Error("the log does not name the policy, or tells what is in the URL")
	}
}

func TestASlowAuthorizerIsAnOutageWithinItsTime(t *testing.T) {
	o := newOPA(t)
	o.Script(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := newSite(t, plan{
		policies: fmt.Sprintf(`
  - {name: opa, authorizer: {url: "http://%[1]s/v1/data/app/authz", timeout: 100ms}}
  - {name: cached, authorizer: {url: "http://%[1]s/v1/data/app/authz", timeout: 100ms, cache: 5s}}
  - {name: shadowed, mode: shadow, authorizer: {url: "http://%[1]s/v1/data/app/authz", timeout: 100ms}}`, o.addr),
		routes: `
  - {name: owned, paths: [/owned/], upstream: "$UP", policy: opa}
  - {name: cached, paths: [/cached/], upstream: "$UP", policy: cached}
  - {name: shadowed, paths: [/shadowed/], upstream: "$UP", policy: shadowed}`,
	})
	for _, path := range []string{"/owned/x", "/cached/x"} {
		s.outage(t, s.as(t, "alice", path))
	}
	s.passed(t, s.as(t, "alice", "/shadowed/x"))
}

// TestAnAuthorizerThatDiesAndComesBack: nobody restarts the gateway, and who is
// signed in stays so.
func TestAnAuthorizerThatDiesAndComesBack(t *testing.T) {
	o := newOPA(t)
	o.Rule("app/authz", ownPaths)
	s := o.site(t, "cache: 0s")
	s.passed(t, s.as(t, "alice", "/owned/alice/x"))
	o.stop(t)
	for range 3 {
		s.outage(t, s.as(t, "alice", "/owned/alice/x"))
	}
	o.start(t)
	s.passed(t, s.as(t, "alice", "/owned/alice/x"))
	if got := s.metric(t, `sallyport_authorizer_requests_total{policy="opa",result="outage"}`); got != "3" {
		t.Errorf("%s outages were counted", got)
	}
	for _, line := range []string{"an authorizer does not answer", "an authorizer answers again"} {
		if got := s.log.FilterMessage(line).Len(); got != 1 {
			t.Errorf("%d lines say %q", got, line)
		}
	}
}

func TestFaultsOfAnAuthorizerAreFoundAtLoad(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf(`
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
policies:
  - {name: a, authorizer: {url: "https://opa.internal/v1/data/app", ca_file: %[1]q}}
  - {name: b, authorizer: {url: "https://opa.internal/v1/data/app"}}
  - {name: c, authorizer: {url: "https://opa.internal/v1/data/app", ca_file: %[1]q}}
routes: [{name: app, upstream: "builtin:echo", policy: a}]
`, empty)
	cfg, err := config.Parse("site.yaml", []byte(yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = gateway.Check(ctx, cfg)
	for _, want := range []string{"site.yaml:4: policies[0].authorizer.ca_file: there is no certificate in", "site.yaml:6: policies[2].authorizer.ca_file: there is no certificate in"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %s", err, want)
		}
	}
}
