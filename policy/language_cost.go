package policy

import (
	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
)

// linear reports whether an expression takes no longer than it takes to read what it
// names, once for each time that it does. Requests and identities are bounded, and
// so is it then. Others count their steps while they run, for an input that is
// larger than the estimate thought of; that costs more than most of them do.
func linear(checked *cel.Ast) bool {
	is := true
	celast.PostOrderVisit(checked.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		switch e.Kind() { //nolint:exhaustive // every other kind is a value
		case celast.ComprehensionKind:
			is = false
		case celast.CallKind:
			is = is && linearCall(e.AsCall().FunctionName())
		}
	}))
	return is
}

func linearCall(name string) bool {
	switch name {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional, operators.Equals, operators.NotEquals,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.In, operators.OldIn, operators.Index,
		operators.OptIndex, operators.OptSelect, operators.Add, operators.Subtract,
		"startsWith", "endsWith", "contains", "matches", "size", "lowerAscii", "upperAscii", "duration", "timestamp", "orValue", "hasValue",
		"getHours", "getMinutes", "getDayOfWeek", "getDate", "getMonth", "getFullYear", "cidr", "ip", "containsIP", "containsCIDR", "isIP":
		return true
	}
	return false
}

// worst estimates costs for the largest request that there can be.
type worst struct{ names map[string]*variable }

var _ cost.Estimator = worst{}

// EstimateSize implements cost.Estimator.
func (w worst) EstimateSize(element cost.AstNode) *cost.SizeEstimate {
	path := element.Path()
	if len(path) == 0 {
		return nil
	}
	v, ok := w.names[path[0]]
	switch {
	case !ok:
		return nil
	case len(path) == 1:
		return &cost.SizeEstimate{Max: v.size}
	default:
		return &cost.SizeEstimate{Max: max(v.item, 1)}
	}
}

// EstimateCallCost implements cost.Estimator. The library knows how large x.y and
// x[?y] are by their path, and of x.?y nothing.
func (w worst) EstimateCallCost(function, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	if function != operators.OptSelect {
		return nil
	}
	item := cost.SizeEstimate{Max: worstItem}
	held := cost.SizeEstimate{Max: worstItem, Elem: &item}
	return &cost.CallEstimate{CostEstimate: cost.FixedCostEstimate(1), ResultSize: &cost.SizeEstimate{Max: worstItem + 1, Elem: &held}}
}
