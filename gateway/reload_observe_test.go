package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/auditlog"
)

// TestAReloadChangesWhatIsLogged: the level at once, and where records go and what they
// tell of people with the next one. What can't be taken leaves all as it was.
func TestAReloadChangesWhatIsLogged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second, key := filepath.Join(dir, "first.log"), filepath.Join(dir, "second.log"), filepath.Join(dir, "key")
	writeKey := func(text string) {
		if err := os.WriteFile(key, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const firstKey, secondKey = "the first key of the audit records", "the second key of the audit records"
	writeKey(firstKey)
	audit := func(file, pii string) func(*plan) {
		return func(p *plan) {
			p.top = fmt.Sprintf("audit: {output: file, key_file: %s, pii: %s, file: {path: %s}}", key, pii, file)
		}
	}
	p := plan{followed: true, adminToken: adminToken(t)}
	audit(first, "full")(&p)
	s := newSite(t, p)
	records := func(file string) (text string, denials int) {
		b, _ := os.ReadFile(file)
		return string(b), strings.Count(string(b), `"event":"deny"`)
	}
	denied := func(file string, n int) string {
		t.Helper()
		s.denied(t, s.as(t, "mallory", "/admin/"), http.StatusForbidden)
		poll(t, "a record in "+file, func() bool { _, has := records(file); return has == n })
		text, _ := records(file)
		return text
	}
	if text := denied(first, 1); !strings.Contains(text, `"subject":"mallory"`) {
		t.Errorf("the first file:\n%s", text)
	}

	s.reload(t, audit(first, "none"))
	text := denied(first, 2)
	if lines := strings.Split(strings.TrimSpace(text), "\n"); strings.Contains(lines[len(lines)-1], "mallory") {
		t.Errorf("a record names somebody:\n%s", text)
	}
	writeKey(secondKey)
	fault := s.refusedReload(t, s.yaml(audit(first, "full")))
	if !strings.Contains(fault, "audit.key_file: is another key") {
		t.Errorf("two keys for one file: %s", fault)
	}
	fault = s.refusedReload(t, s.yaml(audit(filepath.Join(dir, "none", "x.log"), "full")))
	if !strings.Contains(fault, "audit") {
		t.Errorf("a file that can't be: %s", fault)
	}
	writeKey(firstKey)
	denied(first, 3)
	writeKey(secondKey)
	s.reload(t, audit(second, "hash"))
	if text := denied(second, 1); strings.Contains(text, "mallory") || !strings.Contains(text, `"subject":"p:`) {
		t.Errorf("the second file:\n%s", text)
	}
	for file, secret := range map[string]string{first: firstKey, second: secondKey} {
		verifier, err := auditlog.NewVerifier([]byte(secret), false)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := records(file)
		if err := verifier.Read(file, strings.NewReader(text)); err != nil {
			t.Errorf("%s is not whole: %v\n%s", file, err, text)
		}
	}

	lines := func() int { return strings.Count(s.logText.String(), `"msg":"request"`) }
	s.reload(t, func(p *plan) { audit(second, "hash")(p); p.top += "\nlog: {level: error}" })
	before := lines()
	s.passed(t, s.as(t, "alice", "/app"))
	s.reload(t, func(p *plan) { audit(second, "hash")(p); p.top += "\nlog: {level: info}" })
	s.passed(t, s.as(t, "alice", "/app"))
	poll(t, "the second request's line", func() bool { return lines() > before })
	if n := lines() - before; n != 1 {
		t.Errorf("%d lines of two requests, one of which was not to have any", n)
	}
	for _, change := range []string{"log: {format: console}", "tracing: {endpoint: 'http://127.0.0.1:1'}"} {
		section, _, _ := strings.Cut(change, ":")
		if fault := s.refusedReload(t, s.yaml(func(p *plan) { p.top = change })); !strings.Contains(fault, section+".") || !strings.Contains(fault, "only a restart can change this") {
			t.Errorf("%s: %s", change, fault)
		}
	}
}
