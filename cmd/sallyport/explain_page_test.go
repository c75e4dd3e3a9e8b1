package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestThePageShowsWhatExplainPrints runs the command of the page with the
// configuration of the page.
func TestThePageShowsWhatExplainPrints(t *testing.T) {
	page, err := os.ReadFile("../../docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	yaml := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	console := regexp.MustCompile("(?s)```console\n\\$ sallyport (.*?)\n(.*?)```").FindSubmatch(page)
	if yaml == nil || console == nil {
		t.Fatal("the page has no configuration or no command")
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, yaml[1], 0o600); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(string(console[1]), -1) {
		args = append(args, strings.Trim(word, "'"))
	}
	var stdout, stderr bytes.Buffer
	if code := run(append(args, "-c", config), strings.NewReader(""), &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, &stderr)
	}
	if diff := cmp.Diff(string(console[2]), stdout.String()); diff != "" {
		t.Errorf("the page does not show what is printed: -page +printed\n%s", diff)
	}
}
