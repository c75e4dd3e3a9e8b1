package gateway_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// manyFaults is wrong in every part that building looks at.
const manyFaults = `
server:
  listen: 127.0.0.1:0
  public_url: https://localhost:8443
  tls: {cert_file: $OK, key_file: $OK}
admin: {listen: 127.0.0.1:0, token_file: $OK, tls: {cert_file: $OK, key_file: $OK}}
pages: {logo_file: $OK}
session: {store: valkey, keys_files: [$OK], valkey: {urls: ["valkey://127.0.0.1:1"]}}
login:
  providers:
    - {name: staff, type: users, file: $OK}
    - {name: guests, type: users, file: $OK}
policies:
  - {name: a, rules: [{allow: {groups: [a]}, when: "identity.emial == 'x'"}]}
  - {name: b, rules: [{allow: {cidr_file: $OK}}]}
  - {name: c, rules: [{allow: {groups: [c]}}]}
routes:
  - {name: one, paths: [/x], upstream: "http://127.0.0.1:1", policy: a, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: two, paths: [/x], upstream: "http://127.0.0.1:1", policy: c, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: three, paths: [/y], upstream: "https://127.0.0.1:1", policy: c, headers: [{name: X-Forwarded-Issuer, claim: iss}], upstream_tls: {ca_file: $OK}}
`

func faultsOf(t *testing.T, err error) string {
	t.Helper()
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		t.Fatalf("no faults: %v", err)
	}
	told := map[string]bool{}
	for i, f := range faults {
		if told[f.Error()] {
			t.Errorf("told twice: %v", f)
		}
		told[f.Error()] = true
		if f.Line == 0 || i > 0 && f.Line < faults[i-1].Line {
			t.Errorf("not in the order of the lines: %v", f)
		}
	}
	return faults.Error()
}

// in asserts that each place is told of.
func in(t *testing.T, text string, places ...string) {
	t.Helper()
	for _, place := range places {
		if !strings.Contains(text, ": "+place+": ") {
			t.Errorf("nothing is said of %s in\n%s", place, text)
		}
	}
}

// TestAFaultHidesNoOther: what a step of loading or building finds wrong keeps none of
// the others from being told, at a check, at the start, and at a reload.
func TestAFaultHidesNoOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ok"), []byte("neither key nor certificate nor account"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(manyFaults, "$OK", filepath.Join(dir, "ok"))
	cfg, err := gateway.Parse("site.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	places := []string{
		"server.tls", "admin.tls", "pages.logo_file", "session.keys_files[0]", "login.providers[0]", "login.providers[1]",
		"policies[0].rules[0].when", "policies[1].rules[0].allow.cidr_file", "routes[1].paths", "routes[2].upstream_tls.ca_file",
	}
	in(t, faultsOf(t, gateway.Check(t.Context(), cfg)), places...)
	_, err = gateway.New(t.Context(), cfg, zap.NewNop(), "test")
	in(t, faultsOf(t, err), places...)

	// A key that is misspelt, too.
	misspelt := strings.NewReplacer("routes:", "rutes:", "store: valkey", "stroe: valkey").Replace(text)
	_, err = gateway.Parse("site.yaml", []byte(misspelt), nil)
	in(t, faultsOf(t, err), "rutes", "session.stroe", "policies[0].rules[0].when", "policies[1].rules[0].allow.cidr_file")
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(misspelt), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = gateway.Load(filepath.Join(dir, "site.yaml"), nil)
	in(t, faultsOf(t, err), "rutes", "session.stroe", "policies[0].rules[0].when", "policies[1].rules[0].allow.cidr_file")

	s := newSite(t, plan{followed: true})
	in(t, s.refusedReload(t, misspelt), "rutes", "session.stroe", "policies[0].rules[0].when", "policies[1].rules[0].allow.cidr_file")
	// What only a restart can change hides nothing, either.
	in(t, s.refusedReload(t, text), append(places, "session.store", "admin.listen")...)
	s.passed(t, s.as(t, "alice", "/"))
}

// TestAPolicyThatDoesNotCompileLetsNobodyIn: looking for more faults goes on without
// it, and ends in a refusal.
func TestAPolicyThatDoesNotCompileLetsNobodyIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{followed: true})
	s.refusedReload(t, s.yaml(func(p *plan) {
		p.policies = `- {name: odd, rules: [{allow: {groups: [users]}, when: "nothing.known"}]}`
		p.routes = `- {name: odd, paths: [/odd/], upstream: "` + p.upstream + `", policy: odd}`
	}))
	s.passed(t, s.as(t, "alice", "/odd/")) // by the route that was there before
	s.denied(t, s.as(t, "alice", "/admin/"))
}
