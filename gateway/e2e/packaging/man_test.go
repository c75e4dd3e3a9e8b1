//go:build e2e

package packaging_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestManPagesRenderWithoutWarnings: what is odd in a help text is a warning of the
// formatter, and a page with a line missing.
func TestManPagesRenderWithoutWarnings(t *testing.T) {
	dir := t.TempDir()
	output(t, sallyport, "man", dir)
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	out, err := exec.CommandContext(t.Context(), "groff", append([]string{"-man", "-Tutf8", "-Kutf8", "-ww", "-z"}, pages...)...).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("groff: %v (make test installs it)\n%s", err, out)
	}
}
