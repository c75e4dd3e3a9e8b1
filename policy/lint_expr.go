package policy

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// checkedText is an expression as the compiler understands it. Names of the
// vocabulary are one identifier each there.
type checkedText struct {
	lang *language
	ast  *celast.AST
	root celast.Expr
}

// checked reads an expression that compiles.
func (l *language) checked(source string) (*checkedText, bool) {
	parsed, issues := l.env.Compile(source)
	if issues.Err() != nil {
		return nil, false
	}
	return &checkedText{lang: l, ast: parsed.NativeRep(), root: parsed.NativeRep().Expr()}, true
}

// facts takes an expression that has to be true, or with not has to be false, apart
// into facts. In CEL, as among the conditions of a rule, a part that decides does so
// whatever became of the others, so that the two ways to write it are one.
func (t *checkedText) facts(at string, e celast.Expr, not bool) []fact {
	if value, ok := t.constant(e); ok {
		return []fact{{kind: factConst, not: value == not, at: at, wants: t.show(e)}}
	}
	if e.Kind() == celast.CallKind {
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.LogicalNot:
			return t.facts(at, call.Args()[0], !not)
		case operators.LogicalAnd, operators.LogicalOr:
			a, b := t.facts(at, call.Args()[0], not), t.facts(at, call.Args()[1], not)
			if (call.FunctionName() == operators.LogicalAnd) != not {
				return append(a, b...)
			}
			if one, ok := either(a, b); ok {
				return one
			}
		default:
			if f, ok := t.compared(call); ok {
				f.not, f.at, f.wants = f.not != not, at, t.show(e)
				return []fact{f}
			}
		}
	}
	return []fact{{kind: factOther, not: not, expr: e, at: at, wants: t.show(e)}}
}

// either makes facts of two sides, of which one has to be true.
func either(a, b []fact) ([]fact, bool) {
	for _, sides := range [][2][]fact{{a, b}, {b, a}} {
		if side := sides[0]; len(side) == 1 && side[0].kind == factConst {
			if side[0].not {
				return sides[1], true
			}
			return side, true
		}
	}
	if len(a) != 1 || len(b) != 1 {
		return nil, false
	}
	one, other := a[0], b[0]
	if one.kind != other.kind || one.about != other.about || one.not || other.not || one.kind != factIs && one.kind != factHas {
		return nil, false
	}
	one.values = append(slices.Clone(one.values), other.values...)
	one.wants += " or " + other.wants
	return []fact{one}, true
}

// compared understands comparisons of one name with values that are written there.
func (t *checkedText) compared(call celast.CallExpr) (fact, bool) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals:
		for i := range 2 {
			about, ok := t.single(args[i])
			value, is := t.value(args[1-i], about)
			if ok && is {
				return fact{kind: factIs, about: about, values: []string{value}, not: call.FunctionName() == operators.NotEquals}, true
			}
		}
	case operators.In:
		if about, ok := t.single(args[0]); ok {
			if values, ok := t.valueList(args[1], about); ok {
				return fact{kind: factIs, about: about, values: values}, true
			}
		}
		if about, ok := t.list(args[1]); ok {
			if value, ok := t.value(args[0], about); ok {
				return fact{kind: factHas, about: about, values: []string{value}}, true
			}
		}
	case "sets.intersects":
		for i := range 2 {
			if about, ok := t.list(args[i]); ok && !strings.HasSuffix(about, "[]") {
				if values, ok := t.valueList(args[1-i], about); ok {
					return fact{kind: factHas, about: about, values: values}, true
				}
			}
		}
	case "startsWith":
		about, ok := t.single(call.Target())
		prefix, is := textLiteral(args[0])
		if ok && is && call.Target().Kind() == celast.IdentKind { // a claim may be no text
			return fact{kind: factBegins, about: about, prefix: prefix}, true
		}
	}
	return fact{}, false
}

// single names what has one value: a text of the vocabulary, or a claim.
func (t *checkedText) single(e celast.Expr) (string, bool) {
	if e.Kind() == celast.IdentKind {
		v, ok := t.lang.names[e.AsIdent()]
		return e.AsIdent(), ok && v.kind == cel.StringType
	}
	path, ok := memberPath(e)
	return memberName(path), ok && mapOfTheVocabulary(path[0])
}

// list names what has several values. A claim that is asked so is another thing than
// one that is compared as a whole, and fails for other reasons.
func (t *checkedText) list(e celast.Expr) (string, bool) {
	if e.Kind() == celast.IdentKind {
		v, ok := t.lang.names[e.AsIdent()]
		return e.AsIdent(), ok && v.kind.IsExactType(cel.ListType(cel.StringType))
	}
	path, ok := memberPath(e)
	return memberName(path) + "[]", ok && path[0] == nameClaims && len(path) > 1
}

// memberName writes a path such that two paths never look alike.
func memberName(path []string) string {
	var b strings.Builder
	for i, name := range path {
		switch {
		case i == 0:
			b.WriteString(name)
		case isIdentifier(name):
			b.WriteString("." + name)
		default:
			b.WriteString("[" + strconv.Quote(name) + "]")
		}
	}
	return b.String()
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// value writes a literal such that values which are equal are written alike.
func (t *checkedText) value(e celast.Expr, about string) (string, bool) {
	if e.Kind() != celast.LiteralKind {
		return "", false
	}
	typed := !strings.HasPrefix(about, nameClaims)
	switch v := e.AsLiteral().(type) {
	case types.String:
		if typed {
			return string(v), true
		}
		return strconv.Quote(string(v)), true
	case types.Bool:
		return strconv.FormatBool(bool(v)), !typed
	case types.Int:
		return number(float64(v), typed)
	case types.Uint:
		return number(float64(v), typed)
	case types.Double:
		return number(float64(v), typed)
	}
	return "", false
}

// number knows that 1, 1u and 1.0 are equal, and leaves alone what is not exact.
func number(f float64, typed bool) (string, bool) {
	if typed || math.IsNaN(f) || math.Abs(f) >= maxExact {
		return "", false
	}
	return strconv.FormatFloat(f+0, 'g', -1, 64), true
}

func (t *checkedText) valueList(e celast.Expr, about string) ([]string, bool) {
	if e.Kind() != celast.ListKind || len(e.AsList().OptionalIndices()) > 0 {
		return nil, false
	}
	values := []string{}
	for _, item := range e.AsList().Elements() {
		v, ok := t.value(item, about)
		if !ok {
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}

// constant evaluates what names nothing.
func (t *checkedText) constant(e celast.Expr) (value, ok bool) {
	if e.Kind() == celast.LiteralKind {
		b, ok := e.AsLiteral().(types.Bool)
		return bool(b), ok
	}
	if len(freeNames(e)) > 0 {
		return false, false
	}
	part := celast.NewCheckedAST(celast.NewAST(e, t.ast.SourceInfo()), t.ast.TypeMap(), t.ast.ReferenceMap())
	program, err := t.lang.env.PlanProgram(part, cel.CostLimit(maxCost))
	if err != nil {
		return false, false
	}
	out, _, err := program.Eval(cel.NoVars())
	if err != nil {
		return false, false
	}
	b, ok := out.(types.Bool)
	return bool(b), ok
}

// freeNames are the names of the vocabulary in an expression.
func freeNames(e celast.Expr) []string {
	var names []string
	celast.PostOrderVisit(e, celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() == celast.IdentKind && !slices.Contains(names, e.AsIdent()) && (strings.Contains(e.AsIdent(), ".") || e.AsIdent() == "now") {
			names = append(names, e.AsIdent())
		}
	}))
	return names
}

// memberPath takes a chain of members apart: identity.claims, realm, roles. An index
// that is text is a member, too.
func memberPath(e celast.Expr) ([]string, bool) {
	switch e.Kind() { //nolint:exhaustive // nothing else leads into an object
	case celast.IdentKind:
		return []string{e.AsIdent()}, strings.Contains(e.AsIdent(), ".")
	case celast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return nil, false
		}
		path, ok := memberPath(e.AsSelect().Operand())
		return append(path, e.AsSelect().FieldName()), ok
	case celast.CallKind:
		if call := e.AsCall(); call.FunctionName() == operators.Index {
			path, ok := memberPath(call.Args()[0])
			name, is := textLiteral(call.Args()[1])
			return append(path, name), ok && is
		}
	}
	return nil, false
}

// show writes an expression for people.
func (t *checkedText) show(e celast.Expr) string {
	text, err := parser.Unparse(e, t.ast.SourceInfo())
	if err != nil {
		return "a part of it"
	}
	return short(strings.Join(strings.Fields(text), " "))
}

func textLiteral(e celast.Expr) (string, bool) {
	if e.Kind() != celast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// forPeople is the language with a memory of how macros were written.
func (l *language) forPeople() (*language, error) {
	env, err := l.env.Extend(cel.EnableMacroCallTracking())
	if err != nil {
		return nil, err
	}
	return &language{env: env, names: l.names}, nil
}
