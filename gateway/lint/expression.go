package lint

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// wideExpression says what is wide about an expression.
func wideExpression(text string, re *syntax.Regexp) (problem, fix string) {
	if strings.HasPrefix(text, "^/.*") || strings.HasPrefix(text, "^/.+") || strings.HasPrefix(text, "^/(.*") {
		return "begins with anything, so that it fits below every other path", "begin with the folder that is meant, as in ~^/styles/[a-z]+\\.css"
	}
	if hasLooseDot(re, false) {
		return "has a dot that stands for any character", `write \. for a dot, and [^/]+ for a segment`
	}
	return "", ""
}

// hasLooseDot finds a dot that is not repeated: that one is mostly meant as a dot.
func hasLooseDot(re *syntax.Regexp, repeated bool) bool {
	switch re.Op { //nolint:exhaustive // the others hold no dot themselves
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return !repeated
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		repeated = true
	}
	return slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return hasLooseDot(sub, repeated) })
}

// takesAll reports whether an expression takes whatever begins with a prefix.
func takesAll(expression, prefix string) bool {
	literal, ok := strings.CutSuffix(expression, ".*")
	literal, anchored := strings.CutPrefix(literal, "~^")
	plain := strings.TrimSuffix(prefix, "/")
	if prefix == "/" {
		plain = prefix
	}
	return ok && anchored && literal == plain
}

// literal is what everything begins with that an expression fits.
func literal(path string) string {
	re, err := syntax.Parse(strings.TrimPrefix(path, "~"), syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, sub := range append([]*syntax.Regexp{re}, re.Sub...) {
		switch sub.Op { //nolint:exhaustive // every other operator ends the literal
		case syntax.OpConcat, syntax.OpBeginText, syntax.OpBeginLine:
			continue
		case syntax.OpLiteral:
			b.WriteString(string(sub.Rune))
			continue
		}
		break
	}
	return b.String()
}
