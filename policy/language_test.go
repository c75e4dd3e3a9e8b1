package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/policy"
)

// request is the Input that the tests of expressions start from.
func request() *policy.Input {
	return &policy.Input{
		Route: "app",
		Identity: policy.Identity{
			Issuer: "https://id.example.com", Subject: "alice", Email: "Alice@Example.com", EmailVerified: true,
			Groups: []string{"staff", "team-red"}, ACR: "mfa", AMR: []string{"pwd", "otp"}, AuthTime: monday.Add(-time.Minute),
			Provider: "corp", Credential: "session",
			Claims: mapClaims{
				"department": "finance", "level": 3.0, "active": true, "realm": map[string]any{"roles": []any{"auditor"}}, "scope": "read write",
			},
		},
		Request: policy.Request{
			Method: "GET", Host: "app.example.com", Path: "/reports/7", RawQuery: "role=user&x=1%2B1",
			Header: map[string][]string{"X-Tenant": {"a", "b"}, "Cookie": {"secret=1"}, "Authorization": {"Bearer secret"}},
		},
		Client: policy.Client{Address: netip.MustParseAddr("10.1.2.3")},
		Now:    monday,
	}
}

// monday is a Monday at ten in the morning, UTC.
var monday = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

func when(expr string) policy.Rule {
	return policy.Rule{Name: "x", Allow: &policy.Match{When: expr}}
}

func TestExpressions(t *testing.T) {
	for _, tt := range []struct {
		expr string
		want bool
	}{
		{`request.method == "GET" && request.path.startsWith("/reports/")`, true},
		{`request.host == "app.example.com" && route.name == "app"`, true},
		{`identity.email == "alice@example.com"`, true}, // in lower case
		{`identity.email.endsWith("@example.com")`, true},
		{`"staff" in identity.groups`, true},
		{`"admin" in identity.groups`, false},
		{`identity.groups.exists(g, g.startsWith("team-"))`, true},
		{`sets.contains(identity.groups, ["staff", "team-red"])`, true},
		{`identity.claims.department == "finance"`, true},
		{`identity.claims.department in ["hr", "finance"]`, true},
		{`"auditor" in identity.claims.realm.roles`, true},
		{`identity.claims["level"] >= 3`, true},
		{`identity.claims.active == true`, true},
		{`has(identity.claims.missing)`, false},
		{`has(identity.claims.realm.roles)`, true},
		{`"department" in identity.claims`, true},
		{`identity.claims.?missing.orValue("none") == "none"`, true},
		{`identity.claims.exists(name, name == "level")`, true},
		{`identity.claims.?department.orValue("").startsWith("fin")`, true},
		{`identity.claims.?department.orValue("").matches("fin.*")`, true},
		{`"auditor" in identity.claims.?realm.?roles.orValue([])`, true},
		{`"auditor" in identity.claims.?missing.?roles.orValue([])`, false},
		{`identity.claims.?missing.orValue([]).exists(x, x == "y")`, false},
		{`"write" in identity.scopes`, true},
		{`request.query.role == "user"`, true},
		{`request.query["x"] == "1+1"`, true},
		{`"y" in request.query`, false},
		{`request.headers["x-tenant"] == "a, b"`, true},
		{`"cookie" in request.headers || "authorization" in request.headers`, false},
		{`cidr("10.0.0.0/8").containsIP(client.address)`, true},
		{`cidr("192.168.0.0/16").containsIP(client.address)`, false},
		{`now - identity.auth_time < duration("5m")`, true},
		{`now.getHours("Europe/Berlin") == 11`, true},
		{`identity.acr == "mfa" && "otp" in identity.amr`, true},
		{`identity.provider == "corp" && identity.credential == "session"`, true},
		// The whole text, never a part of it.
		{`request.path.matches("/reports/[0-9]+")`, true},
		{`request.path.matches("reports")`, false},
		{`request.path.matches("/reports")`, false},
		{`request.path.matches("/x|/reports/7")`, true},
		{`matches(request.path, "/reports/.")`, true},
		{`request.path.matches("(?m)^7$")`, false},
	} {
		t.Run(tt.expr, func(t *testing.T) {
			d, err := compile(t, when(tt.expr)).Evaluate(t.Context(), request())
			if err != nil || (d.Effect == policy.Allow) != tt.want {
				t.Errorf("allow %v: got %v, %v", tt.want, d, err)
			}
			// unless is the opposite.
			d, err = compile(t, policy.Rule{Allow: &policy.Match{Unless: tt.expr}}).Evaluate(t.Context(), request())
			if err != nil || (d.Effect == policy.Allow) == tt.want {
				t.Errorf("unless: got %v, %v", d, err)
			}
		})
	}
}

func TestExpressionsThatAreWrongAreToldAtLoad(t *testing.T) {
	bomb := "[" + strings.Repeat("1,", 1000) + "1]"
	for _, tt := range []struct{ expr, problem, fix string }{
		{`identity.emial == "x"`, "there is no identity.emial", "did you mean identity.email?"},
		{`request.pth == "/"`, "there is no request.pth", "did you mean request.path?"},
		{`identity.something_else == "/"`, "there is no identity.something_else", "write one of identity.issuer, identity.subject"},
		{`user.email == "x"`, "undeclared reference to 'user'", ""},
		{`has(identity.email)`, "asks whether there is identity.email, which is always there", `identity.email != ""`},
		{`request.path.startWith("/x")`, "undeclared reference to 'startWith'", ""},
		{`request.path`, "is a string and neither true nor false", ""},
		{`identity.claims.admin`, "might be anything", "== true"},
		{`request.path ==`, "is no expression", ""},
		{`request.path == 7`, "found no matching overload", ""},
		{`request.path.matches(identity.subject)`, "the pattern of matches() must be written as text", ""},
		{`request.path.matches("(")`, "missing closing )", ""},
		{`request.path.matches("a)|(b")`, "unexpected )", ""},
		{`request.path.matches("` + strings.Repeat("a", 600) + `")`, "longer than 512 bytes", ""},
		{strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500), "is no expression", ""},
		{`"` + strings.Repeat("x", 5000) + `" == ""`, "is no expression", ""},
		{bomb + `.all(a, ` + bomb + `.all(b, ` + bomb + `.all(c, a + b + c > 0)))`, "is no expression", ""}, // too long
		{`identity.groups.all(a, identity.groups.all(b, a + b != "x"))`, "could take too long", "loops"},
		{`identity.groups.all(a, identity.groups.all(b, identity.groups.all(c, a + b + c != "x")))`, "is wrong", ""},
		{`request.headers.all(a, request.path.contains(request.headers[a]))`, "could take too long", ""},
		{`identity.claims.?a.orValue([]).all(a, identity.claims.?b.orValue([]).all(b, a + b != "x"))`, "could take too long", ""},
	} {
		t.Run(tt.expr[:min(len(tt.expr), 60)], func(t *testing.T) {
			s, err := newEngine(t).Compile(policy.Policy{Name: "p", Rules: []policy.Rule{when(tt.expr)}})
			if s != nil || err == nil || !strings.Contains(err.Error(), tt.problem) || !strings.Contains(err.Error(), tt.fix) {
				t.Errorf("want %q and %q, got %v", tt.problem, tt.fix, err)
			}
			if err != nil && (!strings.HasPrefix(err.Error(), `policy "p": rules[0].allow.when ("x"): `) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("want one fault, with its place: %v", err)
			}
		})
	}
}

// TestExpressionsThatGrowAreRefusedAtLoad: text that makes text a thousand times as
// long, some times over, is no matter of run time.
func TestExpressionsThatGrowAreRefusedAtLoad(t *testing.T) {
	long := strings.Repeat("a", 900)
	grow := `.replace("a", "` + long + `")`
	for _, expr := range []string{
		`("` + long + `"` + grow + `).size() > 0`,
		`("a"` + grow + grow + grow + `).size() > 0`,
		`(request.path` + grow + grow + `).size() > 0`,
		`identity.groups.map(g, g` + grow + `).size() > 0`,
		`request.path.split("").map(c, c + request.path).join("").size() > 0`,
		`request.path.split("").join(request.path).split("").join(request.path).size() > 0`,
		`request.path.split("").map(c, request.path.split("")).size() > 0`,
	} {
		_, err := newEngine(t).Compile(policy.Policy{Name: "p", Rules: []policy.Rule{when(expr)}})
		if err == nil || !strings.Contains(err.Error(), "could take too long") {
			t.Errorf("%.60s: got %v", expr, err)
		}
	}
}

// TestAnExpressionThatFailsNeverLetsAnybodyIn: an absent claim is an error, and an
// error is no answer.
func TestAnExpressionThatFailsNeverLetsAnybodyIn(t *testing.T) {
	staff := policy.Rule{Name: "staff", Allow: &policy.Match{Groups: []string{"staff"}}}
	fails := `identity.claims.clearance == "top"`
	for name, tt := range map[string]struct {
		rules []policy.Rule
		want  policy.Effect
		rule  string
	}{
		"a deny rule denies":           {[]policy.Rule{staff, {Name: "bad", Deny: &policy.Match{When: fails}}}, policy.Deny, "bad"},
		"so does unless":               {[]policy.Rule{staff, {Name: "bad", Deny: &policy.Match{Unless: fails}}}, policy.Deny, "bad"},
		"an allow rule allows nothing": {[]policy.Rule{{Name: "bad", Allow: &policy.Match{When: fails}}}, policy.Deny, "bad"},
		"nor does it take anything from who may come in otherwise": {[]policy.Rule{{Name: "bad", Allow: &policy.Match{When: fails}}, staff}, policy.Allow, "staff"},
		"a rule that is not for the request":                       {[]policy.Rule{staff, {Name: "bad", When: `request.method == "POST"`, Deny: &policy.Match{When: fails}}}, policy.Allow, "staff"},
		"a rule that is not for the user":                          {[]policy.Rule{staff, {Name: "bad", Deny: &policy.Match{Groups: []string{"guests"}, When: fails}}}, policy.Allow, "staff"},
		"the gate of the rule":                                     {[]policy.Rule{staff, {Name: "bad", When: fails, Deny: &policy.Match{Groups: []string{"staff"}}}}, policy.Deny, "bad"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := compile(t, tt.rules...).Evaluate(t.Context(), request())
			if d.Effect != tt.want || d.Rule != tt.rule || (err != nil) != (tt.want == policy.Deny) {
				t.Errorf("got %v, %v", d, err)
			}
			if tt.want == policy.Deny && d.Reason != policy.ReasonPolicyError {
				t.Errorf("reason %s", d.Reason)
			}
		})
	}
}

// TestQueryWithTwoReadings: what the application reads may be another value
// (CVE-2022-2880, CVE-2026-39825).
func TestQueryWithTwoReadings(t *testing.T) {
	s := compile(t, when(`request.query.role == "user"`))
	for _, query := range []string{
		"role=user&role=admin", "role=admin&role=user", "role=user;role=admin", "role=user&ROLE=admin", "role=user&%zz=1", "role=user&x=%",
		"role=user&%72ole=admin", strings.Repeat("a=1&", 10_000) + "role=user",
	} {
		in := request()
		in.Request.RawQuery = query
		if d, err := s.Evaluate(t.Context(), in); d.Effect != policy.Deny || err == nil || d.Reason != policy.ReasonPolicyError {
			t.Errorf("%.40s: got %v, %v", query, d, err)
		}
	}
	in := request()
	in.Request.RawQuery = "a=1&a=2&role=user&&"
	if d, err := s.Evaluate(t.Context(), in); d.Effect != policy.Allow || err != nil {
		t.Errorf("a duplicate that no rule reads: got %v, %v", d, err)
	}
}

// TestNoQuestionAboutAMalformedQueryHasAnAnswer: a rule that denies what it finds by
// going through the parameters would find none.
func TestNoQuestionAboutAMalformedQueryHasAnAnswer(t *testing.T) {
	for _, expr := range []string{
		`request.query.exists(name, name == "export")`, `request.query.exists(name, request.query[name] == "all")`, `size(request.query) > 0`,
		`request.query != {}`, `request.query.map(name, name) != []`, `"export" in request.query`, `has(request.query.export)`,
		`request.query.?export.hasValue()`, `request.query[?"export"].orValue("") == "all"`,
	} {
		s := compile(t, when("true"), policy.Rule{Name: "no exports", Deny: &policy.Match{When: expr}})
		for query, reason := range map[string]string{
			"export=all": policy.ReasonDeniedByRule, "": policy.ReasonAllowedByRule,
			"export=all;a=1": policy.ReasonPolicyError, "export=all&a=%zz": policy.ReasonPolicyError,
		} {
			in := request()
			in.Request.RawQuery = query
			if d, _ := s.Evaluate(t.Context(), in); d.Reason != reason {
				t.Errorf("%s of %q: want %s, got %v", expr, query, reason, d)
			}
		}
	}
	in := request()
	in.Request.RawQuery = "export=none&export=all"
	if d, _ := compile(t, when(`request.query == {"export": "all"}`)).Evaluate(t.Context(), in); d.Reason != policy.ReasonPolicyError {
		t.Errorf("a parameter that is there twice was compared with one: %v", d)
	}
}

// TestAHeaderInAnotherSpellingIsTheSameHeader: an application behind CGI or WSGI reads
// X_Tenant as X-Tenant (CVE-2025-64484 is such a confusion).
func TestAHeaderInAnotherSpellingIsTheSameHeader(t *testing.T) {
	for name, tt := range map[string]struct {
		header map[string][]string
		want   string
	}{
		"alone":                  {map[string][]string{"X_tenant": {"b"}}, "b"},
		"beside the proper one":  {map[string][]string{"X-Tenant": {"a"}, "X_tenant": {"b"}, "X.tenant": {"c"}}, "a, c, b"},
		"in two letter cases":    {map[string][]string{"x_tenant": {"a"}}, "a"},
		"the proper one":         {map[string][]string{"X-Tenant": {"a"}, "Xtenant": {"b"}}, "a"},
		"a credential is hidden": {map[string][]string{"X-Tenant": {"a"}, "Proxy_Authorization": {"secret"}, "Proxy-Authorization": {"secret"}}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			in := request()
			in.Request.Header = tt.header
			expr := fmt.Sprintf(`request.headers["x-tenant"] == %q && !request.headers.exists(n, request.headers[n] == "secret")`, tt.want)
			if d, err := compile(t, when(expr)).Evaluate(t.Context(), in); d.Effect != policy.Allow {
				t.Errorf("want %q: %v, %v", tt.want, d, err)
			}
		})
	}
}

// TestAnUnverifiedAddressIsNone, in expressions as in lists.
func TestAnUnverifiedAddressIsNone(t *testing.T) {
	for _, expr := range []string{
		`identity.email == "alice@example.com"`,
		`identity.claims.email == "alice@example.com"`,
		`identity.claims["email"] == "alice@example.com"`,
		`identity.claims.?email.orValue("") == "alice@example.com"`,
		`identity.claims.exists(name, name == "email")`,
		`"email" in identity.claims`,
		`has(identity.claims.email)`,
	} {
		in := request()
		in.Identity.Claims = mapClaims{"email": "alice@example.com"}
		if d, err := compile(t, when(expr)).Evaluate(t.Context(), in); d.Effect != policy.Allow {
			t.Errorf("%s: an address that was verified: %v, %v", expr, d, err)
		}
		in.Identity.EmailVerified = false
		if d, _ := compile(t, when(expr)).Evaluate(t.Context(), in); d.Effect != policy.Deny {
			t.Errorf("%s: an address that nobody verified opens the door", expr)
		}
	}
}

// TestLargeInputsAreNotWorthAnAttack: the cost of an expression is bounded at run
// time as well, when an input is larger than any that was thought of.
func TestLargeInputsAreNotWorthAnAttack(t *testing.T) {
	in := request()
	for range 1_000_000 {
		in.Identity.Groups = append(in.Identity.Groups, "g")
	}
	d, err := compile(t, when(`identity.groups.exists(g, g == "zzz")`)).Evaluate(t.Context(), in)
	if d.Effect != policy.Deny || err == nil || !strings.Contains(err.Error(), "cost limit") {
		t.Errorf("got %v, %v", d, err)
	}
}
