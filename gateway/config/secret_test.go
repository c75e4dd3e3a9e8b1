package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

func TestReadSecretTakesOneNewlineOff(t *testing.T) {
	tests := map[string]string{"s3cret": "s3cret", "s3cret\n": "s3cret", "s3cret\r\n": "s3cret", "s3cret\n\n": "s3cret\n", " s \n": " s "}
	for content, want := range tests {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.ReadSecret("", file)
		if err != nil || got.Reveal() != want {
			t.Errorf("%q: got %q, %v", content, got.Reveal(), err)
		}
	}
}

func TestReadSecretReadsTheFileAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := config.ReadSecret("", file); err != nil || got.Reveal() != want {
			t.Errorf("got %q, %v", got.Reveal(), err)
		}
	}
}

// CVE-2026-54762: a secret that was lost must not look like one that is empty.
func TestReadSecretNeverAnswersAnEmptySecret(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("x", 64<<10+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ inline, file, want string }{
		"the file is missing":      {"", "testdata/files/none", "secret file testdata/files/none: cannot be read (no such file or directory)"},
		"the file is empty":        {"", "testdata/files/empty", "secret file testdata/files/empty: is empty"},
		"the file is blank":        {"", "testdata/files/blank", "secret file testdata/files/blank: is empty"},
		"the file is a directory":  {"", "testdata/files", "secret file testdata/files: is not a file"},
		"the file is a device":     {"", "/dev/null", "secret file /dev/null: is not a file"},
		"the file is too large":    {"", large, "secret file " + large + ": is larger than 64 KiB"},
		"both are given":           {"inline", "testdata/files/secret", "a secret and a file for it are both configured"},
		"neither of them is given": {"", "", "no secret is configured"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := config.ReadSecret(config.Secret(test.inline), test.file)
			if got != "" || err == nil || err.Error() != test.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	if _, err := config.ReadSecret("", ""); !errors.Is(err, config.ErrNoSecret) {
		t.Errorf("got %v", err)
	}
	if got, err := config.ReadSecret("inline", ""); err != nil || got.Reveal() != "inline" {
		t.Errorf("got %v, %v", got, err)
	}
}
