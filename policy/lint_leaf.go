package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// leaf is a part of an expression that is true or false by itself, without && and ||
// in it.
type leaf struct {
	*linter
	r    *lintRule
	text *checkedText
	at   string
	e    celast.Expr
	// lets tells whether people come in where the leaf is true; else they are kept
	// out.
	lets  bool
	scope map[string]string // what the variables of loops run over
}

// expressions looks at the parts of every expression.
func (l *linter) expressions(r *lintRule) {
	for i := range r.exprs {
		x := &r.exprs[i]
		l.missing(r, x)
		l.over(r, x)
		w := leaf{linter: l, r: r, text: x.text, at: x.at, scope: map[string]string{}}
		w.walk(x.text.root, r.allow != x.unless)
	}
}

// walk calls look for every leaf.
func (w leaf) walk(e celast.Expr, lets bool) {
	w.e, w.lets = e, lets
	switch e.Kind() { //nolint:exhaustive // the others are leaves
	case celast.ComprehensionKind:
		w.look()
		w.loop(e.AsComprehension())
		return
	case celast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr, operators.Conditional:
			for _, part := range call.Args() {
				w.walk(part, lets)
			}
			return
		case operators.LogicalNot:
			w.walk(call.Args()[0], !lets)
			return
		case operators.Equals, operators.NotEquals:
			// x == true is x.
			for i := range 2 {
				if value, ok := call.Args()[i].AsLiteral().(types.Bool); ok && call.Args()[1-i].Kind() == celast.CallKind {
					w.walk(call.Args()[1-i], lets == (bool(value) == (call.FunctionName() == operators.Equals)))
					return
				}
			}
		}
	}
	w.look()
}

// loop looks at what a loop does with each item.
func (w leaf) loop(c celast.ComprehensionExpr) {
	scope := maps.Clone(w.scope)
	if over := w.subject(c.IterRange()); over != "" {
		scope[c.IterVar()] = over
	}
	w.scope = scope
	if c.LoopStep().Kind() == celast.CallKind {
		for _, part := range c.LoopStep().AsCall().Args() {
			if part.Kind() != celast.IdentKind && part.Kind() != celast.ListKind {
				w.walk(part, w.lets)
			}
		}
	}
}

// subject names what a part looks at: a name of the vocabulary, what a loop runs
// over, or the member of a map.
func (w *leaf) subject(e celast.Expr) string {
	switch e.Kind() { //nolint:exhaustive // nothing else has a name
	case celast.IdentKind:
		if over, ok := w.scope[e.AsIdent()]; ok {
			return over
		}
		if _, ok := w.lang.names[e.AsIdent()]; ok {
			return e.AsIdent()
		}
	case celast.CallKind:
		switch call := e.AsCall(); call.FunctionName() {
		case "lowerAscii", "trim", "orValue", "value":
			return w.subject(call.Target())
		}
	}
	if path, ok := anyPath(e); ok && mapOfTheVocabulary(path[0]) {
		return memberName(path)
	}
	return ""
}

// anyPath is memberPath for members that may be missing, too.
func anyPath(e celast.Expr) ([]string, bool) {
	if e.Kind() == celast.CallKind {
		if call := e.AsCall(); call.FunctionName() == operators.OptSelect || call.FunctionName() == operators.OptIndex {
			path, ok := anyPath(call.Args()[0])
			name, is := textLiteral(call.Args()[1])
			return append(path, name), ok && is
		}
	}
	return memberPath(e)
}

// names are those of the vocabulary in the leaf, also by way of loops.
func (w *leaf) names() []string {
	names := freeNames(w.e)
	celast.PostOrderVisit(w.e, celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() == celast.IdentKind {
			if over, ok := w.scope[e.AsIdent()]; ok {
				names = append(names, over)
			}
		}
	}))
	return names
}

// comparison is one thing that is compared with texts.
type comparison struct {
	subject  string
	function string // ==, in, startsWith, endsWith, contains, matches
	texts    []string
}

// part tells whether only a part of the text is compared.
func (c *comparison) part() bool { return c.function == "endsWith" || c.function == "contains" }

// comparison takes the leaf apart where it compares one thing with texts. negative
// reports that it holds where they differ.
func (w *leaf) comparison() (c comparison, negative, ok bool) {
	if w.e.Kind() != celast.CallKind {
		return c, false, false
	}
	call := w.e.AsCall()
	args := call.Args()
	c.function = call.FunctionName()
	switch c.function {
	case operators.Equals, operators.NotEquals:
		negative = c.function == operators.NotEquals
		c.function = "=="
		for i := range 2 {
			if text, is := textLiteral(args[i]); is {
				c.subject, c.texts = w.subject(args[1-i]), []string{text}
			}
		}
	case operators.In:
		c.function = "in"
		c.subject = w.subject(args[0])
		if args[1].Kind() == celast.ListKind {
			for _, item := range args[1].AsList().Elements() {
				if text, is := textLiteral(item); is {
					c.texts = append(c.texts, text)
				}
			}
		}
	case "startsWith", "endsWith", "contains":
		c.subject = w.subject(call.Target())
		if text, is := textLiteral(args[0]); is {
			c.texts = []string{text}
		}
	case "matches":
		c.subject = w.subject(call.Target())
		if text, is := patternOf(args[0]); is {
			c.texts = []string{text}
		}
	}
	return c, negative, c.subject != "" && len(c.texts) > 0
}

// look judges one leaf.
func (w *leaf) look() {
	names := w.names()
	c, negative, ok := w.comparison()
	if ok {
		w.impossibleTexts(c)
		w.looseTexts(c)
		w.mailOf(c)
		w.unknown(c, negative)
		w.byText(c, names)
	}
	w.header(names, c, ok)
	w.claimedNames(names)
	w.bothMissing()
	w.lists()
	w.clock()
}

func (w *leaf) impossibleTexts(c comparison) {
	for _, text := range c.texts {
		if c.function == "matches" {
			continue
		}
		if why := impossibleText(c.subject, text, c.part() || c.function == "startsWith" && c.subject != aboutPath); why != "" {
			w.found(w.at, lintImpossibleValue, fmt.Sprintf("%s is never %s: %s", c.subject, quoted(text), why),
				"The comparison never holds, or always does where it is turned around.", "write the value as it occurs (docs/policy-language.md)")
		}
	}
}

func (w *leaf) looseTexts(c comparison) {
	if !w.lets {
		return
	}
	for _, text := range c.texts {
		if why := loose(c.subject, c.function, text); why != "" {
			w.found(w.at, lintLooseText, fmt.Sprintf("%s: %s", w.text.show(w.e), why), "People come in by it who were not meant.", looseFix(c.subject))
		}
	}
}

func looseFix(subject string) string {
	switch subject {
	case aboutEmail:
		return `use email_domains or emails, or compare with the @, as in endsWith("@example.com")`
	case aboutPath:
		return "use paths: [/admin], which covers /admin and what is below it"
	case aboutHost, aboutIssuer:
		return "compare the whole of it with =="
	case "client.address":
		return "use cidr"
	}
	return "compare the whole text with == or in"
}

// mailOf finds domains at which anybody can have an address.
func (w *leaf) mailOf(c comparison) {
	if !w.lets || c.subject != aboutEmail || c.function != "endsWith" {
		return
	}
	others := slices.ContainsFunc(w.r.facts, func(f fact) bool {
		return namesPeople(&f) && (f.kind != factOther || !slices.Equal(freeNames(f.expr), []string{aboutEmail}))
	})
	if domain, ok := strings.CutPrefix(c.texts[0], "@"); ok && !others && publicMailDomain(domain) {
		w.found(w.at, lintPublicMail, fmt.Sprintf("anybody can have an address of %s", domain),
			"The rule lets in whoever opens an account there.", "list the addresses under emails, or use groups")
	}
}

// header finds rules that believe what the client says of itself. A comparison with
// the identity, as of a tenant, proves something; and what browsers say of the page
// that asks, that page can't change.
func (w *leaf) header(names []string, c comparison, compared bool) {
	if !slices.Contains(names, nameHeaders) || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "identity.") }) {
		return
	}
	header := ""
	celast.PostOrderVisit(w.e, celast.NewExprVisitor(func(e celast.Expr) {
		if name := headerName(e); name != "" {
			header = name
		}
	}))
	if header == "" || header == "origin" || strings.HasPrefix(header, "sec-fetch-") {
		return
	}
	if why := impossibleHeader(header); why != "" {
		w.found(w.at, lintImpossibleValue, fmt.Sprintf("there is never a header field %q: %s", header, why), "The expression is always an error, or asks for nothing.", "write the name in lower case, or another one")
		return
	}
	switch {
	case w.lets:
		severity := LintWarning
		if slices.ContainsFunc(w.r.facts, func(f fact) bool { return namesPeople(&f) }) {
			severity = LintNote
		}
		w.foundAs(w.at, lintClientControlled, severity, "believes the header field "+header, "Anybody can send any header field.", "ask for something that is proven: the identity, its claims, or client.address")
	case compared && !slices.Equal(c.texts, []string{""}): // to be there is another matter: whoever leaves it out does not get what it is for
		w.found(w.at, lintClientControlled, "keeps out by the header field "+header, "Whoever leaves it out, or changes it, is not kept out.", "ask for something that is proven: the identity, its claims, or client.address")
	}
}

// headerName is the name of the field that a part asks for.
func headerName(e celast.Expr) string {
	switch e.Kind() { //nolint:exhaustive // nothing else asks for a member
	case celast.SelectKind:
		if e.AsSelect().Operand().Kind() == celast.IdentKind && e.AsSelect().Operand().AsIdent() == nameHeaders {
			return e.AsSelect().FieldName()
		}
	case celast.CallKind:
		args := e.AsCall().Args()
		if len(args) != 2 {
			return ""
		}
		of, name := args[0], args[1]
		if e.AsCall().FunctionName() == operators.In {
			of, name = name, of
		}
		if text, ok := textLiteral(name); ok && of.Kind() == celast.IdentKind && of.AsIdent() == nameHeaders {
			return text
		}
	}
	return ""
}

// claimedNames finds what users can write themselves.
func (w *leaf) claimedNames(names []string) {
	for _, name := range names {
		if name == "identity.name" || name == "identity.preferred_username" {
			w.found(w.at, lintUnverifiable, name+" is what the user calls himself", changeableWhy(w.lets), "use the subject, a group, or a claim that the provider vouches for")
		}
	}
	celast.PostOrderVisit(w.e, celast.NewExprVisitor(func(e celast.Expr) {
		if path, ok := anyPath(e); ok && len(path) == 2 && path[0] == nameClaims {
			w.claimed(w.at, path[1], w.lets)
		}
	}))
}

func (l *linter) claimed(at, claim string, lets bool) {
	if selfAsserted(claim) {
		l.found(at, lintUnverifiable, fmt.Sprintf("the claim %s is what the user says of himself", claim), changeableWhy(lets), "use the subject, a group, or a claim that the provider vouches for")
	}
}

func changeableWhy(lets bool) string {
	if lets {
		return "Users can often change it, and so let themselves in."
	}
	return "Users can often change it, and so are not kept out any more."
}

// claimNames is claimedNames for the conditions on claims.
func (l *linter) claimNames(r *lintRule) {
	for i, c := range r.match.Claims {
		l.claimed(fmt.Sprintf("%s.claims[%d].name", r.matchAt, i), c.Name, r.allow)
	}
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
