package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
)

// entry is an entry of one of the maps of the vocabulary: a claim, a parameter, a
// header field.
type entry struct{ of, key string }

// entriesOf finds the entries that an expression names, for explanations: the maps
// themselves are too much to show.
func entriesOf(parsed *cel.Ast) []entry {
	var all []entry
	add := func(of celast.Expr, key string) {
		if of.Kind() != celast.SelectKind || of.AsSelect().Operand().Kind() != celast.IdentKind {
			return
		}
		one := entry{of.AsSelect().Operand().AsIdent() + "." + of.AsSelect().FieldName(), key}
		if mapOfTheVocabulary(one.of) && !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	celast.PostOrderVisit(parsed.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		switch e.Kind() { //nolint:exhaustive // nothing else looks into a map
		case celast.SelectKind:
			add(e.AsSelect().Operand(), e.AsSelect().FieldName())
		case celast.CallKind:
			args := e.AsCall().Args()
			switch e.AsCall().FunctionName() {
			case operators.Index, operators.OptIndex, operators.OptSelect:
				if key, ok := textLiteral(args[1]); ok {
					add(args[0], key)
				}
			case operators.In:
				if key, ok := textLiteral(args[0]); ok {
					add(args[1], key)
				}
			}
		}
	}))
	return all
}

// shown are the values that the expression names.
func (e *expression) shown(in *Input) string {
	a := newActivation(e.lang, in)
	defer a.free()
	var parts []string
	for _, v := range e.reads {
		if !mapOfTheVocabulary(v.name) {
			parts = append(parts, v.name+" = "+short(text(v.read(a))))
		}
	}
	for _, m := range e.entries {
		parts = append(parts, fmt.Sprintf("%s[%q] = %s", m.of, m.key, short(m.text(a))))
	}
	return strings.Join(parts, ", ")
}

func (m entry) text(a *activation) string {
	if m.of == nameClaims {
		if claims := a.in.Identity.Claims; claims != nil {
			if v := claims.Claim(m.key); v != nil {
				return fmt.Sprint(v)
			}
		}
		return "no such claim"
	}
	all, what := a.headers(), "no such header field"
	if m.of == nameQuery {
		all, what = a.query(), "no such parameter"
	}
	if found, ok := all.(traits.Mapper); ok {
		if v, ok := found.Find(types.String(m.key)); ok || types.IsError(v) {
			return text(v)
		}
	}
	return what
}
