package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/auditlog"
)

// auditedSite is a site whose audit records go to a file. settings are more members of
// audit.
func auditedSite(t *testing.T, settings string) (s *site, file string, verifier *auditlog.Verifier) {
	t.Helper()
	const secret = "a key of 32 bytes for the tests!"
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	file = filepath.Join(dir, "audit.log")
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s = newSite(t, plan{top: fmt.Sprintf("audit: {output: file, key_file: %s, file: {path: %s}, %s}", key, file, settings)})
	verifier, err := auditlog.NewVerifier([]byte(secret), false)
	if err != nil {
		t.Fatal(err)
	}
	return s, file, verifier
}

// TestAuditRecordsAreAStreamOfTheirOwn: with as much of people in it as is configured,
// and whole by its hashes.
func TestAuditRecordsAreAStreamOfTheirOwn(t *testing.T) {
	for pii, want := range map[string]struct{ has, lacks []string }{
		"full": {has: []string{`"subject":"mallory"`, `"client":"127.0.0.1"`}},
		"hash": {has: []string{`"subject":"p:`, `"client":"p:`}, lacks: []string{"mallory", "127.0.0.1"}},
		"none": {has: []string{`"event":"deny"`}, lacks: []string{"mallory", "127.0.0.1", `"subject"`, `"client"`}},
	} {
		t.Run(pii, func(t *testing.T) {
			s, file, verifier := auditedSite(t, "pii: "+pii)
			for range 2 {
				s.denied(t, s.as(t, "mallory", "/admin/"), http.StatusForbidden)
			}
			var text string
			poll(t, "the records", func() bool {
				b, _ := os.ReadFile(file)
				text = string(b)
				return strings.Count(text, `"event":"deny"`) == 2
			})
			for _, part := range append(want.has, `"event":"login"`, `"reason":`, `"route":"admin"`) {
				if !strings.Contains(text, part) {
					t.Errorf("%s is not in\n%s", part, text)
				}
			}
			for _, part := range want.lacks {
				if strings.Contains(text, part) {
					t.Errorf("%s is in\n%s", part, text)
				}
			}
			if err := verifier.Read(file, strings.NewReader(text)); err != nil || verifier.Records < 3 {
				t.Errorf("%+v, %v", verifier.Summary, err)
			}
			lines := strings.Split(text, "\n")
			subject := func(line string) string { _, s, _ := strings.Cut(line, `"subject":`); return s[:min(len(s), 30)] }
			if n := len(lines); subject(lines[n-2]) != subject(lines[n-3]) {
				t.Error("the same person has two pseudonyms")
			}
			if strings.Contains(s.logText.String(), `"msg":"audit"`) {
				t.Error("the records are in the log as well")
			}
		})
	}
}

// TestAnAuditStreamThatTakesNothingIsLoud: requests go on, and the records are in the
// log meanwhile.
func TestAnAuditStreamThatTakesNothingIsLoud(t *testing.T) {
	s := newSite(t, plan{top: "audit: {output: syslog, syslog: {address: 'unix://" + filepath.Join(t.TempDir(), "none") + "'}}"})
	denied := 0
	poll(t, "the log to have the records", func() bool {
		denied++
		s.denied(t, s.as(t, "mallory", "/admin/"), http.StatusForbidden)
		return strings.Contains(s.logText.String(), `"msg":"audit"`)
	})
	if !strings.Contains(s.logText.String(), "the audit stream takes no records") {
		t.Errorf("the log does not say why:\n%s", s.logText)
	}
	if text := s.metrics(t); !strings.Contains(text, `sallyport_audit_records_total{result="refused"}`) {
		t.Error("it is not in the metrics")
	}
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"name":"audit","status":"failing","required":false}`) {
		t.Errorf("/readyz: %d %s", w.Code, w.Body)
	}
}
