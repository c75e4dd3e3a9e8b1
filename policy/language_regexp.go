package policy

import (
	"fmt"
	"regexp"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// maxPattern bounds a regular expression, whose program grows with it.
const maxPattern = 512

// anchoredMacros make matches() mean the whole text. CEL's own looks for a part,
// so that matches("admin") would hold for "not-admin", and nobody expects that of
// a rule. The pattern must be written in the policy: one that came with a request
// would be the client's.
func anchoredMacros() []cel.Macro {
	return []cel.Macro{
		cel.ReceiverMacro("matches", 1, func(f cel.MacroExprFactory, target celast.Expr, args []celast.Expr) (celast.Expr, *common.Error) {
			pattern, err := anchored(f, args[0])
			if err != nil {
				return nil, err
			}
			return f.NewMemberCall("matches", target, pattern), nil
		}),
		cel.GlobalMacro("matches", 2, func(f cel.MacroExprFactory, _ celast.Expr, args []celast.Expr) (celast.Expr, *common.Error) {
			pattern, err := anchored(f, args[1])
			if err != nil {
				return nil, err
			}
			return f.NewMemberCall("matches", args[0], pattern), nil
		}),
	}
}

func anchored(f cel.MacroExprFactory, arg celast.Expr) (celast.Expr, *common.Error) {
	if arg.Kind() != celast.LiteralKind {
		return nil, f.NewError(arg.ID(), "the pattern of matches() must be written as text")
	}
	pattern, ok := arg.AsLiteral().(types.String)
	if !ok {
		return nil, f.NewError(arg.ID(), "the pattern of matches() must be text")
	}
	if len(pattern) > maxPattern {
		return nil, f.NewError(arg.ID(), fmt.Sprintf("the pattern is longer than %d bytes", maxPattern))
	}
	// By itself first: "a)|(b" is a pattern only between brackets.
	if _, err := regexp.Compile(string(pattern)); err != nil {
		return nil, f.NewError(arg.ID(), err.Error())
	}
	return f.NewLiteral(types.String(`\A(?:` + string(pattern) + `)\z`)), nil
}
