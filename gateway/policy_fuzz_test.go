package gateway_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// FuzzPolicies: whatever a file of policies says, it is refused with faults that
// name the place, or it compiles, and lets nobody in who is nobody.
func FuzzPolicies(f *testing.F) {
	for _, text := range []string{
		"policies: [{name: staff, rules: [{allow: {groups: [staff]}}]}]",
		"policies:\n  - name: a\n    mode: shadow\n    message: m\n    rules:\n      - {name: r, when: 'true', allow: {emails: [a@b.test], hours: ['mon-fri 08:00-18:00 Europe/Berlin']}, require: {acr: [x], max_age: 5m}}\n",
		"policies: [{name: a, rules: [{deny: {cidr: [10.0.0.0/8], claims: [{name: a.b, values: ['1']}]}, reason: no_way, message: x}]}]",
		"policies: [{name: a, authorizer: {url: 'http://127.0.0.1:8181/v1/data/a', timeout: 1s, cache: 5s}}]",
		"policies: [{name: a, rules: [{allow: {paths: ['~/x/.*', =/y, /z/], methods: [GET], scopes: [read], unless: 'identity.emial == \"\"'}}]}]",
		"policies: [{name: &x a, rules: [*x]}]", "policies: {}", "policies: [{name: a, rules: []}]", "- a", "policies:\n  - <<: {name: a}\n",
	} {
		f.Add(text)
	}
	if text, err := os.ReadFile("../config.yaml"); err == nil {
		if _, policies, ok := strings.Cut(string(text), "\npolicies:"); ok {
			policies, _, _ = strings.Cut(policies, "\nroutes:")
			f.Add("policies:" + policies)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "_file") {
			return // it would read files of this machine
		}
		cfg, err := config.ParsePolicies("", "policies.yaml", []byte(text))
		var compiled *gateway.Policies
		if err == nil {
			compiled, err = gateway.CompilePolicies(cfg, policytest.StandIn())
		}
		if err != nil {
			faults, ok := errors.AsType[config.Faults](err)
			if !ok || len(faults) == 0 || faults[0].Problem == "" {
				t.Fatalf("a fault without a place: %v", err)
			}
			return
		}
		for _, set := range compiled.All() {
			for _, in := range []*policy.Input{nil, {}, {Request: policy.Request{Method: "GET", Path: "/"}}} {
				if d, _ := set.Evaluate(t.Context(), in); d.Effect == policy.Allow {
					t.Fatalf("policy %s lets nobody in particular in", set.Name())
				}
			}
			set.Explain(t.Context(), &policy.Input{Identity: policy.Identity{Subject: "x"}})
		}
	})
}
