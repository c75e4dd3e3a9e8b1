package policy_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/policy"
)

// dimension is one thing in which inputs differ, with every value that it has in a
// small world, and the conditions that look at it.
type dimension struct {
	values []func(*policy.Input)
	match  []func(*policy.Match)
	exprs  []string
}

func texts(set func(*policy.Input, string), field func(*policy.Match, ...string), name string, values ...string) dimension {
	var d dimension
	for i, v := range values {
		d.values = append(d.values, func(in *policy.Input) { set(in, v) })
		if v == "" {
			continue
		}
		d.match = append(d.match, func(m *policy.Match) { field(m, v) })
		other := values[(i+1)%len(values)]
		if other != "" {
			d.match = append(d.match, func(m *policy.Match) { field(m, v, other) })
		}
		d.exprs = append(d.exprs,
			fmt.Sprintf("%s == %q", name, v), fmt.Sprintf("%s != %q", name, v), fmt.Sprintf("%s in [%q, %q]", name, v, other),
			fmt.Sprintf("%q == %s || %s == %q", v, name, name, other), fmt.Sprintf("%s.startsWith(%q)", name, v[:1]), fmt.Sprintf("%s.endsWith(%q)", name, v))
	}
	return d
}

// dimensions are the small world.
func dimensions() map[string]dimension {
	return map[string]dimension{
		"method": texts(func(in *policy.Input, s string) { in.Request.Method = s },
			func(m *policy.Match, s ...string) { m.Methods = append(m.Methods, s...) }, "request.method", "GET", "HEAD", "POST", "PUT"),
		"subject": texts(func(in *policy.Input, s string) { in.Identity.Subject = s },
			func(m *policy.Match, s ...string) { m.Subjects = append(m.Subjects, s...) }, "identity.subject", "a", "b", "ab"),
		"issuer": texts(func(in *policy.Input, s string) { in.Identity.Issuer = s },
			func(m *policy.Match, s ...string) { m.Claims = append(m.Claims, policy.Claim{Name: "iss", Values: s}) }, "identity.issuer", "", "i", "j"),
		"email":   emailDimension(),
		"groups":  groupsDimension(),
		"claim":   claimDimension(),
		"sign-in": signInDimension(),
		"place":   placeDimension(),
		"path":    pathDimension(),
		"header": {
			values: []func(*policy.Input){
				func(*policy.Input) {},
				func(in *policy.Input) { in.Request.Header = map[string][]string{"X": {"a"}} },
				func(in *policy.Input) { in.Request.Header = map[string][]string{"X": {"b"}} },
			},
			exprs: []string{`request.headers.x == "a"`, `request.headers["x"] != "b"`, `"x" in request.headers`, `has(request.headers.x) && request.headers.x == "b"`, `request.headers[?"x"].orValue("b") == "a"`},
		},
	}
}

func emailDimension() dimension {
	d := dimension{
		exprs: []string{
			`identity.email == "a@x.test"`, `identity.email != ""`, `identity.email == ""`, `identity.email.endsWith("@x.test")`, `identity.email.startsWith("a@")`,
			`identity.email in ["a@x.test", "b@y.test"]`, `identity.email == "@x.test"`, `identity.email == "a@b@x.test"`, `identity.email == "A@x.test"`,
		},
		match: []func(*policy.Match){
			func(m *policy.Match) { m.Emails = []string{"A@x.test"} },
			func(m *policy.Match) { m.Emails = []string{"a@x.test", "b@y.test"} },
			func(m *policy.Match) { m.EmailDomains = []string{"x.test"} },
			func(m *policy.Match) { m.EmailDomains = []string{"y.test", "X.test"} },
			func(m *policy.Match) {
				m.Claims = append(m.Claims, policy.Claim{Name: "email", Values: []string{"A@x.test", "a@x.test"}})
			},
			func(m *policy.Match) {
				m.Claims = append(m.Claims, policy.Claim{Name: "email_verified", Values: []string{"true"}})
			},
			func(m *policy.Match) {
				m.Claims = append(m.Claims, policy.Claim{Name: "email_verified", Values: []string{"false"}})
			},
		},
	}
	for _, address := range []string{"", "a@x.test", "A@x.test", "b@y.test", "@x.test", "a@b@x.test"} {
		for _, verified := range []bool{true, false} {
			d.values = append(d.values, func(in *policy.Input) { in.Identity.Email, in.Identity.EmailVerified = address, verified })
		}
	}
	return d
}

func groupsDimension() dimension {
	d := dimension{
		exprs: []string{
			`"a" in identity.groups`, `!("a" in identity.groups)`, `"b" in identity.groups || "a" in identity.groups`, `identity.groups.exists(g, g == "b")`,
			`sets.intersects(identity.groups, ["a", "c"])`, `sets.intersects(["b"], identity.groups)`, `sets.contains(identity.groups, ["a", "b"])`, `identity.groups.all(g, g == "a")`,
			`"a" in identity.scopes`, `"b" in identity.scopes`, `"b" in identity.scopes || "a" in identity.groups`,
		},
		match: []func(*policy.Match){
			func(m *policy.Match) { m.Groups = []string{"a"} },
			func(m *policy.Match) { m.Groups = []string{"b", "c"} },
			func(m *policy.Match) { m.Groups = []string{"a", "b", "c"} },
			func(m *policy.Match) {
				m.Claims = append(m.Claims, policy.Claim{Name: "groups", Values: []string{"a"}})
			},
			func(m *policy.Match) { m.Scopes = []string{"a"} },
			func(m *policy.Match) { m.Scopes = []string{"b"} },
			func(m *policy.Match) { m.Scopes = []string{"a", "b"} },
		},
	}
	for _, groups := range [][]string{nil, {"a"}, {"b"}, {"c"}, {"a", "b"}, {"a", "c"}} {
		for _, scope := range []any{nil, "a", "a b", []any{"b"}} {
			d.values = append(d.values, func(in *policy.Input) {
				in.Identity.Groups = groups
				in.Identity.Claims = mapClaims{"scope": scope}
			})
		}
	}
	return d
}

func claimDimension() dimension {
	d := dimension{
		exprs: []string{
			`identity.claims.x == "a"`, `identity.claims["x"] == "b"`, `identity.claims.x != "a"`, `identity.claims.x == 1`, `identity.claims.x == 1.0`, `identity.claims.x == "1"`, `identity.claims.x == true`, `identity.claims.x == "true"`,
			`identity.claims.x in ["a", "b"]`, `identity.claims.x in [1, 2]`, `"a" in identity.claims.x`, `"b" in identity.claims.x || "a" in identity.claims.x`, `has(identity.claims.x)`,
			`has(identity.claims.x) && identity.claims.x == "a"`, `!has(identity.claims.x) || identity.claims.x == "b"`, `"x" in identity.claims && identity.claims.x == 1u`,
			`identity.claims.x.y == "a"`, `has(identity.claims.x.y)`, `identity.claims.?x.orValue("a") == "a"`, `has(identity.claims.x) ? identity.claims.x == "a" : true`,
			`identity.claims["x.y"] == "a"`,
			`1 == 2 || identity.claims.x == "a"`, `1 == 1 || identity.claims.x == "a"`, `identity.claims.x == "a" && identity.claims.x != "b" || 1 == 2`,
		},
		match: []func(*policy.Match){
			func(m *policy.Match) { m.Claims = append(m.Claims, policy.Claim{Name: "x", Values: []string{"a"}}) },
			func(m *policy.Match) {
				m.Claims = append(m.Claims, policy.Claim{Name: "x", Values: []string{"b", "1"}})
			},
			func(m *policy.Match) {
				m.Claims = append(m.Claims, policy.Claim{Name: "x", Values: []string{"a", "b", "true"}})
			},
			func(m *policy.Match) {
				m.Claims = append(m.Claims, policy.Claim{Name: "x.y", Values: []string{"a"}})
			},
		},
	}
	for _, v := range []any{nil, "a", "b", 1.0, json.Number("1"), "1", true, "true", []any{"a"}, []any{"a", "b"}, map[string]any{"y": "a"}, map[string]any{"a": "b"}} {
		d.values = append(d.values, func(in *policy.Input) { in.Identity.Claims = mapClaims{"x": v} })
	}
	d.values = append(d.values, func(in *policy.Input) { in.Identity.Claims = mapClaims{"x.y": "a"} })
	return d
}

func signInDimension() dimension {
	d := dimension{
		exprs: []string{`identity.acr == "1"`, `identity.acr != "2"`, `"p" in identity.amr`, `!("o" in identity.amr)`, `now - identity.auth_time < duration("5m")`},
		match: []func(*policy.Match){
			func(m *policy.Match) { m.ACR = []string{"1"} },
			func(m *policy.Match) { m.ACR = []string{"2", "1"} },
			func(m *policy.Match) { m.AMR = []string{"p"} },
			func(m *policy.Match) { m.AMR = []string{"p", "o"} },
			func(m *policy.Match) { m.MaxAge = time.Minute },
			func(m *policy.Match) { m.MaxAge = time.Hour },
		},
	}
	for _, acr := range []string{"", "1", "2"} {
		for _, amr := range [][]string{nil, {"p"}, {"o", "p"}} {
			for _, age := range []time.Duration{-1, 30 * time.Second, 10 * time.Minute, 2 * time.Hour} {
				d.values = append(d.values, func(in *policy.Input) {
					in.Identity.ACR, in.Identity.AMR = acr, amr
					if age >= 0 {
						in.Identity.AuthTime = in.Now.Add(-age)
					}
				})
			}
		}
	}
	return d
}

func placeDimension() dimension {
	d := dimension{
		exprs: []string{`client.address == "10.0.0.1"`, `cidr("10.0.0.0/8").containsIP(client.address)`, `now.getDayOfWeek("UTC") == 1`, `now < timestamp("2026-01-05T12:00:00Z")`},
		match: []func(*policy.Match){
			func(m *policy.Match) { m.CIDR = []string{"10.0.0.0/8"} },
			func(m *policy.Match) { m.CIDR = []string{"10.0.0.0/16", "::1"} },
			func(m *policy.Match) { m.CIDR = []string{"0.0.0.0/0", "::/0"} },
			func(m *policy.Match) { m.Hours = []string{"mon-fri 08:00-18:00 UTC"} },
			func(m *policy.Match) { m.Hours = []string{"mon 09:00-12:00 UTC", "sun 22:00-02:00 UTC"} },
			func(m *policy.Match) { m.Hours = []string{"mon-sun 00:00-24:00 UTC"} },
			func(m *policy.Match) { m.Hours = []string{"mon 00:00-01:00 UTC", "mon 10:00-11:00 Europe/Berlin"} },
			func(m *policy.Match) { m.Hours = []string{"mon 00:00-01:00 Europe/Berlin"} },
		},
	}
	for _, address := range []netip.Addr{{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("192.0.2.1")} {
		for _, now := range []time.Time{monday, monday.Add(10 * time.Hour), monday.Add(-9*time.Hour - 30*time.Minute), monday.Add(-10*time.Hour - 30*time.Minute), monday.Add(-30 * time.Hour)} {
			d.values = append(d.values, func(in *policy.Input) { in.Client.Address, in.Now = address, now })
		}
	}
	return d
}

func pathDimension() dimension {
	d := texts(func(in *policy.Input, s string) { in.Request.Path = s },
		func(m *policy.Match, s ...string) { m.Paths = append(m.Paths, s...) }, "request.path", "/", "/a", "/a/b", "/ab", "/b")
	d.exprs = append(d.exprs, `request.path.startsWith("/a/")`, `request.path.startsWith("/a")`, `!request.path.startsWith("/a")`)
	return d
}

func firstInput() *policy.Input {
	return &policy.Input{
		Route: "r", Identity: policy.Identity{Subject: "a", Claims: mapClaims{}},
		Request: policy.Request{Method: "GET", Path: "/"}, Now: monday,
	}
}
