//go:build !race

package shield_test

import (
	"net/http"
	"testing"
)

func TestAnswersThatNeedNothingAllocateNothing(t *testing.T) {
	h := http.Header{
		"Content-Type": {"text/html"}, "Set-Cookie": {"sid=1; Secure; HttpOnly; SameSite=Lax"}, "Strict-Transport-Security": {"max-age=1"},
		"X-Content-Type-Options": {"nosniff"}, "Referrer-Policy": {"no-referrer"}, "X-Frame-Options": {"DENY"},
	}
	request := http.Header{"Cookie": {"sid=1; b=2"}}
	for _, settings := range []string{"mode: off", "mode: report", "mode: enforce, host_prefix: true, cookies: [{name: sid, script: true}]"} {
		s := raise(t, site, settings)
		if got := testing.AllocsPerRun(100, func() {
			s.Request(request, gatewayCookies{})
			s.Response(http.StatusOK, h, gatewayCookies{})
		}); got > 0 {
			t.Errorf("%s: %.1f allocations", settings, got)
		}
	}
}

func TestKnownFindingsAllocateNothing(t *testing.T) {
	s := raise(t, site, "mode: report")
	h := http.Header{"Content-Type": {"text/html"}, "Set-Cookie": {"sid=1; Domain=example.com", "b=2"}}
	s.Response(http.StatusOK, h, gatewayCookies{})
	if got := testing.AllocsPerRun(100, func() { s.Response(http.StatusOK, h, gatewayCookies{}) }); got > 0 {
		t.Errorf("%.1f allocations", got)
	}
}
