package policy

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated parts of docs/policy-language.md anew")

const referencePage = "../docs/policy-language.md"

// referenceRequest is the request that the examples of the page speak of.
func referenceRequest() *Input {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	return &Input{
		Route: "app",
		Identity: Identity{
			Issuer: "https://id.example.com", Subject: "alice", Email: "Alice@Example.com", EmailVerified: true,
			Name: "Alice Adams", PreferredUsername: "alice", Groups: []string{"staff", "team-red"},
			ACR: "mfa", AMR: []string{"pwd", "otp"}, AuthTime: now.Add(-10 * time.Minute), Provider: "corp", Credential: "session",
			Claims: referenceClaims{"tenant": "acme", "level": 3.0, "roles": []any{"auditor"}},
		},
		Request: Request{
			Method: "GET", Host: "app.example.com", Path: "/acme/reports/7", RawQuery: "format=pdf",
			Header: map[string][]string{"X-Tenant": {"acme"}, "Cookie": {"secret"}},
		},
		Client: Client{Address: netip.MustParseAddr("10.1.2.3")},
		Now:    now,
	}
}

type referenceClaims map[string]any

func (c referenceClaims) Claim(name string) any { return c[name] }
func (c referenceClaims) All() map[string]any   { return c }

func referenceEngine(t *testing.T) *Engine {
	t.Helper()
	e, err := NewEngine(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// generated are the parts of the page that the code writes, by their name.
func generated(e *Engine) map[string]string {
	var names strings.Builder
	names.WriteString("| name | type | in the examples | meaning |\n|---|---|---|---|\n")
	for _, n := range e.Vocabulary(referenceRequest()) {
		fmt.Fprintf(&names, "| `%s` | `%s` | `%s` | %s |\n", n.Name, n.Type, n.Value, n.Doc)
	}
	limits := fmt.Sprintf(`| what | at most |
|---|---|
| an expression | %d characters |
| brackets, fields and operators inside of one another | %d |
| loops inside of one another | %d |
| the pattern of `+"`matches()`"+` | %d bytes |
| steps for the largest request | %d |
| parameters of a query | %d |
`, maxExpression, maxDepth, maxLoops, maxPattern, maxCost, MaxParameters)
	return map[string]string{
		"version": fmt.Sprintf("This is version %d of the vocabulary.\n", Version),
		"names":   names.String(),
		"limits":  limits,
	}
}

var generatedPart = regexp.MustCompile(`(?s)<!-- generated: ([a-z]+) -->\n.*?<!-- end -->`)

func TestTheReferencePageIsThatOfTheCode(t *testing.T) {
	page := readPage(t)
	parts := generated(referenceEngine(t))
	want := generatedPart.ReplaceAllStringFunc(page, func(part string) string {
		name := generatedPart.FindStringSubmatch(part)[1]
		text, ok := parts[name]
		if !ok {
			t.Errorf("nothing writes the part %s", name)
		}
		delete(parts, name)
		return "<!-- generated: " + name + " -->\n\n" + text + "\n<!-- end -->"
	})
	for name := range parts {
		t.Errorf("the page has no place for %s", name)
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(referencePage, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, page); d != "" {
		t.Errorf("the page is stale; go test ./policy -run Reference -update writes it (-want +got):\n%s", d)
	}
}

func readPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is the text below a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readPage(t), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the page has no section %q", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// rows are the cells of the tables of a section, without their headings. A bar in
// a cell is written \|.
func rows(t *testing.T, heading string) [][]string {
	t.Helper()
	const bar = "\x00"
	var all [][]string
	lines := strings.Split(section(t, heading), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "| ") || i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, bar), "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(strings.ReplaceAll(cells[j], bar, "|"))
		}
		all = append(all, cells)
	}
	return all
}

// code is what stands between backticks.
func code(cell string) []string {
	var all []string
	for _, m := range regexp.MustCompile("`` ?(.+?) ?``|`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1]+m[2])
	}
	return all
}

// answer is what an expression is for the request of the page.
func answer(e *Engine, source string) (string, error) {
	expr, problem, fix := e.lang.compile(source)
	if problem != "" {
		return "refused", fmt.Errorf("%s: %s", problem, fix)
	}
	holds, err := expr.holds(referenceRequest())
	if err != nil {
		return "error", err
	}
	return fmt.Sprint(holds), nil
}

func TestTheExamplesOfTheReferenceAreTrue(t *testing.T) {
	e := referenceEngine(t)
	seen := 0
	for _, heading := range []string{"Examples", "Operators", "Functions"} {
		for _, row := range rows(t, heading) {
			for _, source := range code(row[1]) {
				seen++
				if got, err := answer(e, source); got != "true" {
					t.Errorf("%s: %s is %s, %v", heading, source, got, err)
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d examples were found", seen)
	}
	if examples := len(rows(t, "Examples")); examples < 10 {
		t.Errorf("there are %d examples", examples)
	}
}

func TestTheMistakesOfTheReferenceAreMistakes(t *testing.T) {
	e := referenceEngine(t)
	all := rows(t, "Mistakes")
	if len(all) < 5 {
		t.Fatalf("%d mistakes were found", len(all))
	}
	for _, row := range all {
		written, outcome, instead := code(row[0]), row[1], code(row[3])
		if len(written) != 1 || len(instead) == 0 {
			t.Fatalf("%v", row)
		}
		if got, err := answer(e, written[0]); got != outcome {
			t.Errorf("%s is %s (%v), and the page says %s", written[0], got, err, outcome)
		}
		for _, source := range instead {
			if got, err := answer(e, source); got != "true" && got != "false" {
				t.Errorf("%s is %s: %v", source, got, err)
			}
		}
	}
}

// TestEveryFunctionIsInTheReference: one that came with a new version of the library
// would else become a part of the language without anybody's saying so.
func TestEveryFunctionIsInTheReference(t *testing.T) {
	e := referenceEngine(t)
	documented, there := map[string]bool{}, map[string]bool{}
	for _, row := range rows(t, "Functions") {
		for _, name := range code(row[0]) {
			documented[name] = true
		}
	}
	for name := range e.lang.env.Functions() {
		there[name] = true
	}
	for _, m := range e.lang.env.Macros() {
		there[m.Function()] = true
	}
	isOperator := regexp.MustCompile(`^[^a-z]|_$|^in$`)
	for name := range there {
		if !documented[name] && !isOperator.MatchString(name) {
			t.Errorf("%s is not on the page", name)
		}
	}
	for name := range documented {
		if !there[name] {
			t.Errorf("the page has %s, and the language has not", name)
		}
	}
}
