package policytest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// FuzzParse: whatever a file holds, there are cases or faults, never both, and what
// there is can be run and told.
func FuzzParse(f *testing.F) {
	f.Add(archive, true)
	f.Add("cases: [{name: one, policy: staff, at: 2026-03-02T10:00:00Z, identity: {subject: a, auth_time: 5m, claims: {x: [1, {y: null}]}}, expect: allow}]", false)
	f.Add("defaults: {policy: staff, request: {path: /a, headers: {X-A: [b]}}, client: {address: 10.0.0.1}}\ncases:\n  - {name: one, identity: {subject: ''}, authorizer: outage, expect: {effect: step_up, step_up: {amr: []}, shadow: deny}}\n", false)
	f.Add("a: &a [*a]\n", false)
	f.Add(`{"cases": [{"name": "\ud83d\ude00 \/", "policy": "p", "identity": {"subject": "a"}, "expect": "deny"}]}`, false)
	engine, err := policy.NewEngine(policy.Options{})
	if err != nil {
		f.Fatal(err)
	}
	set, err := engine.Compile(policy.Policy{Name: "staff", Rules: []policy.Rule{
		{Name: "staff", Allow: &policy.Match{Groups: []string{"staff"}}, Require: policy.StepUp{AMR: []string{"otp"}}},
		{Name: "claims", Deny: &policy.Match{When: `identity.claims.x == 1`}},
	}})
	if err != nil {
		f.Fatal(err)
	}
	outside := f.TempDir()
	dir := filepath.Join(outside, "inside")
	f.Fuzz(func(t *testing.T, text string, archived bool) {
		name := "a.yaml"
		if archived {
			name = "a.txtar"
		}
		file, err := policytest.Parse(name, []byte(text), at())
		if err != nil {
			faults, ok := errors.AsType[policytest.Faults](err)
			if !ok || len(faults) == 0 || file != nil {
				t.Fatalf("%T %v, with %v", err, err, file)
			}
			return
		}
		if len(file.Cases) == 0 {
			t.Fatal("neither a case nor a fault")
		}
		names := map[string]bool{}
		for _, c := range file.Cases {
			if names[c.Name] || c.Name == "" || c.Policy == "" && c.Route == "" || c.Line < 1 || c.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("%+v", c)
			}
			names[c.Name] = true
		}
		report := policytest.Run(t.Context(), file, func(*policytest.Case) (*policy.Set, error) { return set, nil })
		var out strings.Builder
		if err := report.WriteTable(&out, true); err != nil {
			t.Fatal(err)
		}
		if shown := out.String(); strings.ContainsAny(shown, "\x1b\r\x00") {
			t.Fatalf("a terminal would obey %q", shown)
		}
		if err := (policytest.Reports{report}).WriteJUnit(&out); err != nil {
			t.Fatal(err)
		}
		if file.Archive == nil {
			return
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = file.Archive.Unpack(dir) // names may be too long for this system
		if all, err := os.ReadDir(outside); err != nil || len(all) != 1 {
			t.Fatalf("written outside: %v %v", all, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	})
}
