package lint_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/lint"
)

var update = flag.Bool("update", false, "write docs/lint.md anew")

const page = "../../docs/lint.md"

// The page is written by hand up to its codes.
const codesHeading = "## Codes\n"

func TestTheReferenceHasEveryCode(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(data), codesHeading)
	if !found {
		t.Fatalf("%s has no heading %q", page, codesHeading)
	}
	want := head + codesHeading + reference()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(data), want); diff != "" {
		t.Errorf("run go test ./gateway/lint -update (-page +codes):\n%s", diff)
	}
}

// reference is the part of the page that the codes write.
func reference() string {
	var b strings.Builder
	b.WriteString("\nThe examples are parts of a configuration. What a comment names is found on that line.\n\n| code | severity | what |\n|---|---|---|\n")
	for _, c := range lint.Codes() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", c.ID, strings.ToLower(c.ID), c.Severity, c.Title)
	}
	for _, c := range lint.Codes() {
		fmt.Fprintf(&b, "\n### %s\n\n**%s** (%s). %s\n", c.ID, strings.ToUpper(c.Title[:1])+c.Title[1:], c.Severity, c.Why)
		links := make([]string, len(c.References))
		for i, r := range c.References {
			links[i] = "[" + strings.TrimPrefix(r, "Sallyport ") + "](" + lint.ReferenceURL(r) + ")"
		}
		fmt.Fprintf(&b, "%s.\n\n```yaml\n%s```\n\nWrite:\n\n```yaml\n%s```\n", strings.Join(links, ", "), c.Bad, c.Good)
	}
	return b.String()
}

func TestCodesAreWhole(t *testing.T) {
	requirement := regexp.MustCompile(`^(ASVS [0-9]+\.[0-9]+\.[0-9]+|RFC [0-9]+ section [0-9.]+|CWE [0-9]+|OpenID Connect Core 1\.0 section [0-9.]+|Sallyport docs/[a-z-]+\.md)$`)
	var ids []string
	for _, c := range lint.Codes() {
		ids = append(ids, c.ID)
		if c.Title == "" || !strings.HasSuffix(c.Why, ".") || c.Bad == "" || c.Good == "" || len(c.References) == 0 {
			t.Errorf("%s is not whole: %+v", c.ID, c)
		}
		if !slices.Contains([]lint.Severity{lint.Error, lint.Warning, lint.Note}, c.Severity) {
			t.Errorf("%s has the severity %q", c.ID, c.Severity)
		}
		for _, r := range c.References {
			if !requirement.MatchString(r) || lint.ReferenceURL(r) == "" {
				t.Errorf("%s refers to %q, which leads nowhere", c.ID, r)
			}
		}
		if got, ok := lint.Lookup(c.ID); !ok || got.Title != c.Title {
			t.Errorf("Lookup does not find %s", c.ID)
		}
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != len(lint.Codes()) {
		t.Errorf("the codes are not in order, or not each once: %q", ids)
	}
	if _, ok := lint.Lookup("SP000"); ok {
		t.Error("there is a code SP000")
	}
}
