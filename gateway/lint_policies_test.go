package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// ofTheDocs is when the examples of the documentation are read.
//

var ofTheDocs = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

const lintHead = `server: {public_url: "https://app.example.com"}
login:
  providers:
    - {name: corp, type: oidc, issuer: "https://id.example.com", client_id: app, client_secret: s}
    - {name: github, type: github, client_id: app, client_secret: s}
    - {name: guests, type: github, client_id: app, client_secret: s, organizations: [friends]}
tokens:
  issuers: [{issuer: "https://id.example.com", audiences: [api]}]
`

// lint returns findings in short: line, code and path.
func lintShort(t *testing.T, text string) []string {
	t.Helper()
	var short []string
	for _, f := range lintText(t, text) {
		if f.File != "config.yaml" || f.Policy == "" || f.Problem == "" || f.Why == "" || f.Fix == "" {
			t.Errorf("%+v", f)
		}
		short = append(short, fmt.Sprintf("%d %s %s %s", f.Line, f.Severity, f.Code, f.Path))
	}
	slices.Sort(short)
	return short
}

func TestPoliciesAreLintedWhereTheyAreUsed(t *testing.T) {
	t.Parallel()
	head := lintHead
	lines := strings.Count(head, "\n")
	const iss = `, headers: [{name: X-Issuer, claim: iss}]`
	tests := map[string]struct {
		policies string // from the first line after the head
		want     []string
	}{
		"a policy that no route uses": {
			`policies:
  - name: old
    rules: [{allow: {emails: [bob@example.com]}}]
routes: [{name: app, upstream: "builtin:echo", public: true}]`,
			[]string{"2 warning unused_policy policies[0].name"},
		},
		"anybody can have an account where any user may come in": {
			`routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated, providers: [corp]}
  - {name: open, paths: [/open], upstream: "builtin:echo", policy: authenticated, providers: [github]}
  - {name: friends, paths: [/friends], upstream: "builtin:echo", policy: authenticated, providers: [guests]}`,
			[]string{"3 warning anyone_signed_in routes[1].policy"},
		},
		"a group of whichever provider": {
			`policies:
  - name: p
    rules:
      - {allow: {groups: [admins]}}
      - {allow: {groups: [staff], issuers: ["https://id.example.com"]}}
routes: [{name: app, upstream: "builtin:echo", policy: p` + iss + `}]`,
			[]string{"4 warning any_issuer policies[0].rules[0].allow.groups"},
		},
		"a group of the only provider of the route": {
			`policies: [{name: p, rules: [{allow: {groups: [admins]}}]}]
routes: [{name: app, upstream: "builtin:echo", policy: p, auth: [session, bearer], providers: [corp]` + iss + `}]`,
			nil,
		},
		"conditions that the credentials of the route can't meet": {
			`policies:
  - name: p
    rules:
      - {allow: {emails: [a@example.com]}}
      - allow: {emails: [b@example.com], scopes: [read]}
      - allow: {emails: [c@example.com], when: 'identity.credential == "bearer"'}
      - allow: {emails: [d@example.com], when: 'identity.provider in ["github", "hub"]'}
      - allow: {emails: [e@example.com], issuers: ["https://github.com"]}
routes: [{name: app, upstream: "builtin:echo", policy: p, auth: [session], providers: [corp]}]`,
			[]string{
				"5 warning unreachable policies[0].rules[1]", "6 warning unreachable policies[0].rules[2]",
				"7 warning unreachable policies[0].rules[3]", "8 warning unreachable policies[0].rules[4]",
			},
		},
		"and can elsewhere": {
			`policies:
  - name: p
    rules:
      - {allow: {emails: [a@example.com], scopes: [read]}}
      - {allow: {emails: [b@example.com], when: 'identity.provider in ["github", "hub"]'}}
      - {allow: {emails: [c@example.com], issuers: ["https://chosen.by.the.operator"]}}
routes:
  - {name: app, upstream: "builtin:echo", policy: p, auth: [session]` + iss + `}
  - {name: api, paths: [/api], upstream: "builtin:echo", policy: p, auth: [bearer, api_key]}`,
			nil,
		},
		"paths that another route has": {
			`policies:
  - name: p
    rules:
      - {name: here, allow: {emails: [a@example.com], paths: [/docs, /admin/users]}}
      - name: elsewhere
        allow: {emails: [a@example.com], paths: ["=/admin/x"]}
routes:
  - {name: app, upstream: "builtin:echo", policy: p, providers: [corp]}
  - {name: admin, paths: [/admin], upstream: "builtin:echo", public: true}`,
			[]string{"4 warning unreachable policies[0].rules[0].allow.paths[1]", "5 warning unreachable policies[0].rules[1]"},
		},
		"a sign-in that nobody can be asked for": {
			`policies:
  - name: p
    rules:
      - {allow: {emails: [a@example.com]}, require: {max_age: 1h}}
  - name: q
    rules:
      - {allow: {emails: [a@example.com]}, require: {max_age: 1h}}
routes:
  - {name: app, upstream: "builtin:echo", policy: p, auth: [bearer]}
  - {name: keys, paths: [/keys], upstream: "builtin:echo", policy: q, auth: [api_key]}`,
			[]string{"4 note step_up_without_page policies[0].rules[0].require", "7 warning unreachable policies[1].rules[0]"},
		},
		"everybody at a provider that takes everybody": {
			`policies:
  - name: p
    rules:
      - {allow: {issuers: ["https://id.example.com"]}}
      - {allow: {issuers: ["https://id.example.com", "urn:sallyport:github"], methods: [GET]}}
      - {allow: {issuers: ["urn:sallyport:guests"]}}
routes: [{name: app, upstream: "builtin:echo", policy: p` + iss + `}]`,
			[]string{"5 warning anyone_signed_in policies[0].rules[1].allow"},
		},
		"a route that requires a sign-in of tokens": {
			`routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated, auth: [bearer], require: {acr: [mfa]}}
  - {name: both, paths: [/both], upstream: "builtin:echo", policy: authenticated, auth: [session, bearer], providers: [corp], require: {acr: [mfa]}}`,
			[]string{"2 note step_up_without_page routes[0].require"},
		},
		"hosts of other routes": {
			`policies:
  - name: p
    rules:
      - {allow: {emails: [a@example.com], when: 'request.host == "app.example.com"'}}
      - allow: {emails: [b@example.com], when: 'request.host == "other.example.com"'}
routes: [{name: app, upstream: "builtin:echo", policy: p, providers: [corp]}]`,
			[]string{
				"4 note host_by_text policies[0].rules[0].allow.when", "5 note host_by_text policies[0].rules[1].allow.when",
				"5 warning unreachable policies[0].rules[1]",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []string
			for _, w := range tt.want {
				var line int
				var rest string
				if _, err := fmt.Sscanf(w, "%d", &line); err != nil {
					t.Fatal(err)
				}
				_, rest, _ = strings.Cut(w, " ")
				want = append(want, fmt.Sprintf("%d %s", line+lines, rest))
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, lintShort(t, head+tt.policies+"\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestTheCookbookIsLinted: of policies that are right nothing is said that could not
// be explained. What is said of them is listed here, each with its reason.
func TestTheCookbookIsLinted(t *testing.T) {
	t.Parallel()
	explained := map[string]string{
		// An error lets nobody in, and that is how the examples want it.
		"tenants/one's own tenant: optional_claim":  "",
		"by-host/one's own host: optional_claim":    "",
		"branches/one's own branch: optional_claim": "",
		// It shows what an error does.
		"branches/no old clients: optional_claim": "",
		// The text says who sets the header, and that only he may reach the gateway.
		"by-country/other countries: client_controlled": "",
		// A policy in shadow is what they are about.
		"legacy/: not_enforced": "",
		// The names of files begin with the folder.
		"vault/other people's files: path_by_text": "",
	}
	for _, page := range []string{"../docs/policy-cookbook.md", "../docs/policies.md", "../docs/policy-language.md"} {
		for _, e := range examplesOf(t, page) {
			if e.policies == "" {
				continue
			}
			cfg, err := config.ParsePolicies("", "policies", []byte(e.policies))
			if err != nil {
				t.Fatal(err)
			}
			found, err := gateway.LintPolicies(cfg, ofTheDocs)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				key := fmt.Sprintf("%s/%s: %s", f.Policy, f.Rule, f.Code)
				if _, ok := explained[key]; !ok {
					t.Errorf("%s: %s: %s: %s", e.title, f.Severity, key, f.Problem)
				}
				explained[key] = e.title
			}
		}
	}
	for key, where := range explained {
		if where == "" {
			t.Errorf("nothing is said any more of %s", key)
		}
	}
}
