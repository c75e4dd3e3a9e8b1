//go:build e2e && bench && linux

package compare_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/compare"
)

var (
	rounds  = flag.Int("rounds", compare.Full().Rounds, "how often each proxy has its turn")
	seconds = flag.Float64("seconds", compare.Full().Saturated.Seconds(), "how long it is under full load in each round")
	docs    = flag.String("docs", "", "write performance.md's table and performance.svg into this directory")
)

// TestCompare measures, and fails for no figure.
func TestCompare(t *testing.T) {
	s := compare.Full()
	s.Rounds, s.Saturated = *rounds, time.Duration(*seconds*float64(time.Second))
	r := compare.Run(t, s)
	var out strings.Builder
	if err := r.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	for _, note := range r.Notes() {
		fmt.Fprintf(&out, "- %s\n", note)
	}
	fmt.Fprintf(os.Stdout, "\n%s\n", out.String())
	if *docs != "" {
		write(t, r, out.String())
	}
}

// write puts the table where the document has one, between two marks.
func write(t *testing.T, r *compare.Report, table string) {
	t.Helper()
	const begin, end = "<!-- figures: make bench-compare -->\n", "<!-- end of figures -->"
	path := filepath.Join(*docs, "performance.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no marks around its figures", path)
	}
	if err := os.WriteFile(path, []byte(before+begin+table+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(*docs, "performance.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := r.Chart().WriteSVG(f); err != nil {
		t.Fatal(err)
	}
}
