package compat

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// converted is what one regular expression of oauth2-proxy, which is searched for
// anywhere in a path, is as paths of a route, which match it from end to end.
type converted struct {
	paths    []string
	narrowed bool // it matched more than the paths do
	open     bool // it matches whatever begins like this
}

// pathPattern converts an expression. No path that it makes matches what the
// expression does not. ok is false where that can't be said.
//
// An expression without ^ that begins with a slash is anchored at the start, which
// is what is nearly always meant: /public/ would otherwise open /admin/public/.
func pathPattern(expr string) (c converted, ok bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return converted{}, false
	}
	branches, whole := []*syntax.Regexp{re}, re
	for whole.Op == syntax.OpCapture {
		whole = whole.Sub[0]
	}
	if whole.Op == syntax.OpAlternate {
		branches = whole.Sub
	}
	for _, branch := range branches {
		if !c.add(branch) {
			return converted{}, false
		}
	}
	for _, p := range c.paths {
		if strings.HasPrefix(p, "~") {
			if _, err := regexp.Compile(p[1:]); err != nil || !strings.HasPrefix(p, "~^/") {
				return converted{}, false
			}
		}
	}
	return c, len(c.paths) > 0
}

// add converts one alternative.
func (c *converted) add(re *syntax.Regexp) bool {
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = slices.Clone(re.Sub)
	}
	start, end := false, false
	for len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		start, parts = true, parts[1:]
	}
	for len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText {
		end, parts = true, parts[:len(parts)-1]
	}
	for len(parts) > 0 && parts[0].Op == syntax.OpEmptyMatch {
		parts = parts[1:]
	}
	if slices.ContainsFunc(parts, anchored) {
		return false
	}
	tail := ""
	if !end {
		tail, c.open = ".*", true
	}
	rest, slash := cutSlash(parts)
	switch {
	case len(parts) == 0 && start && end: // no path is empty
		return true
	case len(parts) == 0:
		c.paths = append(c.paths, "~^/.*")
	case slash:
		c.narrowed = c.narrowed || !start
		c.paths = append(c.paths, literalOr(rest, "~^/"+text(rest)+tail, end))
	case !start:
		// Every path begins with a slash, and this does not, so that it can't begin there.
		c.paths = append(c.paths, "~^/.*"+text(parts)+tail)
	case anything(parts[0]):
		c.paths = append(c.paths, "~^/.*"+text(parts[1:])+tail)
		if rest, slash := cutSlash(parts[1:]); slash {
			c.paths = append(c.paths, literalOr(rest, "~^/"+text(rest)+tail, end))
		}
	default:
		return false
	}
	return true
}

// cutSlash takes the slash off that a path begins with.
func cutSlash(parts []*syntax.Regexp) (rest []*syntax.Regexp, ok bool) {
	if len(parts) == 0 || parts[0].Op != syntax.OpLiteral || parts[0].Rune[0] != '/' {
		return nil, false
	}
	first := *parts[0]
	first.Rune = first.Rune[1:]
	if len(first.Rune) == 0 {
		return parts[1:], true
	}
	return append([]*syntax.Regexp{&first}, parts[1:]...), true
}

// literalOr returns an exact path where the expression is one.
func literalOr(rest []*syntax.Regexp, expr string, end bool) string {
	switch {
	case !end || len(rest) > 1:
		return expr
	case len(rest) == 0:
		return "=/"
	case rest[0].Op == syntax.OpLiteral && rest[0].Flags&syntax.FoldCase == 0 && !strings.ContainsAny(string(rest[0].Rune), `*?#\%`):
		return "=/" + string(rest[0].Rune)
	}
	return expr
}

func text(parts []*syntax.Regexp) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Op == syntax.OpAlternate {
			b.WriteString("(?:" + p.String() + ")")
			continue
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// anchored reports whether an expression looks at where it is.
func anchored(re *syntax.Regexp) bool {
	places := []syntax.Op{syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpWordBoundary, syntax.OpNoWordBoundary}
	return slices.Contains(places, re.Op) || slices.ContainsFunc(re.Sub, anchored)
}

// anything is .* in one of its spellings.
func anything(re *syntax.Regexp) bool {
	return re.Op == syntax.OpStar && (re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL)
}
