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

// TestNobodyIsNamedWhereOperatorsLook: what audit records may not tell of people is not
// in the lines of requests, the events and their page either, and the acts of operators
// do not bring it back.
func TestNobodyIsNamedWhereOperatorsLook(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("a key of 32 bytes for the tests!"), 0o600); err != nil {
		t.Fatal(err)
	}
	for pii, want := range map[string]func(told string) bool{
		"full": func(told string) bool {
			return strings.Contains(told, "mallory") && strings.Contains(told, "203.0.113.9")
		},
		"hash": func(told string) bool {
			return !tellsOf(told) && strings.Contains(told, `"subject":"p:`) && strings.Contains(told, `"client":"p:`)
		},
		"none": func(told string) bool {
			return !tellsOf(told) && !strings.Contains(told, `"subject"`) && !strings.Contains(told, `"client"`)
		},
	} {
		t.Run(pii, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, plan{trusted: "127.0.0.1", adminToken: adminToken(t), top: fmt.Sprintf("audit: {key_file: %s, pii: %s}", key, pii)})
			s.denied(t, s.as(t, "mallory", "/admin/", "X-Forwarded-For: 203.0.113.9"), http.StatusForbidden)
			for _, lock := range []map[string]string{
				{"issuer": "urn:sallyport:local", "subject": "mallory", "reason": "a test"}, {"address": "203.0.113.9", "reason": "a test"},
			} {
				if status, text := s.ask(t, http.MethodPost, "/locks", lock, nil); status >= 300 {
					t.Fatal(status, text)
				}
			}
			poll(t, "the request's line", func() bool { return strings.Contains(s.logText.String(), `"path":"/admin/"`) })
			_, events := s.ask(t, http.MethodGet, "/events", nil, nil)
			for where, told := range map[string]string{"the log": s.logText.String(), "the events": events} {
				if !strings.Contains(told, `"deny"`) || !strings.Contains(told, `"lock"`) || !want(told) {
					t.Errorf("%s:\n%s", where, told)
				}
			}
			if feed := s.operate(t, "GET", "/events", "", s.operator(t)).Body.String(); !strings.Contains(feed, "deny") || tellsOf(feed) != (pii == "full") {
				t.Errorf("the page:\n%s", feed)
			}
		})
	}
}

// tellsOf reports whether somebody is.
func tellsOf(text string) bool {
	return strings.Contains(text, "mallory") || strings.Contains(text, "203.0.113.9")
}
