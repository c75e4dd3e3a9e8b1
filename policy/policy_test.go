package policy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/policy"
)

func compile(tb testing.TB, rules ...policy.Rule) *policy.Set {
	tb.Helper()
	s, err := newEngine(tb).Compile(policy.Policy{Name: "test", Rules: rules})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// mapClaims are claims as a JSON library decodes them.
type mapClaims map[string]any

func (c mapClaims) All() map[string]any { return maps.Clone(c) }

func (c mapClaims) Claim(name string) any { return c[name] }

func effect(tb testing.TB, s *policy.Set, id policy.Identity) policy.Effect {
	tb.Helper()
	d, err := s.Evaluate(tb.Context(), &policy.Input{Identity: id})
	if err != nil {
		tb.Fatal(err)
	}
	return d.Effect
}

func TestPrecedence(t *testing.T) {
	staff := policy.Rule{Name: "staff", Allow: &policy.Match{Groups: []string{"staff"}}}
	admins := policy.Rule{Name: "admins", Allow: &policy.Match{Groups: []string{"admin"}}}
	suspended := policy.Rule{Name: "suspended", Deny: &policy.Match{Groups: []string{"suspended"}}}

	tests := map[string]struct {
		rules  []policy.Rule
		groups []string
		want   policy.Decision
	}{
		"a matching allow rule allows": {
			[]policy.Rule{staff},
			[]string{"staff"},
			policy.Decision{Effect: policy.Allow, Rule: "staff", Reason: policy.ReasonAllowedByRule},
		},
		"any of several allow rules is enough": {
			[]policy.Rule{staff, admins},
			[]string{"admin"},
			policy.Decision{Effect: policy.Allow, Rule: "admins", Reason: policy.ReasonAllowedByRule},
		},
		"where no rule matches, access is denied": {
			[]policy.Rule{staff},
			[]string{"guests"},
			policy.Decision{Reason: policy.ReasonNoRuleMatched},
		},
		"a deny rule wins, written after the allow rule": {
			[]policy.Rule{staff, suspended},
			[]string{"staff", "suspended"},
			policy.Decision{Rule: "suspended", Reason: policy.ReasonDeniedByRule},
		},
		"a deny rule wins, written before the allow rule": {
			[]policy.Rule{suspended, staff},
			[]string{"staff", "suspended"},
			policy.Decision{Rule: "suspended", Reason: policy.ReasonDeniedByRule},
		},
		"a deny rule that does not match allows nobody": {
			[]policy.Rule{suspended},
			[]string{"staff"},
			policy.Decision{Reason: policy.ReasonNoRuleMatched},
		},
		"a rule without a name is called by its position": {
			[]policy.Rule{suspended, {Allow: staff.Allow}},
			[]string{"staff"},
			policy.Decision{Effect: policy.Allow, Rule: "rules[1]", Reason: policy.ReasonAllowedByRule},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := &policy.Input{Identity: policy.Identity{Subject: "alice", Groups: tt.groups}}
			got, err := compile(t, tt.rules...).Evaluate(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestZeroValuesDeny(t *testing.T) {
	alice := &policy.Input{Identity: policy.Identity{Subject: "alice"}}
	anon := &policy.Input{Identity: policy.Identity{Groups: []string{"staff"}}}
	staff := compile(t, policy.Rule{Allow: &policy.Match{Groups: []string{"staff"}}})

	tests := map[string]struct {
		set     *policy.Set
		in      *policy.Input
		reason  string
		wantErr bool
	}{
		"a nil set":                {nil, alice, policy.ReasonNoRuleMatched, false},
		"the zero set":             {&policy.Set{}, alice, policy.ReasonNoRuleMatched, false},
		"no input":                 {staff, nil, policy.ReasonPolicyError, true},
		"groups without a subject": {staff, anon, policy.ReasonUnproven, false},
		"nobody, where any proven user may enter": {policy.Authenticated(), &policy.Input{}, policy.ReasonUnproven, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := tt.set.Evaluate(t.Context(), tt.in)
			if (err != nil) != tt.wantErr {
				t.Errorf("error %v, wanted one: %v", err, tt.wantErr)
			}
			if d.Effect != policy.Deny || d.Reason != tt.reason {
				t.Errorf("got %v, %s; want deny, %s", d.Effect, d.Reason, tt.reason)
			}
		})
	}
	var zero policy.Decision
	if zero.Effect != policy.Deny {
		t.Error("the zero decision does not deny")
	}
}

func TestAuthenticatedAllowsAnyProvenUser(t *testing.T) {
	d, err := policy.Authenticated().Evaluate(t.Context(), &policy.Input{Identity: policy.Identity{Subject: "alice"}})
	want := policy.Decision{Effect: policy.Allow, Reason: policy.ReasonAuthenticated}
	if diff := cmp.Diff(want, d); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestFieldsAreAndedAndValuesOred(t *testing.T) {
	s := compile(t, policy.Rule{Allow: &policy.Match{
		Groups: []string{"staff", "admin"},
		Claims: []policy.Claim{
			{Name: "department", Values: []string{"sales", "support"}},
			{Name: "region", Values: []string{"eu"}},
		},
	}})
	tests := map[string]struct {
		groups []string
		claims map[string]any
		want   policy.Effect
	}{
		"every field fits":      {[]string{"admin"}, map[string]any{"department": "support", "region": "eu"}, policy.Allow},
		"one claim does not":    {[]string{"admin"}, map[string]any{"department": "support", "region": "us"}, policy.Deny},
		"one claim is absent":   {[]string{"admin"}, map[string]any{"region": "eu"}, policy.Deny},
		"there are no claims":   {[]string{"admin"}, nil, policy.Deny},
		"the group is missing":  {[]string{"guests"}, map[string]any{"department": "support", "region": "eu"}, policy.Deny},
		"there are no groups":   {nil, map[string]any{"department": "support", "region": "eu"}, policy.Deny},
		"groups and claims mix": {[]string{"support"}, map[string]any{"department": "staff", "region": "eu"}, policy.Deny},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := effect(t, s, policy.Identity{Subject: "alice", Groups: tt.groups, Claims: mapClaims(tt.claims)}); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// An address that merely looks like the listed one, or that the provider does
// not vouch for, is how CVE-2026-40574 and its kin let strangers in.
func TestEmailLookAlikesAreNotTheListedAddress(t *testing.T) {
	s := compile(t, policy.Rule{Allow: &policy.Match{Emails: []string{"a@Example.test"}}})
	tests := map[string]struct {
		email    string
		verified bool
		want     policy.Effect
	}{
		"the address itself":                  {"a@example.test", true, policy.Allow},
		"the domain in capitals":              {"a@EXAMPLE.test", true, policy.Allow},
		"not verified":                        {"a@example.test", false, policy.Deny},
		"two at signs":                        {"a@evil.com@example.test", true, policy.Deny},
		"the domain as a prefix":              {"a@example.test.evil", true, policy.Deny},
		"a subdomain":                         {"a@sub.example.test", true, policy.Deny},
		"a quoted local part":                 {`"a@example.test"@evil.com`, true, policy.Deny},
		"a trailing space":                    {"a@example.test ", true, policy.Deny},
		"no local part":                       {"@example.test", true, policy.Deny},
		"two addresses":                       {"a@example.test,b@evil.com", true, policy.Deny},
		"no address":                          {"", true, policy.Deny},
		"a letter that folds to k in Unicode": {"a@example.te\u017ft", true, policy.Deny},
		"longer than any address":             {"a@example.test" + string(make([]byte, 400)), true, policy.Deny},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := effect(t, s, policy.Identity{Subject: "alice", Email: tt.email, EmailVerified: tt.verified}); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestGroupsAreComparedWholeAndExactly(t *testing.T) {
	for _, n := range []int{1, 20} { // scanned, and looked up
		list := []string{"admin"}
		for i := range n - 1 {
			list = append(list, fmt.Sprint("other", i))
		}
		s := compile(t, policy.Rule{Allow: &policy.Match{Groups: list}})
		for _, group := range []string{"ADMIN", "not-admin", "admin ", " admin", "users admin", "admin,users", "", "adm"} {
			if got := effect(t, s, policy.Identity{Subject: "alice", Groups: []string{group}}); got != policy.Deny {
				t.Errorf("of %d groups, %q passed for admin", n, group)
			}
		}
		if got := effect(t, s, policy.Identity{Subject: "alice", Groups: []string{"", "users", "admin"}}); got != policy.Allow {
			t.Errorf("of %d groups, admin did not pass", n)
		}
	}
}

func TestClaimValues(t *testing.T) {
	tests := map[string]struct {
		claims string // JSON
		name   string
		value  string
		want   policy.Effect
	}{
		"a string":                                {`{"a":"x"}`, "a", "x", policy.Allow},
		"a string in other letter case":           {`{"a":"X"}`, "a", "x", policy.Deny},
		"true":                                    {`{"a":true}`, "a", "true", policy.Allow},
		"false is not true":                       {`{"a":false}`, "a", "true", policy.Deny},
		"a whole number":                          {`{"a":42}`, "a", "42", policy.Allow},
		"a whole number with a point":             {`{"a":42.0}`, "a", "42", policy.Allow},
		"a whole number with an exponent":         {`{"a":4.2e1}`, "a", "42", policy.Allow},
		"a fraction":                              {`{"a":-1.50}`, "a", "-1.5", policy.Allow},
		"zero":                                    {`{"a":0}`, "a", "0", policy.Allow},
		"minus zero":                              {`{"a":-0}`, "a", "0", policy.Allow},
		"a list that holds it":                    {`{"a":["y","x"]}`, "a", "x", policy.Allow},
		"a list that holds the number":            {`{"a":[1,2]}`, "a", "2", policy.Allow},
		"a list that does not":                    {`{"a":["xy"]}`, "a", "x", policy.Deny},
		"an empty list":                           {`{"a":[]}`, "a", "x", policy.Deny},
		"a list in a list":                        {`{"a":[["x"]]}`, "a", "x", policy.Deny},
		"an object with the value as its key":     {`{"a":{"x":true}}`, "a", "x", policy.Deny},
		"null":                                    {`{"a":null}`, "a", "null", policy.Deny},
		"absent":                                  {`{}`, "a", "x", policy.Deny},
		"a member of an object":                   {`{"realm_access":{"roles":["x"]}}`, "realm_access.roles", "x", policy.Allow},
		"a member two objects deep":               {`{"a":{"b":{"c":"x"}}}`, "a.b.c", "x", policy.Allow},
		"a name with dots of its own":             {`{"https://a.test/roles":["x"]}`, "https://a.test/roles", "x", policy.Allow},
		"the literal name comes before the path":  {`{"a.b":"y","a":{"b":"x"}}`, "a.b", "x", policy.Deny},
		"a path through a string":                 {`{"a":"x"}`, "a.b", "x", policy.Deny},
		"a null of the literal name is as absent": {`{"a.b":null,"a":{"b":"x"}}`, "a.b", "x", policy.Allow},
		"a null inside an object is not":          {`{"a":{"b.c":null,"b":{"c":"x"}}}`, "a.b.c", "x", policy.Deny},
		"a path through a list":                   {`{"a":[{"b":"x"}]}`, "a.b", "x", policy.Deny},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := compile(t, policy.Rule{Allow: &policy.Match{Claims: []policy.Claim{{Name: tt.name, Values: []string{tt.value}}}}})
			for kind, claims := range decodings(t, tt.claims) {
				if got := effect(t, s, policy.Identity{Subject: "alice", Claims: mapClaims(claims)}); got != tt.want {
					t.Errorf("%s: got %v, want %v", kind, got, tt.want)
				}
			}
		})
	}
}

// Both ways in which Go decodes JSON numbers must lead to the same decision.
func decodings(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	var floats, numbers map[string]any
	if err := json.Unmarshal([]byte(text), &floats); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(jsonReader(text))
	d.UseNumber()
	if err := d.Decode(&numbers); err != nil {
		t.Fatal(err)
	}
	return map[string]map[string]any{"float64": floats, "json.Number": numbers}
}

// Two account numbers that differ in the last digit become one float64. Whoever
// has the neighbour's number must not pass for him.
func TestNumbersThatLostDigitsMatchNothing(t *testing.T) {
	for _, mine := range []string{"9007199254740992", "9007199254740993"} {
		s := compile(t, policy.Rule{Allow: &policy.Match{Claims: []policy.Claim{{Name: "id", Values: []string{mine}}}}})
		for _, sent := range []any{float64(9007199254740992), json.Number("9.007199254740993e15")} {
			if got := effect(t, s, policy.Identity{Subject: "x", Claims: mapClaims{"id": sent}}); got != policy.Deny {
				t.Errorf("%v passed for %s", sent, mine)
			}
		}
		for _, sent := range []any{json.Number(mine), mine} {
			if got := effect(t, s, policy.Identity{Subject: "x", Claims: mapClaims{"id": sent}}); got != policy.Allow {
				t.Errorf("%#v did not pass for %s", sent, mine)
			}
		}
	}
}

// The names of the identity's own fields never reach into the other claims,
// where an unverified address could stand.
func TestClaimNamesOfTheIdentityMeanItsFields(t *testing.T) {
	id := policy.Identity{
		Issuer: "https://id.test", Subject: "alice", Email: "a@example.test", Groups: []string{"staff"},
		Claims: mapClaims{"email": "root@example.test", "email_verified": true, "groups": "admin", "sub": "root", "iss": "https://evil.test"},
	}
	for name, values := range map[string][2]string{
		"iss": {"https://id.test", "https://evil.test"}, "sub": {"alice", "root"}, "groups": {"staff", "admin"},
		"email_verified": {"false", "true"},
	} {
		for i, want := range []policy.Effect{policy.Allow, policy.Deny} {
			s := compile(t, policy.Rule{Allow: &policy.Match{Claims: []policy.Claim{{Name: name, Values: values[i : i+1]}}}})
			if got := effect(t, s, id); got != want {
				t.Errorf("%s = %s: got %v, want %v", name, values[i], got, want)
			}
		}
	}
	s := compile(t, policy.Rule{Allow: &policy.Match{Claims: []policy.Claim{{Name: "email", Values: []string{"a@example.test", "root@example.test"}}}}})
	if got := effect(t, s, id); got != policy.Deny {
		t.Error("an unverified address passed as the claim email")
	}
}

// Session stores and token libraries decode to other Go types than JSON does.
func TestClaimsOfOtherGoTypes(t *testing.T) {
	for want, claim := range map[string]any{"1": int(1), "-2": int64(-2), "18446744073709551615": uint64(1<<64 - 1), "x": []string{"y", "x"}} {
		s := compile(t, policy.Rule{Allow: &policy.Match{Claims: []policy.Claim{{Name: "a", Values: []string{want}}}}})
		if got := effect(t, s, policy.Identity{Subject: "alice", Claims: mapClaims{"a": claim}}); got != policy.Allow {
			t.Errorf("%#v did not pass for %s", claim, want)
		}
		if got := effect(t, s, policy.Identity{Subject: "alice", Claims: mapClaims{"a": []byte(want)}}); got != policy.Deny {
			t.Errorf("bytes passed for %s", want)
		}
	}
}

func TestEffectsHaveWords(t *testing.T) {
	for e, want := range map[policy.Effect]string{policy.Deny: "deny", policy.Allow: "allow", policy.NeedStepUp: "step_up", 200: "deny"} {
		if got := e.String(); got != want {
			t.Errorf("%d: %s", e, got)
		}
	}
}
