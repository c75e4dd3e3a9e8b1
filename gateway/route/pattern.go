package route

import (
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/sallyport/sallyport/policy"
)

type patternKind uint8

const (
	exactPath patternKind = iota
	prefixPath
	regexpPath
)

// pattern is a compiled path of the configuration.
type pattern struct {
	kind    patternKind
	text    string // what makes two patterns identical: the path, or the expression
	literal string // what every path that fits begins with
	re      *regexp.Regexp
}

// length is what precedence compares: how much literal text the pattern fixes.
// The slash at the end of a prefix does not count, since "/admin/" and "/admin"
// are the same prefix.
func (p *pattern) length() int { return len(p.literal) }

// String returns the pattern as the configuration writes it.
func (p *pattern) String() string {
	switch p.kind {
	case exactPath:
		return "=" + p.text
	case regexpPath:
		return "~" + p.text
	case prefixPath:
	}
	return p.text
}

// parsePattern reads a path of the configuration:
//
//   - "/admin" or "/admin/" is a prefix on whole segments: it covers /admin,
//     /admin/ and everything below, and not /administrator;
//   - "=/admin" is that one path;
//   - "~^/v[0-9]+/.*" is a regular expression (RE2) for the whole path. It is
//     anchored at both ends, so that it must say .* where it means everything
//     below.
func parsePattern(s string) (p pattern, problem string) {
	if expr, ok := strings.CutPrefix(s, "~"); ok {
		return parseRegexp(expr)
	}
	p.kind = prefixPath
	text, exact := strings.CutPrefix(s, "=")
	if exact {
		p.kind = exactPath
	}
	switch {
	case !strings.HasPrefix(text, "/"):
		return p, `does not begin with a slash: write "/x" for a prefix, "=/x" for one path, "~/x/.*" for a regular expression`
	case strings.Contains(text, "%"):
		return p, "has a percent sign: write the characters themselves, paths are decoded before they are compared"
	case strings.ContainsAny(text, "*"):
		return p, "has a star: a prefix covers everything below it anyway; a regular expression begins with ~"
	}
	if canonical, err := Canonical(text, false); err != nil || canonical != text {
		return p, "can never be matched: write it without dot segments, empty segments, parameters, backslashes, # and ?"
	}
	p.text = text
	if !exact && text != "/" {
		p.text = strings.TrimSuffix(text, "/")
	}
	p.literal = p.text
	return p, ""
}

func parseRegexp(expr string) (p pattern, problem string) {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return p, "is no regular expression: " + err.Error()
	}
	p = pattern{kind: regexpPath, text: expr, literal: literalPrefix(parsed.Simplify())}
	if p.re, err = regexp.Compile(`\A(?:` + expr + `)\z`); err != nil {
		return p, "is no regular expression: " + err.Error()
	}
	return p, ""
}

// literalPrefix returns the text that everything the expression matches begins
// with. Anchors do not count: every expression is anchored.
func literalPrefix(re *syntax.Regexp) string {
	s, _ := literalOf(re)
	return s
}

// literalOf also reports whether the expression is nothing but that text.
func literalOf(re *syntax.Regexp) (s string, whole bool) {
	switch re.Op { //nolint:exhaustive // every other operator ends the literal
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return "", false
		}
		return string(re.Rune), true
	case syntax.OpBeginText, syntax.OpBeginLine, syntax.OpEmptyMatch:
		return "", true
	case syntax.OpCapture:
		return literalOf(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			part, whole := literalOf(sub)
			s += part
			if !whole {
				return s, false
			}
		}
		return s, true
	}
	return "", false
}

// fits reports whether the expression matches the whole path.
func (p *pattern) fits(path string) bool {
	return strings.HasPrefix(path, p.literal) && p.re.MatchString(path)
}

// ParsePath compiles a path as routes write it, for others who describe paths: the
// rules of policies. problem says what is wrong with it.
func ParsePath(s string) (p policy.Path, problem string) {
	one, problem := parsePattern(s)
	if problem != "" {
		return nil, problem
	}
	return &one, ""
}

// Fits reports whether the pattern covers a canonical path.
func (p *pattern) Fits(path string) bool {
	switch p.kind {
	case exactPath:
		return path == p.text
	case regexpPath:
		return p.fits(path)
	case prefixPath:
	}
	rest, ok := strings.CutPrefix(path, p.text)
	return ok && (rest == "" || rest[0] == '/' || p.text == "/")
}
