package policy

import (
	"regexp/syntax"
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
)

// loose says what a comparison of a part of a text takes in besides what was meant,
// or "". name is what it looks at, as leaf.subject has it.
func loose(name, function, text string) string {
	switch function {
	case "matches":
		return loosePattern(name, text)
	case "contains":
		if name == aboutEmail || name == aboutPath || name == aboutHost || name == aboutSubject || name == aboutIssuer || name == aboutGroups || strings.HasPrefix(name, nameClaims) {
			return "anything can stand before and after " + quoted(text)
		}
	case "startsWith":
		return looseStart(name, text)
	case "endsWith":
		switch {
		case name == aboutEmail && !strings.HasPrefix(text, ".") && !strings.Contains(text, "@"):
			return "also holds for x@evil-" + text
		case name == aboutHost && !strings.HasPrefix(text, "."):
			return "also holds for evil-" + text
		case name == aboutPath:
			return "holds for any path with " + quoted(text) + " at its end"
		}
	}
	return ""
}

func looseStart(name, text string) string {
	switch name {
	case aboutEmail:
		if local, domain, ok := strings.Cut(text, "@"); !ok || !strings.Contains(domain, ".") {
			return "holds for addresses of any domain"
		} else if local != "" {
			return "also holds for " + text + ".evil.example"
		}
	case aboutPath:
		if text != "" && !strings.HasSuffix(text, "/") {
			return "also holds for " + text + "istrators and the like, not only below " + text + "/"
		}
	case aboutIssuer:
		if !strings.HasSuffix(text, "/") {
			return "also holds for " + text + ".evil.example"
		}
	case aboutHost:
		return "also holds for " + text + ".evil.example"
	case "client.address":
		return "compares the digits of an address and not its network"
	}
	return ""
}

// loosePattern looks at a regular expression, which has to match the whole text.
func loosePattern(name, pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	re = re.Simplify()
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	first, last := parts[0], parts[len(parts)-1]
	switch {
	case len(parts) == 1 && anything(first):
		return "matches everything"
	case anything(first) && anything(last):
		return "matches wherever the text has the rest of the pattern in it"
	case anything(last) && name == aboutEmail:
		return "anything can follow, such as .evil.example"
	case anything(last) && name == aboutPath && !slashBefore(parts):
		return "goes on after the last segment: /admin.* also matches /administrators"
	}
	if name == aboutEmail || name == aboutHost || name == aboutIssuer {
		for i := 1; i < len(parts)-1; i++ {
			dot := parts[i].Op == syntax.OpAnyCharNotNL || parts[i].Op == syntax.OpAnyChar
			if dot && parts[i-1].Op == syntax.OpLiteral && parts[i+1].Op == syntax.OpLiteral {
				return "has a . that stands for any character, between " + quoted(string(parts[i-1].Rune)) + " and " + quoted(string(parts[i+1].Rune))
			}
		}
	}
	return ""
}

func anything(re *syntax.Regexp) bool {
	return (re.Op == syntax.OpStar || re.Op == syntax.OpPlus) && (re.Sub[0].Op == syntax.OpAnyCharNotNL || re.Sub[0].Op == syntax.OpAnyChar)
}

func slashBefore(parts []*syntax.Regexp) bool {
	if len(parts) < 2 {
		return true
	}
	before := parts[len(parts)-2]
	return before.Op != syntax.OpLiteral || before.Rune[len(before.Rune)-1] == '/'
}

// patternOf is the pattern of matches() as it was written (see anchored).
func patternOf(e celast.Expr) (string, bool) {
	s, ok := textLiteral(e)
	s, front := strings.CutPrefix(s, `\A(?:`)
	s, back := strings.CutSuffix(s, `)\z`)
	return s, ok && front && back
}

// impossibleText says why a name of the vocabulary is never that text, or never
// has it in it, or "". part is for comparisons with a part of it.
func impossibleText(name, text string, part bool) string {
	switch name {
	case aboutEmail, aboutHost:
		if strings.Map(foldASCII, text) != text {
			return "it is in lower case"
		}
		if name == aboutHost && !part && strings.Contains(text, ":") && !strings.Contains(text, "::") {
			return "it has no port"
		}
	case aboutMethod:
		if !part && strings.ToUpper(text) != text {
			return "methods are written in capitals"
		}
	case aboutPath:
		return impossiblePath(text, part)
	case aboutCredential:
		kinds := []string{"session", "bearer", "introspection", "api_key", "basic", "client_cert"}
		if !part && !slices.Contains(kinds, text) {
			return "it is one of " + strings.Join(kinds, ", ")
		}
	case "client.address":
		if !part && text != "" && canonicalAddress(text) != text {
			return "it is one address in its shortest form; cidr is for networks"
		}
	}
	return ""
}

func impossiblePath(text string, part bool) string {
	switch {
	case !part && !strings.HasPrefix(text, "/"):
		return "it begins with a slash"
	case strings.Contains(text, "//"):
		return "it has no empty segments"
	case strings.ContainsAny(text, `?#\;`):
		return "it ends before ? and #, and has neither parameters nor backslashes"
	}
	for segment := range strings.SplitSeq(text, "/") {
		if !part && (segment == "." || segment == "..") {
			return "it has no dot segments"
		}
	}
	return ""
}

func canonicalAddress(text string) string {
	network, problem := parseNetwork(text)
	if problem != "" || network.Bits() != network.Addr().BitLen() || strings.Contains(text, "/") {
		return ""
	}
	return network.Addr().String()
}

// impossibleHeader says why there is never such a header field, or "".
func impossibleHeader(name string) string {
	switch {
	case HeaderName(name) != name:
		return "names of header fields are in lower case there, with - between the words"
	case CarriesCredential(name):
		return "credentials are never there"
	}
	return ""
}

// selfAsserted are the claims that users can usually write themselves (OpenID
// Connect Core 1.0, section 5.1).
func selfAsserted(claim string) bool {
	switch claim {
	case "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
		"gender", "birthdate", "zoneinfo", "locale", "address":
		return true
	}
	return false
}
