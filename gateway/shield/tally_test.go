package shield_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestInventedNamesFillNoMemory: an application that names its cookies anew for
// everybody must not make the gateway remember them all.
func TestInventedNamesFillNoMemory(t *testing.T) {
	s := raise(t, site, "mode: report")
	for i := range 5000 {
		s.set(fmt.Sprintf("s%d%s=1; Secure; HttpOnly", i, strings.Repeat("x", 100)))
	}
	s.set("s0" + strings.Repeat("x", 100) + "=1; Secure; SameSite=Lax") // one that is known, with something new
	findings := s.watch.Report().Routes[0].Findings
	if len(findings) > 128 {
		t.Fatalf("%d findings are kept", len(findings))
	}
	var total, others uint64
	known := false
	for _, f := range findings {
		if len(f.Cookie) > 64 {
			t.Errorf("a name of %d bytes is kept", len(f.Cookie))
		}
		if f.Finding == "cookie_without_samesite" {
			total += f.Count
		}
		if f.Others {
			others += f.Count
		}
		known = known || f.Finding == "cookie_without_httponly" && strings.HasPrefix(f.Cookie, "s0x")
	}
	if total != 5000 || others == 0 || !known {
		t.Errorf("%d cookies without SameSite are counted, %d of them without a name; the late finding is kept: %v", total, others, known)
	}
}

// TestValuesAreNeverKept, not even where a line makes no sense.
func TestValuesAreNeverKept(t *testing.T) {
	s := raise(t, site, "mode: report, host_prefix: true, remove_headers: [X-Debug]")
	h := http.Header{
		"Set-Cookie": {"sid=hunter2; Domain=hunter2.example", "=hunter2", "x; hunter2=hunter2", "y=\"hunter2\"; Path=/hunter2"}, "X-Debug": {"hunter2"},
	}
	s.Response(http.StatusOK, h, gatewayCookies{})
	text, err := json.Marshal(s.watch.Report())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("the report holds a value:\n%s", text)
	}
}

func TestFindingsOfManyAnswersAtOnceAreAllCounted(t *testing.T) {
	s := raise(t, site, "mode: enforce")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 200 {
				s.set(fmt.Sprintf("c%d=1; Secure; HttpOnly", i%100))
				s.watch.Report()
			}
		})
	}
	all.Wait()
	var total uint64
	for _, f := range s.watch.Report().Routes[0].Findings {
		if f.Finding == "cookie_without_samesite" {
			total += f.Count
		}
	}
	if total != 1600 {
		t.Errorf("%d of 1600 are counted", total)
	}
}
