package policy_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

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
			exprs: []string{`request.headers.x == "a"`, `request.headers["x"] != "b"`, `"x" in request.headers`, `has(request.headers.x) && request.headers.x == "b"`, `request.headers[?"x"].orValue("a") == "a"`},
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

// world is a policy over a few dimensions, and every input there is.
type world struct {
	policy policy.Policy
	inputs []*policy.Input
}

func drawWorld(t *rapid.T) world {
	all := dimensions()
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range all {
			if !yield(name) {
				return
			}
		}
	})
	chosen := rapid.Permutation(names).Draw(t, "dimensions")[:rapid.IntRange(1, 2).Draw(t, "how many")]
	var w world
	w.inputs = []*policy.Input{firstInput()}
	for _, name := range chosen {
		var next []*policy.Input
		for _, in := range w.inputs {
			for _, set := range all[name].values {
				one := *in
				set(&one)
				next = append(next, &one)
			}
		}
		w.inputs = next
	}
	drawExpr := func(label string) string {
		if rapid.IntRange(0, 3).Draw(t, label) > 0 {
			return ""
		}
		var parts []string
		for range rapid.IntRange(1, 2).Draw(t, "parts") {
			part := rapid.SampledFrom(all[rapid.SampledFrom(chosen).Draw(t, "of")].exprs).Draw(t, "part")
			if rapid.IntRange(0, 4).Draw(t, "not") == 0 {
				part = "!(" + part + ")"
			}
			parts = append(parts, "("+part+")")
		}
		return strings.Join(parts, rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "operator"))
	}
	drawOne := func() *policy.Match {
		for {
			m := &policy.Match{When: drawExpr("when"), Unless: drawExpr("unless")}
			for _, name := range chosen {
				if list := all[name].match; len(list) > 0 && rapid.Bool().Draw(t, name) {
					rapid.SampledFrom(list).Draw(t, "match")(m)
				}
			}
			if fmt.Sprint(*m) != fmt.Sprint(policy.Match{}) {
				return m
			}
		}
	}
	w.policy = policy.Policy{Name: "p"}
	if rapid.IntRange(0, 9).Draw(t, "mode") == 0 {
		w.policy.Mode = policy.Shadow
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "rules") {
		if i > 0 && rapid.Bool().Draw(t, "alike") {
			w.policy.Rules = append(w.policy.Rules, alike(t, w.policy.Rules[i-1], drawOne()))
			continue
		}
		r := policy.Rule{When: drawExpr("rule when")}
		if rapid.IntRange(0, 5).Draw(t, "rule mode") == 0 {
			r.Mode = policy.Shadow
		}
		if rapid.IntRange(0, 2).Draw(t, "deny") == 0 {
			r.Deny = drawOne()
			r.Reason = rapid.SampledFrom([]string{"", "because"}).Draw(t, "reason")
		} else {
			r.Allow = drawOne()
			if rapid.Bool().Draw(t, "requires") {
				r.Require = rapid.SampledFrom([]policy.StepUp{
					{ACR: []string{"1"}},
					{ACR: []string{"1", "2"}},
					{AMR: []string{"p"}},
					{AMR: []string{"p", "o"}, MaxAge: time.Hour},
					{MaxAge: time.Minute},
				}).Draw(t, "require")
			}
		}
		w.policy.Rules = append(w.policy.Rules, r)
	}
	return w
}

// alike is a rule with something in common with another one, so that one often
// stands in the way of the other.
func alike(t *rapid.T, r policy.Rule, with *policy.Match) policy.Rule {
	m := r.Allow
	if m == nil {
		m = r.Deny
	}
	both := *m
	both.When, both.Methods = cmp.Or(m.When, with.When), slicesOr(m.Methods, with.Methods)
	both.Claims = append(slices.Clone(m.Claims), with.Claims...)
	r.Reason = ""
	switch rapid.IntRange(0, 3).Draw(t, "alike how") {
	case 0: // the other effect
		r = policy.Rule{When: r.When, Deny: &both}
	case 1: // narrower
		r = policy.Rule{When: r.When, Allow: &both, Require: policy.StepUp{ACR: []string{"1"}}}
	case 2: // wider
		r = policy.Rule{Allow: m}
	case 3: // with a requirement
		r = policy.Rule{When: r.When, Allow: m, Require: policy.StepUp{ACR: []string{"2"}}}
	}
	return r
}

func slicesOr(a, b []string) []string {
	if a != nil {
		return a
	}
	return b
}

func lintEngine(t tester) *policy.Engine {
	t.Helper()
	e, err := policy.NewEngine(policy.Options{Paths: func(s string) (policy.Path, string) { return comparablePrefix(s), "" }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// comparablePrefix is a prefix that can be compared with others.
type comparablePrefix string

var _ policy.Coverer = comparablePrefix("")

func (p comparablePrefix) Fits(path string) bool { return strings.HasPrefix(path, string(p)) }
func (p comparablePrefix) String() string        { return string(p) }
func (p comparablePrefix) Covers(o policy.Path) bool {
	return strings.HasPrefix(o.String(), string(p))
}

func (p comparablePrefix) Disjoint(o policy.Path) bool {
	return !p.Fits(o.String()) && !strings.HasPrefix(string(p), o.String())
}

// effects are what becomes of every input, with what is in shadow.
func (w *world) effects(t *rapid.T, e *policy.Engine, rules []policy.Rule) []string {
	p := w.policy
	p.Rules = rules
	if len(rules) == 0 {
		return slices.Repeat([]string{"deny"}, len(w.inputs))
	}
	s, err := e.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(w.inputs))
	for i, in := range w.inputs {
		d, _ := s.Evaluate(t.Context(), in)
		out[i] = d.Effect.String()
		if d.Shadow.Judged && slices.ContainsFunc(rules, func(r policy.Rule) bool { return r.Mode == policy.Shadow }) {
			out[i] += " and in shadow " + d.Shadow.Effect.String()
		}
	}
	return out
}

func ruleIndex(t *rapid.T, path string) int {
	var i int
	if _, err := fmt.Sscanf(path, "rules[%d]", &i); err != nil {
		t.Fatal(path, err)
	}
	return i
}

// pointless are the codes of rules that can go without a trace.
func pointless(f policy.Finding) bool {
	switch f.Code {
	case "redundant", "shadowed_by_deny":
		return true
	case "contradiction":
		return !strings.HasSuffix(f.Path, ".require")
	case "require_never_asked":
		return !strings.HasPrefix(f.Problem, "is not asked of everybody")
	}
	return false
}

// TestWhatLintIsSureOfIsTrue tries every input of a small world: a rule that is said
// never to fit fits none, and one that is said to be pointless changes nothing when
// it goes, alone or with all the others.
func TestWhatLintIsSureOfIsTrue(t *testing.T) {
	counts := map[string]int{}
	e := lintEngine(t)
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		uses := []policy.Use{{Route: "r"}}
		if rapid.Bool().Draw(t, "use") {
			uses[0].Methods, uses[0].Issuers = []string{"GET", "POST"}, []string{"i"}
		}
		findings, err := e.Lint(w.policy, policy.LintOptions{Uses: uses, Now: monday})
		if err != nil {
			t.Fatal(err)
		}
		set, err := e.Compile(w.policy)
		if err != nil {
			t.Fatal(err)
		}
		before := w.effects(t, e, w.policy.Rules)
		var gone []int
		for _, f := range findings {
			counts[f.Code]++
			switch {
			case f.Code == "never_matches", f.Code == "unreachable", f.Code == "contradiction" && !pointless(f):
				w.neverFits(t, set, f, uses[0])
			case f.Code == "allows_nobody":
				w.nobodyComesIn(t, set)
			case pointless(f):
				i := ruleIndex(t, f.Path)
				gone = append(gone, i)
				w.same(t, e, f, before, without(w.policy.Rules, i))
			}
		}
		w.same(t, e, findings, before, without(w.policy.Rules, gone...))
	})
	for _, code := range []string{"never_matches", "redundant", "shadowed_by_deny", "contradiction", "require_never_asked", "allows_nobody", "unreachable"} {
		if counts[code] == 0 {
			t.Errorf("no finding %s was put to the test: %v", code, counts)
		}
	}
}

func without(rules []policy.Rule, gone ...int) []policy.Rule {
	var out []policy.Rule
	for i, r := range rules {
		if !slices.Contains(gone, i) {
			out = append(out, r)
		}
	}
	return out
}

func (w *world) same(t *rapid.T, e *policy.Engine, because any, before []string, rules []policy.Rule) {
	shadowed := func(r policy.Rule) bool { return r.Mode == policy.Shadow }
	for i, after := range w.effects(t, e, rules) {
		was := before[i]
		if !slices.ContainsFunc(rules, shadowed) { // nothing is judged beside any more
			was, _, _ = strings.Cut(was, " and")
		}
		if w.policy.Mode == policy.Shadow && len(rules) == 0 {
			continue // which no policy can be
		}
		if after != was {
			t.Fatalf("%+v\n%+v:\n%s became %s without the rule\nidentity %+v\nrequest %+v", w.policy.Rules, because, was, after, w.inputs[i].Identity, w.inputs[i].Request)
		}
	}
}

func (w *world) neverFits(t *rapid.T, set *policy.Set, f policy.Finding, use policy.Use) {
	r := ruleIndex(t, f.Path)
	for _, in := range w.inputs {
		here := (len(use.Methods) == 0 || slices.Contains(use.Methods, in.Request.Method)) && (len(use.Issuers) == 0 || slices.Contains(use.Issuers, in.Identity.Issuer))
		if f.Code == "unreachable" && !here {
			continue
		}
		x := set.Explain(t.Context(), in).Rules[r]
		if x.Fits && (f.Code != "contradiction" || x.Met) {
			t.Fatalf("%+v\n%+v: it fits\nidentity %+v\nrequest %+v", w.policy.Rules, f, in.Identity, in.Request)
		}
	}
}

func (w *world) nobodyComesIn(t *rapid.T, set *policy.Set) {
	if w.policy.Mode == policy.Shadow {
		return // everybody does, until it is enforced
	}
	for _, in := range w.inputs {
		if d, _ := set.Evaluate(t.Context(), in); d.Effect != policy.Deny {
			t.Fatalf("%+v: it lets in\nidentity %+v\nrequest %+v", w.policy.Rules, in.Identity, in.Request)
		}
	}
}
