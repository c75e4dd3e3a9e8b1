package gateway_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/policy/policytest"
)

// runCases runs a test file and returns what is wrong with it, or with a case.
func runCases(t *testing.T, name, text string) error {
	t.Helper()
	file, err := policytest.Parse(name, []byte(text), time.Now())
	if err != nil {
		return err
	}
	found, err := gateway.CasePolicies(file, nil)
	if err != nil {
		return err
	}
	var failed []error
	report := policytest.Run(t.Context(), file, found.Find)
	for _, r := range report.Results {
		if r.Err != nil {
			failed = append(failed, r.Err)
		}
		for _, d := range r.Differences {
			failed = append(failed, errors.New(r.Case.Name+": "+d.What+" is "+d.Got))
		}
	}
	return errors.Join(failed...)
}

const archivedPolicies = `
-- policies.yaml --
policies:
  - name: admins
    rules: [{name: admins, allow: {subjects_file: lists/admins.txt, paths: [/admin]}}]
  - name: asked
    authorizer: {url: "http://127.0.0.1:1/never-asked"}
-- lists/admins.txt --
root
`

func TestAnArchiveBringsItsPoliciesAndFiles(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	err := runCases(t, "admins.txtar", archivedPolicies+`
-- cases.yaml --
defaults: {policy: admins, request: {path: /admin/users}}
cases:
  - {name: root, identity: {subject: root}, expect: {effect: allow, rule: admins}}
  - {name: alice, identity: {subject: alice}, expect: deny}
  - {name: another path, identity: {subject: root}, request: {path: /}, expect: deny}
  - {name: built in, policy: authenticated, identity: {subject: alice}, expect: allow}
  - {name: asked, policy: asked, identity: {subject: alice}, authorizer: allow, expect: allow}
  - {name: refused, policy: asked, identity: {subject: alice}, authorizer: deny, expect: deny}
`)
	if err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

const wholeArchive = `
-- config.yaml --
login: {providers: [{name: corp, type: oidc, issuer: "https://id.example.com", client_id: app, client_secret_file: secret.txt}]}
policies:
  - {name: staff, rules: [{name: staff, allow: {groups: [staff]}}]}
routes:
  - {name: app, paths: [/app], upstream: "builtin:echo", policy: staff}
  - {name: vault, paths: [/vault], upstream: "builtin:echo", policy: staff, require: {acr: [gold]}}
  - {name: open, paths: [/open], upstream: "builtin:echo", public: true}
-- secret.txt --
a secret that no test ever uses
`

func TestARouteAddsWhatItRequires(t *testing.T) {
	err := runCases(t, "routes.txtar", wholeArchive+`
-- cases.yaml --
defaults: {identity: {subject: alice, groups: [staff]}}
cases:
  - {name: app, route: app, expect: allow}
  - {name: vault, route: vault, expect: {effect: step_up, step_up: {acr: [gold]}}}
  - {name: the policy alone, policy: staff, route: vault, expect: allow}
`)
	if err != nil {
		t.Error(err)
	}
	err = runCases(t, "routes.txtar", wholeArchive+`
-- cases.yaml --
defaults: {identity: {subject: alice}}
cases:
  - {name: public, route: open, expect: deny}
  - {name: no route, route: opn, expect: deny}
  - {name: no policy, policy: stuff, expect: deny}
`)
	for _, want := range []string{
		`the route "open" is public and asks no policy`,
		`no route is called "opn": there are app, vault, open`,
		`no policy is called "stuff": there are authenticated, staff`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestFaultsOfAnArchiveHaveItsLines(t *testing.T) {
	const cases = "-- cases.yaml --\ncases: [{name: one, policy: staff, identity: {subject: alice}, expect: deny}]\n"
	for name, tt := range map[string]struct{ text, want string }{
		"a key of a whole configuration": {"-- policies.yaml --\npolicies: [{name: staff, rules: [{allow: {groups: [a]}}]}]\nroutes: []\n", "a.txtar:3: routes: is not a known key"},
		"a rule that can't be compiled":  {"-- policies.yaml --\npolicies:\n  - name: staff\n    rules:\n      - {allow: {when: 'identity.nam'}}\n", "a.txtar:5: policies[0].rules[0].allow.when"},
		"no policies":                    {"-- policies.yaml --\npolicies: []\n", "a.txtar:2: policies: is missing or empty"},
		"nothing":                        {"-- policies.yaml --\n", "a.txtar: the file is empty: write policies"},
		"a file that is not there":       {"-- policies.yaml --\npolicies: [{name: staff, rules: [{allow: {groups_file: no.txt}}]}]\n", `a.txtar:2: policies[0].rules[0].allow.groups_file: the file "no.txt" cannot be read`},
		"a value that is none":           {"-- policies.yaml --\npolicies: [{name: staff, rules: [{allow: {cidr_file: nets.txt}}]}]\n-- nets.txt --\nx\n", "a.txtar:2: policies[0].rules[0].allow.cidr_file: nets.txt: line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := runCases(t, "a.txtar", tt.text+cases)
			if _, ok := errors.AsType[config.Faults](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), os.TempDir()) {
				t.Errorf("%v shows where it was unpacked", err)
			}
		})
	}
}

// TestTheArchiveOfTheDocsPasses, and with the case that fails there, it is told as it
// stands there.
func TestTheArchiveOfTheDocsPasses(t *testing.T) {
	text, err := os.ReadFile("../docs/policy-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(begin string) string {
		_, rest, found := strings.Cut(string(text), "```"+begin+"\n")
		inside, _, closed := strings.Cut(rest, "```\n")
		if !found || !closed {
			t.Fatalf("there is no block of %q", begin)
		}
		return inside
	}
	archive := block("txtar reports.txtar")
	if err := runCases(t, "reports.txtar", archive); err != nil {
		t.Error(err)
	}

	archive += "  - {name: sales may read on Sundays, at: 2026-03-01T10:00:00Z, identity: {groups: [sales]}, expect: allow}\n"
	file, err := policytest.Parse("reports.txtar", []byte(archive), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	found, err := gateway.CasePolicies(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := policytest.Run(t.Context(), file, found.Find).WriteTable(&out, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(block("console exits 1\n$ sallyport policy test reports.txtar"), out.String()); diff != "" {
		t.Error(diff)
	}
}

// TestCasesMayNameEveryCredential: a kind that the gateway gains has to be known to
// test files too.
func TestCasesMayNameEveryCredential(t *testing.T) {
	for _, kind := range []authn.Kind{authn.KindSession, authn.KindBearer, authn.KindIntrospection, authn.KindAPIKey, authn.KindBasic, authn.KindClientCert} {
		if _, err := policytest.ParseIdentity([]byte("{subject: alice, credential: "+string(kind)+"}"), time.Now()); err != nil {
			t.Error(err)
		}
	}
}
