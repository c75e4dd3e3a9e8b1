package policy_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/policy"
)

// world is a policy over a few dimensions, and every input there is.
type world struct {
	policy policy.Policy
	use    policy.Use
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

// compile makes the policy that the route has.
func (w *world) compile(t *rapid.T, e *policy.Engine, p policy.Policy) *policy.Set {
	s, err := e.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Requiring(w.use.Require); err != nil {
		t.Skip("the route can't require that")
	}
	return s
}

// effects are what becomes of every input, with what is in shadow.
func (w *world) effects(t *rapid.T, e *policy.Engine, rules []policy.Rule) []string {
	p := w.policy
	p.Rules = rules
	if len(rules) == 0 {
		return slices.Repeat([]string{"deny"}, len(w.inputs))
	}
	s := w.compile(t, e, p)
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
		w.use = policy.Use{Route: "r"}
		if rapid.Bool().Draw(t, "use") {
			w.use.Methods, w.use.Issuers = []string{"GET", "POST"}, []string{"i"}
		}
		if rapid.IntRange(0, 2).Draw(t, "route requires") == 0 {
			w.use.Require = rapid.SampledFrom([]policy.StepUp{{ACR: []string{"1"}}, {ACR: []string{"1", "2"}, AMR: []string{"p"}}, {MaxAge: time.Hour}}).Draw(t, "require of the route")
		}
		findings, err := e.Lint(w.policy, policy.LintOptions{Uses: []policy.Use{w.use}, Now: monday})
		if err != nil {
			t.Fatal(err)
		}
		set := w.compile(t, e, w.policy)
		before := w.effects(t, e, w.policy.Rules)
		var gone []int
		for _, f := range findings {
			counts[f.Code]++
			switch {
			case f.Code == "never_matches", f.Code == "unreachable", f.Code == "contradiction" && !pointless(f):
				w.neverFits(t, set, f)
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

func (w *world) neverFits(t *rapid.T, set *policy.Set, f policy.Finding) {
	r, use := ruleIndex(t, f.Path), &w.use
	for _, in := range w.inputs {
		here := (len(use.Methods) == 0 || slices.Contains(use.Methods, in.Request.Method)) && (len(use.Issuers) == 0 || slices.Contains(use.Issuers, in.Identity.Issuer))
		if f.Code == "unreachable" && !here {
			continue
		}
		x := set.Explain(t.Context(), in).Rules[r]
		if x.Fits && (f.Code == "never_matches" || x.Met) {
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
