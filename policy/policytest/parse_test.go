package policytest_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

func TestACaseIsReadOverTheDefaults(t *testing.T) {
	file, err := policytest.Parse("tests/staff_cases.yaml", []byte(`
config: ../config.yaml
cases:
  - name: everything
    policy: staff
    route: app
    at: 2026-03-02T18:30:00+01:00
    identity:
      subject: alice
      email: alice@example.com
      name: Alice
      preferred_username: al
      groups: [staff, finance]
      acr: gold
      amr: [pwd, otp]
      auth_time: 5m
      provider: corp
      credential: bearer
      claims: {level: 3, ratio: 0.5, account: 9007199254740993, active: true, none: null, realm: {roles: [auditor]}}
    request:
      method: POST
      host: app.example.com
      path: /reports/new
      query: a=b
      headers: {x-tenant: a, X-List: [b, c]}
    client: {address: 10.0.0.1}
    expect: allow
  - name: the defaults
    route: other
    expect: {effect: step_up, step_up: {acr: [gold], max_age: 5m}, shadow: {effect: deny, rule: old, reason: x}}
  - name: key by key
    identity: {subject: bob, email: bob@example.com, email_verified: false, auth_time: "2026-03-01T00:00:00Z"}
    request: {path: /}
    expect: {effect: deny, rule: "", reason: r, message: m}
defaults:
  policy: guests
  at: "2026-03-02T10:00:00Z"
  identity: {issuer: https://id.example.com, subject: guest, auth_time: 1h}
  request: {method: HEAD, path: /start}
  client: {address: "2001:db8::1"}
`), at())
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) *string { return &s }
	age, deny := 5*time.Minute, policy.Deny
	monday := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	evening := time.Date(2026, 3, 2, 17, 30, 0, 0, time.UTC)
	want := &policytest.File{Name: "tests/staff_cases.yaml", Config: "config.yaml", Cases: []policytest.Case{
		{
			Name: "everything", Line: 4, Policy: "staff", Route: "app",
			Input: policy.Input{
				Route: "app", Now: evening,
				Identity: policy.Identity{
					Issuer: "https://id.example.com", Subject: "alice", Email: "alice@example.com", EmailVerified: true, Name: "Alice", PreferredUsername: "al",
					Groups: []string{"staff", "finance"}, ACR: "gold", AMR: []string{"pwd", "otp"}, AuthTime: evening.Add(-5 * time.Minute), Provider: "corp", Credential: "bearer",
				},
				Request: policy.Request{
					Method: "POST", Host: "app.example.com", Path: "/reports/new", RawQuery: "a=b",
					Header: map[string][]string{"X-Tenant": {"a"}, "X-List": {"b", "c"}},
				},
				Client: policy.Client{Address: netip.MustParseAddr("10.0.0.1")},
			},
			Expect: policytest.Expect{Effect: policy.Allow},
		},
		{
			Name: "the defaults", Line: 28, Route: "other",
			Input: policy.Input{
				Route: "other", Now: monday,
				Identity: policy.Identity{Issuer: "https://id.example.com", Subject: "guest", AuthTime: monday.Add(-time.Hour), Credential: "session"},
				Request:  policy.Request{Method: "HEAD", Path: "/start"},
				Client:   policy.Client{Address: netip.MustParseAddr("2001:db8::1")},
			},
			Expect: policytest.Expect{
				Effect: policy.NeedStepUp, StepUp: &policytest.ExpectStepUp{ACR: []string{"gold"}, MaxAge: &age},
				Shadow: &policytest.ExpectShadow{Effect: &deny, Rule: text("old"), Reason: text("x")},
			},
		},
		{
			Name: "key by key", Line: 31, Policy: "guests",
			Input: policy.Input{
				Now: monday,
				Identity: policy.Identity{
					Issuer: "https://id.example.com", Subject: "bob", Email: "bob@example.com", AuthTime: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Credential: "session",
				},
				Request: policy.Request{Method: "HEAD", Path: "/"},
				Client:  policy.Client{Address: netip.MustParseAddr("2001:db8::1")},
			},
			Expect: policytest.Expect{Effect: policy.Deny, Rule: text(""), Reason: text("r"), Message: text("m")},
		},
	}}
	ignore := cmpopts.IgnoreFields(policy.Identity{}, "Claims")
	addresses := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, file, ignore, addresses, cmpopts.IgnoreUnexported(policytest.Archive{})); diff != "" {
		t.Error(diff)
	}
	claims := file.Cases[0].Input.Identity.Claims
	for name, want := range map[string]string{
		"level": "float64 3", "ratio": "float64 0.5", "account": "json.Number 9007199254740993", "active": "bool true", "none": "<nil> <nil>",
		"realm": "map[string]interface {} map[roles:[auditor]]", "absent": "<nil> <nil>",
	} {
		if got := fmt.Sprintf("%T %[1]v", claims.Claim(name)); got != want {
			t.Errorf("claim %s is %s, want %s", name, got, want)
		}
	}
	if all := claims.All(); len(all) != 6 {
		t.Errorf("all claims: %v", all)
	}
}

func TestTimesThatAreNotWrittenAreNow(t *testing.T) {
	file, err := policytest.Parse("a.yaml", []byte("cases: [{name: one, policy: p, identity: {subject: a}, expect: deny}]"), at())
	if err != nil || !file.Cases[0].Input.Now.Equal(at()) || file.Config != "" {
		t.Errorf("%+v %v", file, err)
	}
}

// TestEveryFaultIsToldAtOnce: with its line, in the order of lines.
func TestEveryFaultIsToldAtOnce(t *testing.T) {
	_, err := policytest.Parse("bad.yaml", []byte(`config: [a]
surplus: 1
defaults:
  name: no
  at: yesterday
cases:
  - name: one
    name: two
    identity: {subject: a, sub: b, groups: staff, email_verified: "yes", auth_time: 5, credential: cookie, claims: [a]}
    expect: allow
  - {name: one, policy: p, identity: alice, expect: alow}
  - {policy: p, identity: {subject: a}}
  - name: requests
    policy: p
    identity: {issuer: x}
    request: {method: get, host: "App:80", path: "reports?a=b", query: "?a", headers: {"a b": c}, body: x}
    client: {address: "10.0.0.1:80"}
    expect: {rule: x, step_up: {max_age: 5}}
  - just text
  - name: answers
    policy: p
    identity: {subject: a}
    authorizer: {effect: outage, reason: x}
    expect: {effect: allow, step_up: {acr: gold}}
  - {name: null, policy: " ", identity: {subject: 5, acr: [], amr: [1]}, authorizer: maybe, expect: {effect: deny, shadow: perhaps}}
`), at())
	faults, ok := errors.AsType[policytest.Faults](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d %s", f.Line, f.Path))
		if f.File != "bad.yaml" || f.Problem == "" {
			t.Errorf("%+v", f)
		}
	}
	want := []string{
		"1 config", "2 surplus", "4 defaults.name", "5 defaults.at",
		"7 cases[0]", // neither policy nor route
		"8 cases[0].name",
		"9 cases[0].identity.sub", "9 cases[0].identity.groups", "9 cases[0].identity.email_verified", "9 cases[0].identity.auth_time",
		"9 cases[0].identity.credential", "9 cases[0].identity.claims",
		"11 cases[1].name", "11 cases[1].identity", "11 cases[1].expect",
		"12 cases[2]", "12 cases[2]",
		"13 cases[3].identity.subject",
		"16 cases[3].request.method", "16 cases[3].request.host", "16 cases[3].request.path", "16 cases[3].request.query",
		`16 cases[3].request.headers."a b"`, "16 cases[3].request.body",
		"17 cases[3].client.address",
		"18 cases[3].expect.step_up.max_age", "18 cases[3].expect.effect",
		"19 cases[4]",
		"23 cases[5].authorizer",
		"24 cases[5].expect.step_up.acr", "24 cases[5].expect.step_up",
		"25 cases[6].name", "25 cases[6].policy", "25 cases[6].identity.subject", "25 cases[6].identity.acr", "25 cases[6].identity.amr[0]",
		"25 cases[6].authorizer", "25 cases[6].expect.shadow",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%v", diff, err)
	}
}

func TestAFaultSaysWhatToWrite(t *testing.T) {
	const one = "cases: [{name: one, policy: p, identity: {subject: a}, expect: deny}]\n"
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":            {"", "a.yaml: the file is empty: write cases"},
		"a comment":          {"# nothing\n", "a.yaml: the file is empty"},
		"no cases":           {"config: a\n", "a.yaml:1: has no cases"},
		"an empty list":      {"cases: []\n", "a.yaml:1: cases: is empty"},
		"cases of text":      {"cases: all\n", "a.yaml:1: cases: must be a list, not text"},
		"a list":             {"- a\n", "a.yaml:1: must be a section of keys, not a list: write its keys below it: config, defaults, cases"},
		"no YAML":            {"cases: [\n", "a.yaml:1: this is not YAML"},
		"two documents":      {one + "---\n" + one, "a.yaml:2: a second document begins here"},
		"a broken second":    {one + "---\n\"", "this is not YAML"},
		"a tag":              {"cases: !x [a]\n", "a.yaml:1: YAML tags (!) are not supported here"},
		"the same name":      {"cases:\n- {name: one, policy: p, identity: {subject: a}, expect: deny}\n- {name: one, policy: p, identity: {subject: a}, expect: deny}\n", `a.yaml:3: cases[1].name: "one" is the name of the case on line 2 already`},
		"a duration":         {strings.Replace(one, "deny", "{effect: step_up, step_up: {max_age: soon}}", 1), `"soon" is not a duration: write a duration with its unit`},
		"a negative age":     {strings.Replace(one, "deny", "{effect: step_up, step_up: {max_age: -5m}}", 1), `"-5m" is not a duration`},
		"a time to come":     {strings.Replace(one, "subject: a", "subject: a, auth_time: -5m", 1), "is neither a time nor how long"},
		"a time of no zone":  {strings.Replace(one, "policy: p", "policy: p, at: 2026-03-02 10:00:00", 1), "write it with its zone"},
		"a misspelt effect":  {strings.Replace(one, "deny", "denied", 1), `"denied" is not one of its values: write allow, deny or step_up`},
		"a date in claims":   {strings.Replace(one, "subject: a", "subject: a, claims: {born: 2000-01-01}", 1), `must be what JSON can express, not a date: put it in quotes: "2000-01-01"`},
		"a number of YAML":   {strings.Replace(one, "subject: a", "subject: a, claims: {n: 0x1F}", 1), `"0x1F" is no number in JSON`},
		"infinity":           {strings.Replace(one, "subject: a", "subject: a, claims: {n: .inf}", 1), `".inf" is no number in JSON`},
		"a claim twice":      {strings.Replace(one, "subject: a", "subject: a, claims: {n: 1, n: 2}", 1), "claims.n: is given twice"},
		"a field twice":      {strings.Replace(one, "policy: p", "policy: p, request: {headers: {X-A: b, x-a: c}}", 1), "is given twice: names of fields have no letter case"},
		"a path with dots":   {strings.Replace(one, "policy: p", "policy: p, request: {path: /a/../b}", 1), "is not a path as policies see it"},
		"an encoded path":    {strings.Replace(one, "policy: p", "policy: p, request: {path: /a%20b}", 1), "write it decoded"},
		"a sign-in of no":    {strings.Replace(one, "policy: p", "policy: p, authorizer: {effect: step_up}", 1), "and the effect step_up belong together"},
		"an empty sign-in":   {strings.Replace(one, "policy: p", "policy: p, authorizer: {effect: step_up, step_up: {}}", 1), "asks for nothing"},
		"an answer of none":  {strings.Replace(one, "policy: p", "policy: p, authorizer: {reason: x}", 1), "authorizer.effect: is missing"},
		"no configuration":   {"config: ''\n" + one, "config: is empty"},
		"a key that is none": {"5: a\n" + one, "a key must be a plain word, not a number"},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := policytest.Parse("a.yaml", []byte(tt.text), at())
			if _, ok := errors.AsType[policytest.Faults](err); !ok || !strings.Contains(err.Error(), tt.want) || file != nil {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestASmallFileCanNotStandForALargeOne: aliases that multiply, nesting and size are
// refused before anything is made of them.
func TestASmallFileCanNotStandForALargeOne(t *testing.T) {
	bomb := "a: &a [x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c]\n", c, c, c-1, c-1)
	}
	const one = "cases: [{name: one, policy: p, identity: {subject: a, claims: {x: 1}}, expect: deny}]\n"
	for name, tt := range map[string]struct{ text, want string }{
		"a bomb":       {bomb, "anchors (&) and aliases (*) are not supported"},
		"a merge":      {"defaults: &d {policy: p}\ncases:\n  - {<<: *d, name: one, expect: deny}\n", "aliases (*) are not supported"},
		"a merge only": {"cases: [{<<: {policy: p}, name: one, expect: deny}]\n", "not a merge (<<)"},
		"a cycle":      {"cases: &c [*c]\n", "not supported here"},
		"nesting":      {strings.Replace(one, "x: 1", "x: "+strings.Repeat("[", 100)+strings.Repeat("]", 100), 1), "the nesting is too deep"},
		"size":         {one + strings.Repeat("#\n", 1<<19), "larger than 1 MiB"},
		"many faults":  {"cases: [" + strings.Repeat("a,", 1000) + "]", "there are more faults, which are not shown"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policytest.Parse("a.yaml", []byte(tt.text), at())
			faults, ok := errors.AsType[policytest.Faults](err)
			if !ok || !strings.Contains(err.Error(), tt.want) || len(faults) > 201 {
				t.Errorf("%d faults, want %s", len(faults), tt.want)
			}
		})
	}
}

func TestAnIdentityIsYAMLOrJSON(t *testing.T) {
	want := policy.Identity{Issuer: "https://id.example.com", Subject: "alice", Name: `😀 "A\`, Email: "a@example.com", EmailVerified: true, Groups: []string{"staff"}, AuthTime: at().Add(-time.Hour), Credential: "session"}
	for name, text := range map[string]string{
		"YAML": "issuer: https://id.example.com\nsubject: alice\nname: \"😀 \\\"A\\\\\"\nemail: a@example.com\ngroups: [staff]\nauth_time: 1h\nclaims: {department: finance}\n",
		"JSON": "{\n\t\"issuer\": \"https:\\/\\/id.example.com\",\n\t\"subject\": \"alice\", \"name\": \"\\ud83d\\ude00 \\\"A\\\\\",\"email\": \"a@example.com\",\n\t\"groups\": [\"staff\"],\n\t\"auth_time\": \"1h\",\n\t\"claims\": {\"department\": \"finance\"}\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := policytest.ParseIdentity([]byte(text), at())
			if err != nil {
				t.Fatal(err)
			}
			if got.Claims.Claim("department") != "finance" {
				t.Errorf("claims: %v", got.Claims)
			}
			got.Claims = nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for text, want := range map[string]string{
		"":                        "the file is empty",
		"alice":                   "line 1: must be a section of keys, not text",
		"{groups: [staff]}":       "subject: is missing",
		"{subject: a}\n---\n{}":   "a second document",
		"subject: a\ngrups: [a]":  "line 2: grups: is not a known key",
		"{subject: a, claims: b}": "line 1: claims: must be a section of claims",
	} {
		id, err := policytest.ParseIdentity([]byte(text), at())
		if _, ok := errors.AsType[policytest.Faults](err); !ok || !strings.Contains(err.Error(), want) || id.Subject != "" {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
