package policy

import (
	"fmt"
	"slices"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// missing finds members that an expression asks for though they may not be there,
// which is an error then. For each, the expression is thought through without it.
func (l *linter) missing(r *lintRule, x *lintExpr) {
	var asked [][]string
	celast.PostOrderVisit(x.text.root, celast.NewExprVisitor(func(e celast.Expr) {
		path, ok := memberPath(e)
		for n := 2; ok && mapOfTheVocabulary(path[0]) && n <= len(path); n++ {
			if !slices.ContainsFunc(asked, func(o []string) bool { return slices.Equal(o, path[:n]) }) {
				asked = append(asked, slices.Clone(path[:n]))
			}
		}
	}))
	for _, path := range asked {
		if path[0] == nameHeaders && impossibleHeader(path[1]) != "" {
			continue // which was said already
		}
		if !(without{x.text, path}).outcome(x.text.root).fails {
			continue
		}
		name := memberName(path)
		guard := fmt.Sprintf("has(%s)", name)
		if !isIdentifier(path[len(path)-1]) {
			guard = fmt.Sprintf("%q in %s", path[len(path)-1], memberName(path[:len(path)-1]))
		}
		severity, problem, why := LintNote, "is an error where there is no "+name, "This rule then allows nothing."
		switch {
		case !r.allow && !x.unless:
			severity, why = LintWarning, "A deny rule that can't be evaluated denies: everybody without it is kept out."
		case !r.allow:
			why = "A deny rule that can't be evaluated denies: everybody without it is kept out, with the reason policy_error."
		case x.unless:
			severity, why = LintWarning, "This rule then allows nothing: everybody without it is kept out."
		}
		l.foundAs(x.at, lintOptionalClaim, severity, problem, why, "ask first: "+guard+" && ...")
		return
	}
}

// without thinks an expression through for an input in which the member at path is
// missing, and of which nothing else is known.
type without struct {
	text *checkedText
	path []string
}

// outcome is what can become of a part.
type outcome struct{ yes, no, fails bool }

func anyOutcome(fails bool) outcome { return outcome{yes: true, no: true, fails: fails} }

func (w without) outcome(e celast.Expr) outcome {
	if b, ok := w.text.constant(e); ok {
		return outcome{yes: b, no: !b}
	}
	switch e.Kind() { //nolint:exhaustive // the others hold no members
	case celast.SelectKind:
		return w.selected(e)
	case celast.CallKind:
		return w.called(e)
	case celast.ComprehensionKind:
		c := e.AsComprehension()
		// An error in one round may be made good by another one.
		return anyOutcome(w.outcome(c.IterRange()).fails || w.outcome(c.LoopStep()).fails || w.outcome(c.LoopCondition()).fails)
	case celast.ListKind:
		return anyOutcome(slices.ContainsFunc(e.AsList().Elements(), func(item celast.Expr) bool { return w.outcome(item).fails }))
	case celast.MapKind:
		return anyOutcome(slices.ContainsFunc(e.AsMap().Entries(), func(entry celast.EntryExpr) bool { return w.outcome(entry.AsMapEntry().Value()).fails }))
	}
	return anyOutcome(false)
}

func (w without) selected(e celast.Expr) outcome {
	s := e.AsSelect()
	of := w.outcome(s.Operand())
	if of.fails {
		return anyOutcome(true)
	}
	path, ok := memberPath(s.Operand())
	missing := ok && slices.Equal(append(path, s.FieldName()), w.path)
	if s.IsTestOnly() {
		return outcome{yes: !missing, no: true}
	}
	return anyOutcome(missing)
}

func (w without) called(e celast.Expr) outcome {
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalNot:
		of := w.outcome(args[0])
		return outcome{yes: of.no, no: of.yes, fails: of.fails}
	case operators.LogicalAnd: // no decides, whatever becomes of the other side
		a, b := w.outcome(args[0]), w.outcome(args[1])
		sure := func(o outcome) bool { return o.no && !o.yes && !o.fails }
		return outcome{yes: a.yes && b.yes, no: a.no || b.no, fails: (a.fails || b.fails) && !sure(a) && !sure(b)}
	case operators.LogicalOr:
		a, b := w.outcome(args[0]), w.outcome(args[1])
		sure := func(o outcome) bool { return o.yes && !o.no && !o.fails }
		return outcome{yes: a.yes || b.yes, no: a.no && b.no, fails: (a.fails || b.fails) && !sure(a) && !sure(b)}
	case operators.Conditional:
		c, a, b := w.outcome(args[0]), w.outcome(args[1]), w.outcome(args[2])
		return outcome{
			yes: c.yes && a.yes || c.no && b.yes, no: c.yes && a.no || c.no && b.no,
			fails: c.fails || c.yes && a.fails || c.no && b.fails,
		}
	case operators.NotStrictlyFalse:
		return anyOutcome(false)
	case operators.In:
		if text, ok := textLiteral(args[0]); ok {
			if path, ok := memberPath(args[1]); ok && slices.Equal(append(path, text), w.path) && !w.outcome(args[1]).fails {
				return outcome{no: true}
			}
		}
	case operators.Index:
		if path, ok := memberPath(e); ok && slices.Equal(path, w.path) {
			return anyOutcome(true)
		}
	case operators.OptSelect, operators.OptIndex:
		return anyOutcome(w.outcome(args[0]).fails)
	}
	fails := call.IsMemberFunction() && w.outcome(call.Target()).fails
	return anyOutcome(fails || slices.ContainsFunc(args, func(a celast.Expr) bool { return w.outcome(a).fails }))
}
