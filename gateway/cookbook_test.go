package gateway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// example is a part of a page that has policies and the cases that they are asked.
type example struct {
	title    string
	policies string
	cases    string
}

// listsFolder is where the files of values lie that examples name.
const listsFolder = "/etc/sallyport"

var (
	exampleHeading = regexp.MustCompile(`(?m)^#{1,3} (.*)$`)
	yamlBlock      = regexp.MustCompile("(?s)```yaml[^\n]*\n(.*?)```")
	listBlock      = regexp.MustCompile("(?s)```text " + listsFolder + "/([a-z-]+\\.txt)\n(.*?)```")
)

// examplesOf splits a page at its headings, and writes the files that it shows.
func examplesOf(t *testing.T, page string) []example {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	lists := listsOf(t, text)
	var all []example
	starts := exampleHeading.FindAllStringSubmatchIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		e := example{title: text[at[2]:at[3]]}
		for _, m := range yamlBlock.FindAllStringSubmatch(text[at[1]:end], -1) {
			into := &e.policies
			if isCases(m[1]) {
				into = &e.cases
			} else if !isPolicies(m[1]) {
				continue
			}
			if *into != "" {
				t.Errorf("%s: there are two blocks of a kind", e.title)
			}
			*into = strings.ReplaceAll(m[1], listsFolder, lists)
		}
		if e.policies != "" || e.cases != "" {
			all = append(all, e)
		}
	}
	return all
}

// listsOf makes a folder of the files of values that a page shows.
func listsOf(t *testing.T, page string) string {
	t.Helper()
	dir := t.TempDir()
	for _, m := range listBlock.FindAllStringSubmatch(page, -1) {
		if err := os.WriteFile(filepath.Join(dir, m[1]), []byte(m[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// isPolicies reports whether a block of YAML has policies and nothing else.
func isPolicies(block string) bool { return strings.HasPrefix(block, "policies:\n") }

// isCases reports whether a block of YAML has cases for policies.
func isCases(block string) bool {
	return strings.HasPrefix(block, "cases:\n") || strings.HasPrefix(block, "defaults:")
}

// run asks the cases.
func (e *example) run(t *testing.T) *policytest.Report {
	t.Helper()
	cfg, err := config.ParsePolicies("", "policies", []byte(e.policies))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := gateway.CompilePolicies(cfg, policytest.StandIn())
	if err != nil {
		t.Fatal(err)
	}
	file, err := policytest.Parse("cases.yaml", []byte(e.cases), time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return policytest.Run(t.Context(), file, compiled.Find)
}

func TestEveryExampleOfTheCookbookDoesWhatItSays(t *testing.T) {
	t.Parallel()
	examples := examplesOf(t, "../docs/policy-cookbook.md")
	if len(examples) < 30 {
		t.Errorf("the cookbook has %d examples", len(examples))
	}
	for _, e := range examples {
		t.Run(e.title, func(t *testing.T) { e.check(t) })
	}
}

// check runs an example, which must show who comes in and who does not, and every
// rule at work.
func (e *example) check(t *testing.T) {
	t.Helper()
	report := e.run(t)
	letIn, keptOut, reached := false, false, map[string]bool{}
	for i := range report.Results {
		r := &report.Results[i]
		for _, d := range r.Differences {
			t.Errorf("%s: %s: want %s, got %s", r.Case.Name, d.What, d.Wanted, d.Got)
		}
		if r.Err != nil {
			t.Errorf("%s: %v", r.Case.Name, r.Err)
		}
		letIn = letIn || r.Case.Expect.Effect == policy.Allow
		keptOut = keptOut || r.Case.Expect.Effect != policy.Allow
		for _, rule := range r.Explanation.Rules {
			name := r.Policy + ": " + rule.Name
			reached[name] = reached[name] || rule.Fits
		}
	}
	if !letIn || !keptOut {
		t.Error("the cases don't show both who comes in and who does not")
	}
	for name, ok := range reached {
		if !ok {
			t.Errorf("%s: no case reaches this rule", name)
		}
	}
}

// TestACookbookThatLiesIsFound: the cases are really asked, each of them.
func TestACookbookThatLiesIsFound(t *testing.T) {
	t.Parallel()
	opposite := map[string]string{"allow": "deny", "deny": "allow", "step_up": "allow"}
	wanted := regexp.MustCompile(`expect: (?:\{effect: )?(allow|deny|step_up)`)
	changed := 0
	for _, e := range examplesOf(t, "../docs/policy-cookbook.md") {
		for _, at := range wanted.FindAllStringSubmatchIndex(e.cases, -1) {
			lie := e
			word := e.cases[at[2]:at[3]]
			lie.cases = e.cases[:at[2]] + opposite[word] + e.cases[at[3]:]
			if word == "step_up" {
				lie.cases = regexp.MustCompile(`(effect: allow), step_up: \{.*?\}`).ReplaceAllString(lie.cases, "$1")
			}
			if failed := lie.run(t).Failed(); failed != 1 {
				t.Errorf("%s: a changed expectation makes %d cases fail: %s", e.title, failed, e.cases[at[0]:at[1]])
			}
			changed++
		}
	}
	if changed < 150 {
		t.Errorf("only %d expectations were changed", changed)
	}
}
