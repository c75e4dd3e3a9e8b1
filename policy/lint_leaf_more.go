package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// unknown finds comparisons that also let in those of whom nothing is known, since
// what is not known differs from everything.
func (w *leaf) unknown(c comparison, negative bool) {
	differs := negative == w.lets
	if !differs || slices.Contains(c.texts, "") {
		return
	}
	switch c.subject {
	case aboutEmail:
		if w.r.allow && !verified(w.r.facts) {
			w.found(w.at, lintHoldsWhenUnknown, w.text.show(w.e)+" says nothing about those without a verified address",
				"identity.email is \"\" for them, which is none of these: they come in.", `add identity.email != "", or name the subjects`)
		}
	case aboutACR:
		w.found(w.at, lintHoldsWhenUnknown, w.text.show(w.e)+" says nothing about those of whom it is not known",
			c.subject+" is \"\" then, which is none of these: they come in.", "write which values are good enough, and not which are not")
	}
}

// bothMissing finds comparisons of two things of which both may be missing: they are
// equal then.
func (w *leaf) bothMissing() {
	if !w.lets || w.e.Kind() != celast.CallKind || w.e.AsCall().FunctionName() != operators.Equals {
		return
	}
	args := w.e.AsCall().Args()
	if a, ok := missingValue(args[0]); ok {
		if b, ok := missingValue(args[1]); ok && a == b {
			w.found(w.at, lintHoldsWhenUnknown, w.text.show(w.e)+" holds where both are missing", "Two that are absent are equal: people come in of whom neither is known.",
				"leave out the ? on one side: what is absent is an error then, and lets nobody in")
		}
	}
}

// missingValue is what an optional part stands for where it is missing, as text.
func missingValue(e celast.Expr) (string, bool) {
	if e.Kind() != celast.CallKind {
		return "", false
	}
	call := e.AsCall()
	switch call.FunctionName() {
	case operators.OptSelect, operators.OptIndex:
		return "nothing", true
	case "orValue":
		if call.IsMemberFunction() && call.Args()[0].Kind() == celast.LiteralKind {
			return "value " + fmt.Sprint(call.Args()[0].AsLiteral().Value()), true
		}
	}
	return "", false
}

// byText finds paths and hosts that are compared where the gateway has better means.
func (w *leaf) byText(c comparison, names []string) {
	identity := slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "identity.") })
	switch {
	case c.subject == aboutHost && !identity:
		w.found(w.at, lintHostByText, "compares the host", "Which hosts a policy is for, the routes say: another host of the route is under no such rule.", "give the hosts a route each, unless the route is for *.example.com")
	case c.subject == aboutPath && !w.r.allow && !w.lets && (c.function == "==" || c.function == "in" || c.function == "startsWith"):
		for _, text := range c.texts {
			if text == "/" || !strings.HasPrefix(text, "/") || c.function == "startsWith" && !strings.HasSuffix(text, "/") {
				continue
			}
			missed := text + "/"
			if c.function == "startsWith" {
				missed = strings.TrimSuffix(text, "/")
			}
			w.found(w.at, lintPathByText, fmt.Sprintf("%s leaves out %s", w.text.show(w.e), missed),
				"Many applications answer both in the same way.", fmt.Sprintf("use paths: [%s], which covers both and what is below", strings.TrimSuffix(text, "/")))
		}
	}
}

// lists finds comparisons that depend on the order of a list, or hold for an empty
// one.
func (w *leaf) lists() {
	isList := func(e celast.Expr) bool {
		if e.Kind() != celast.IdentKind {
			return false
		}
		_, ok := w.text.list(e)
		return ok
	}
	celast.PostOrderVisit(w.e, celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() != celast.CallKind || len(e.AsCall().Args()) != 2 {
			return
		}
		a, b := e.AsCall().Args()[0], e.AsCall().Args()[1]
		switch e.AsCall().FunctionName() {
		case operators.Index:
			if isList(a) {
				w.found(w.at, lintListOrder, w.text.show(e)+" depends on the order of the list", "Providers promise none, and an empty list makes it an error.", `use in, such as "staff" in identity.groups`)
			}
		case operators.Equals, operators.NotEquals:
			if isList(a) && b.Kind() == celast.ListKind && b.AsList().Size() > 0 || isList(b) && a.Kind() == celast.ListKind && a.AsList().Size() > 0 {
				w.found(w.at, lintListOrder, w.text.show(e)+" compares the whole list, in its order", "One more value, or another order, makes it another list.", `use in, or sets.contains(identity.groups, ["a", "b"])`)
			}
		}
	}))
	if !w.lets || w.e.Kind() != celast.ComprehensionKind {
		return
	}
	c := w.e.AsComprehension()
	start, isBool := c.AccuInit().AsLiteral().(types.Bool)
	about := w.subject(c.IterRange())
	some := slices.ContainsFunc(w.r.facts, func(f fact) bool { return f.kind == factHas && !f.not && f.about == about })
	if isBool && bool(start) && strings.HasPrefix(about, "identity.") && !some && !callsSize(w.text.root) {
		w.found(w.at, lintHoldsWhenUnknown, w.text.show(w.e)+" holds for an empty list", "Who has none at all comes in.", "use exists, or add size("+about+") > 0")
	}
}

func callsSize(e celast.Expr) bool {
	found := false
	celast.PostOrderVisit(e, celast.NewExprVisitor(func(e celast.Expr) {
		found = found || e.Kind() == celast.CallKind && e.AsCall().FunctionName() == "size"
	}))
	return found
}

// clock finds hours of the day that are those of Greenwich.
func (w *leaf) clock() {
	celast.PostOrderVisit(w.e, celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() != celast.CallKind {
			return
		}
		call := e.AsCall()
		switch call.FunctionName() {
		case "getHours", "getMinutes", "getDayOfWeek", "getDate", "getDayOfMonth", "getDayOfYear", "getMonth", "getFullYear":
			if call.IsMemberFunction() && len(call.Args()) == 0 && slices.Contains(freeNames(call.Target()), "now") {
				w.found(w.at, lintHoursInUTC, w.text.show(e)+" is by the clock of UTC", "Where people are it is another hour, and in summer again another.", `name the zone, such as now.getHours("Europe/Berlin"), or use hours`)
			}
		}
	}))
}

// over finds rules that ended at a time.
func (l *linter) over(r *lintRule, x *lintExpr) {
	for i := range r.facts {
		f := &r.facts[i]
		if f.at != x.at || f.kind != factOther || f.expr.Kind() != celast.CallKind || len(f.expr.AsCall().Args()) != 2 {
			continue
		}
		args := f.expr.AsCall().Args()
		first, second := isNow(args[0]), isNow(args[1])
		when := instant(args[0])
		if first {
			when = instant(args[1])
		}
		if first == second || when.IsZero() || !when.Before(l.now) {
			continue
		}
		var before bool // the expression holds before that time
		switch f.expr.AsCall().FunctionName() {
		case operators.Less, operators.LessEquals:
			before = first
		case operators.Greater, operators.GreaterEquals:
			before = second
		default:
			continue
		}
		if before != f.not {
			what := "It lets in nobody any more."
			if !r.allow {
				what = "It denies nobody any more."
			}
			l.found(x.at, lintExpired, "ended at "+when.UTC().Format(time.RFC3339), what, "delete the rule, or write a later time")
		}
	}
}

func isNow(e celast.Expr) bool { return e.Kind() == celast.IdentKind && e.AsIdent() == "now" }

// instant is the time that a call such as timestamp("2026-01-01T00:00:00Z") means.
func instant(e celast.Expr) time.Time {
	if e.Kind() != celast.CallKind || e.AsCall().FunctionName() != "timestamp" || len(e.AsCall().Args()) != 1 {
		return time.Time{}
	}
	text, _ := textLiteral(e.AsCall().Args()[0])
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}
