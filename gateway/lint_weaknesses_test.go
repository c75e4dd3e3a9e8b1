package gateway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/lint"
)

var codeInComment = regexp.MustCompile(`\bSP[0-9]{3}\b`)

// marked are the codes that the comments of an example name, each with its line.
func marked(example string) []string {
	var all []string
	for i, line := range strings.Split(example, "\n") {
		if _, comment, ok := strings.Cut(line, "  # "); ok {
			for _, code := range codeInComment.FindAllString(comment, -1) {
				all = append(all, fmt.Sprintf("%s on line %d", code, i+1))
			}
		}
	}
	slices.Sort(all)
	return all
}

// secretsOfTheCodes adds to the files of the docs those that are weak.
func secretsOfTheCodes(t *testing.T) string {
	t.Helper()
	dir := secretsOfTheDocs(t)
	weak := "users: [{username: alice, password_hash: '$2a$04$eImiTXuWVxfM37uY4JANjOOXfPNlSh1nMUa9tMx6EHr5TfWBTMBKi'}]\n"
	for name, text := range map[string]string{"world-readable": "a client secret\n", "shared": "0123456789abcdef0123456789abcdef\n", "weak-users.yaml": weak} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "world-readable"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// weaknesses are what is found in a part of a configuration, without the findings
// that it silences.
func weaknesses(t *testing.T, secrets, part string) []lint.Finding {
	t.Helper()
	text := strings.ReplaceAll(lint.Complete(part), "/run/secrets", secrets)
	cfg, err := config.Parse("config.yaml", []byte(text), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := gateway.Check(t.Context(), cfg); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	found, err := gateway.Weaknesses(cfg, ofTheDocs)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(found, func(f lint.Finding) bool { return f.Silenced != "" })
}

// TestWeakExamplesHaveTheirCodesOnTheirLines: what the reference shows as bad is
// found, where the comment says, and nothing else is; what it shows as good is clean.
func TestWeakExamplesHaveTheirCodesOnTheirLines(t *testing.T) {
	t.Parallel()
	secrets := secretsOfTheCodes(t)
	for _, code := range lint.Codes() {
		t.Run(code.ID, func(t *testing.T) {
			var got []string
			for _, f := range weaknesses(t, secrets, code.Bad) {
				line := f.Line
				if f.File != "config.yaml" { // a file that the setting names
					line = lineOf(code.Bad, filepath.Base(f.File))
				}
				got = append(got, fmt.Sprintf("%s on line %d", f.Code, line))
				if f.Problem == "" || f.Why == "" || f.Fix == "" || f.Path == "" {
					t.Errorf("says too little: %+v", f)
				}
			}
			slices.Sort(got)
			want := marked(code.Bad)
			if !slices.Equal(got, want) {
				t.Errorf("found %q\nwant %q", got, want)
			}
			if !slices.ContainsFunc(want, func(s string) bool { return strings.HasPrefix(s, code.ID) }) {
				t.Errorf("the bad example has no comment with the code")
			}
			for _, f := range weaknesses(t, secrets, code.Good) {
				if f.Code == code.ID || f.Severity != lint.Note {
					t.Errorf("the good example has %s: %s: %s", f.Code, f.Path, f.Problem)
				}
			}
		})
	}
}

func lineOf(text, word string) int {
	for i, line := range strings.Split(text, "\n") {
		if strings.Contains(line, word) {
			return i + 1
		}
	}
	return 0
}
