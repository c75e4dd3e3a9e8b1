package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// What an expression may be and cost. The limits of size and depth keep the
// compiler from work without end; that of the cost is for the worst request that
// there can be (see worst), in units of about ten nanoseconds.
const (
	maxExpression = 4096 // code points
	maxDepth      = 40   // of brackets, fields and operators
	maxLoops      = 2    // inside of one another
	maxCost       = 200_000
)

// language compiles expressions (Common Expression Language).
type language struct {
	env   *cel.Env
	names map[string]*variable
}

func newLanguage() (*language, error) {
	l := &language{names: map[string]*variable{}}
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(adapter{}),
		cel.OptionalTypes(),
		ext.Strings(),
		ext.Sets(),
		ext.Network(),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepth),
		cel.Macros(anchoredMacros()...),
		cel.ASTValidators(
			cel.ValidateComprehensionNestingLimit(maxLoops),
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(),
		),
	}
	for _, v := range vocabulary() {
		l.names[v.name] = &v
		options = append(options, cel.Variable(v.name, v.kind))
	}
	var err error
	l.env, err = cel.NewEnv(options...)
	return l, err
}

// expression is a compiled expression. It is safe for concurrent use.
type expression struct {
	source  string
	program cel.Program
	reads   []*variable
	entries []entry // likewise
	lang    *language
}

// compile returns what is wrong with source, and what to write instead.
func (l *language) compile(source string) (e *expression, problem, fix string) {
	parsed, issues := l.env.Parse(source)
	if err := issues.Err(); err != nil {
		return nil, "is no expression: " + first(issues), `write one such as request.method == "GET"`
	}
	used, problem, fix := l.look(parsed)
	if problem != "" {
		return nil, problem, fix
	}
	entries := entriesOf(parsed) // before the compiler makes one name of identity.claims
	checked, issues := l.env.Check(parsed)
	if err := issues.Err(); err != nil {
		return nil, "is wrong: " + first(issues), "the vocabulary is in docs/policy-language.md"
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		if checked.OutputType().IsExactType(cel.DynType) {
			return nil, "might be anything, since claims have no type", "compare it, such as with == true"
		}
		return nil, fmt.Sprintf("is a %s and neither true nor false", checked.OutputType()), `compare it with something, such as request.method == "GET"`
	}
	estimate, err := l.env.EstimateCost(checked, worst{l.names})
	if err != nil {
		return nil, "is wrong: " + err.Error(), ""
	}
	if estimate.Max > maxCost {
		return nil, fmt.Sprintf("could take too long: %d steps for the largest request, and %d are allowed", estimate.Max, maxCost),
			"leave out loops inside of loops, and compare texts in place of matching them"
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if !linear(checked) {
		options = append(options, cel.CostLimit(maxCost))
	}
	program, err := l.env.Program(checked, options...)
	if err != nil {
		return nil, "is wrong: " + err.Error(), ""
	}
	return &expression{source: source, program: program, reads: used, entries: entries, lang: l}, "", ""
}

// first is the first fault that the compiler found, in one line.
func first(issues *cel.Issues) string {
	all := issues.Errors()
	if len(all) == 0 {
		return "it can't be read"
	}
	text := strings.Join(strings.Fields(all[0].Message), " ")
	return fmt.Sprintf("%s (line %d, column %d)", text, all[0].Location.Line(), all[0].Location.Column()+1)
}

// look finds the names of the vocabulary in an expression, and those that are not
// in it. The compiler would speak of an "undeclared reference", and know no better
// word.
func (l *language) look(parsed *cel.Ast) (used []*variable, problem, fix string) {
	seen := map[string]bool{}
	celast.PostOrderVisit(parsed.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() != celast.SelectKind || e.AsSelect().Operand().Kind() != celast.IdentKind {
			return
		}
		root, member := e.AsSelect().Operand().AsIdent(), e.AsSelect().FieldName()
		name := root + "." + member
		v, ok := l.names[name]
		switch {
		case ok && e.AsSelect().IsTestOnly():
			problem, fix = fmt.Sprintf("asks whether there is %s, which is always there", name), fmt.Sprintf(`compare it, such as %s != ""`, name)
		case ok && !seen[name]:
			seen[name] = true
			used = append(used, v)
		case !ok && l.isRoot(root):
			problem, fix = fmt.Sprintf("there is no %s", name), l.suggest(name)
		}
	}))
	if _, ok := l.names["now"]; ok && mentions(parsed, "now") {
		used = append(used, l.names["now"])
	}
	return used, problem, fix
}

func mentions(parsed *cel.Ast, name string) bool {
	found := false
	celast.PostOrderVisit(parsed.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		found = found || e.Kind() == celast.IdentKind && e.AsIdent() == name
	}))
	return found
}

func (l *language) isRoot(name string) bool {
	for known := range l.names {
		if strings.HasPrefix(known, name+".") {
			return true
		}
	}
	return false
}

// suggest names what was probably meant.
func (l *language) suggest(name string) string {
	best, distance := "", 4
	for known := range l.names {
		if d := editDistance(name, known); d < distance || d == distance && known < best {
			best, distance = known, d
		}
	}
	if best == "" {
		root, _, _ := strings.Cut(name, ".")
		return "write one of " + strings.Join(l.members(root), ", ")
	}
	return "did you mean " + best + "?"
}

func (l *language) members(root string) []string {
	var all []string
	for _, v := range vocabulary() {
		if strings.HasPrefix(v.name, root+".") {
			all = append(all, v.name)
		}
	}
	return all
}

// editDistance counts the letters to insert, delete or replace (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// names reports whether the expression reads a name; a nil one reads none.
func (e *expression) names(name string) bool {
	return e != nil && slices.ContainsFunc(e.reads, func(v *variable) bool { return v.name == name })
}

var errNotBool = errors.New("the expression is neither true nor false")

// holds evaluates the expression.
func (e *expression) holds(in *Input) (bool, error) {
	a := newActivation(e.lang, in)
	defer a.free()
	value, _, err := e.program.Eval(a)
	if err != nil {
		return false, err
	}
	answer, ok := value.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(answer), nil
}
