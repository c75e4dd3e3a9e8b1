//go:build e2e

package env_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
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

// TestARunThatShowedASecretFails, and so does one that can't be judged, while nothing
// mends a run that had failed.
func TestARunThatShowedASecretFails(t *testing.T) {
	const secret = "planted-secret-of-the-run"
	for name, c := range map[string]struct {
		output     string
		code, want int
		says       string
	}{
		"clean":             {"nothing to see", 0, 0, "1 outputs of gateways were searched for 1 secrets"},
		"a secret":          {"seen: " + secret, 0, 1, "a secret was seen: password pla... (as it is) in 00001 log: seen: [password]"},
		"failed anyway":     {"nothing to see", 2, 2, "1 outputs"},
		"failed and showed": {"seen: " + secret, 2, 2, "a secret was seen"},
	} {
		scan := env.NewScan(t.TempDir())
		scan.Secret("password", secret)
		scan.Output("log", c.output)
		var told strings.Builder
		if code := scan.Report(&told, c.code); code != c.want || !strings.Contains(told.String(), c.says) || strings.Contains(told.String(), secret) {
			t.Errorf("%s: %d, %s", name, code, told.String())
		}
	}
	var told strings.Builder
	if code := env.NewScan(filepath.Join(t.TempDir(), "none")).Report(&told, 0); code == 0 {
		t.Errorf("what could not be read: %d, %s", code, told.String())
	}
}

// TestWhatIsToldOfALeakIsNoOther: secrets stand beside each other, whole, in part,
// across the beginning of what is shown, and in other forms.
func TestWhatIsToldOfALeakIsNoOther(t *testing.T) {
	secrets := map[string]string{"cookie": "the-cookie-of-the-run-" + strings.Repeat("0123456789", 12), "password": "the password of the run", "token": "the-token-of-the-run"}
	for name, text := range map[string]string{
		"side by side":     secrets["cookie"] + secrets["password"] + secrets["token"],
		"in one line":      "Cookie: " + secrets["cookie"] + "; as " + secrets["password"] + " with " + secrets["token"] + "\n",
		"the other way":    secrets["token"] + ", " + secrets["password"] + ", " + secrets["cookie"],
		"the beginning":    secrets["password"][:20] + "... and " + secrets["token"],
		"encoded":          "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+secrets["password"])) + " " + secrets["token"],
		"twice":            secrets["token"] + " " + secrets["token"] + " " + secrets["password"],
		"twice, and again": secrets["password"] + " " + secrets["token"] + " " + secrets["password"] + " " + secrets["cookie"],
	} {
		scan := env.NewScan(t.TempDir())
		for kind, value := range secrets {
			scan.Secret(kind, value)
		}
		scan.Output("log", text)
		var told strings.Builder
		if code := scan.Report(&told, 0); code != 1 {
			t.Errorf("%s: %d", name, code)
		}
		for _, value := range secrets {
			encoded := base64.RawStdEncoding.EncodeToString([]byte("alice:" + value))
			for _, part := range []string{value[:12], value[len(value)-12:], encoded[8:20], encoded[len(encoded)-14 : len(encoded)-2]} {
				if strings.Contains(told.String(), part) {
					t.Errorf("%s: %q is told:\n%s", name, part, told.String())
				}
			}
		}
	}
	scan := env.NewScan(t.TempDir())
	scan.Secret("cookie", secrets["cookie"])
	scan.Secret("token", secrets["token"])
	scan.Output("log", "GET /app with the cookie "+secrets["cookie"]+" and the token "+secrets["token"])
	var told strings.Builder
	scan.Report(&told, 0)
	for _, want := range []string{"GET /app with the cookie [cookie]", "[cookie] and the token [token]"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("no %q in\n%s", want, told.String())
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
