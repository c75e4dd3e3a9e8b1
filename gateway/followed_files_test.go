package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestFilesOfValuesAreReadAgain: who is named in a file may come in, from when he
// is; and a file that can't be taken changes nothing.
func TestFilesOfValuesAreReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "subjects.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# whom we know\nroot\n")
	s := newSite(t, plan{
		policies: fmt.Sprintf("\n  - {name: known, rules: [{name: known, allow: {subjects_file: %q}}]}", file),
		routes:   "\n  - {name: known, paths: [/known], upstream: $UP, policy: known}",
	})
	status := func(user string) int { return s.as(t, user, "/known").StatusCode }
	if alice, root := status("alice"), status("root"); alice != http.StatusForbidden || root != http.StatusOK {
		t.Fatalf("alice got %d, root %d", alice, root)
	}
	write("root\nalice # since Monday\n")
	poll(t, "alice is let in", func() bool { return status("alice") == http.StatusOK })

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	poll(t, "the log tells", func() bool { return s.log.FilterMessageSnippet("what it held before still counts").Len() == 1 })
	if got := status("alice"); got != http.StatusOK {
		t.Errorf("without the file alice got %d", got)
	}
	write("")
	poll(t, "the log tells of the empty file", func() bool { return s.log.FilterMessageSnippet("what it held before still counts").Len() == 2 })
	if got := status("alice"); got != http.StatusOK {
		t.Errorf("with an empty file alice got %d", got)
	}
	write("mallory\n")
	poll(t, "alice is let in no more", func() bool { return status("alice") == http.StatusForbidden })
	if got := status("mallory"); got != http.StatusOK {
		t.Errorf("mallory got %d", got)
	}
}
