//go:build e2e

package env_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestAPlantedSecretIsFound in whatever form it was written.
func TestAPlantedSecretIsFound(t *testing.T) {
	const secret = "planted/secret+of=the run"
	for name, text := range map[string]string{
		"raw":             "x" + secret + "x",
		"in JSON":         `{"error":"no answer for ` + secret + `"}`,
		"percent-encoded": "?code=" + url.QueryEscape(secret) + "&x",
		"in lower case":   strings.ToLower(url.QueryEscape(secret)),
		"base64":          base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64url":       base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"within base64":   base64.StdEncoding.EncodeToString([]byte("client:" + secret + ":x")),
		"one further":     base64.StdEncoding.EncodeToString([]byte("clients:" + secret + ":x")),
		"two further":     base64.StdEncoding.EncodeToString([]byte("clientss:" + secret + ":x")),
		"hex":             hex.EncodeToString([]byte(secret)),
	} {
		scan := env.NewScan(t.TempDir())
		scan.Secret("password", secret)
		scan.Secret("password", "short")
		scan.Output("http://127.0.0.1:1/metrics", "first line\nshort\nthe line with "+text+" in it\n")
		leaks, secrets, outputs, err := scan.Leaks()
		if err != nil || len(leaks) == 0 || secrets != 1 || outputs != 1 {
			t.Errorf("%s: %v, %v", name, leaks, err)
			continue
		}
		if l := leaks[0]; l.Kind != "password" || strings.Contains(l.Masked+l.Around, secret) || !strings.Contains(l.Around, "the line with") {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestWhatOnlyLooksLikeASecretIsNone(t *testing.T) {
	scan := env.NewScan(t.TempDir())
	scan.Secret("cookie", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB")
	scan.Output("log", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, and AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAC")
	if leaks, _, _, err := scan.Leaks(); err != nil || len(leaks) > 0 {
		t.Errorf("%v, %v", leaks, err)
	}
}

func TestSecretsOfOtherProgramsAreLookedFor(t *testing.T) {
	scan := env.NewScan(t.TempDir())
	if err := os.WriteFile(scan.SecretsFile(), []byte("access_token the-token-of-the-provider\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	scan.Output("log", "Authorization: Bearer the-token-of-the-provider")
	if leaks, _, _, err := scan.Leaks(); err != nil || len(leaks) != 1 || leaks[0].Kind != "access_token" {
		t.Errorf("%v, %v", leaks, err)
	}
}
