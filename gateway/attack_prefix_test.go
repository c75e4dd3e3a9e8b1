package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

const prefixRoutes = `
  - {name: svc, paths: [/svc], upstream: $UP, policy: users, strip_prefix: /svc}
  - {name: files, paths: [/files], upstream: $UP, policy: users, strip_prefix: /files, allow_encoded_slash: true}
  - {name: v1, paths: [/v1], upstream: $UP, policy: users, strip_prefix: /v1, add_prefix: /api/old}
  - {name: more, paths: [/more], upstream: $UP, policy: users, add_prefix: /below}`

// TestStrippedPrefixLeadsNowhereElse: what is left of a path is below the root of
// the application, in any reading of it (CVE-2026-40912, CVE-2026-48020).
func TestStrippedPrefixLeadsNowhereElse(t *testing.T) {
	s := newSite(t, plan{routes: prefixRoutes})
	for _, target := range []string{
		"/svc../admin/x", "/svc./admin", "/svc/../admin", "/s%76c/a%2Fb", "/svc%2f..%2fadmin", "/svc//admin", "//svc/admin", "/svc/a//b",
		"/svc;x=1/admin", "/svc%2fadmin", "/files//admin", "/files%2fadmin", "/files/%2fadmin", "/files/a%2f%2fb", "/files/..%2fadmin",
		"/svc/%2e%2e/admin", "/svc/.%2e;a/admin", "/%73vc//x",
	} {
		t.Run(target, func(t *testing.T) {
			a := s.as(t, "alice", target)
			for _, got := range s.upstream.take() {
				// A path that is not of the route at all is judged by another one,
				// and then it arrives as it was sent.
				if got.target() != target || strings.HasPrefix(target, "/svc/") || strings.HasPrefix(target, "/files/") {
					t.Errorf("the application received %s", got.target())
				}
			}
			if a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusOK {
				t.Errorf("the answer is %d", a.StatusCode)
			}
		})
	}
}

func TestPrefixesAreTakenOffAndPutInFront(t *testing.T) {
	s := newSite(t, plan{routes: prefixRoutes})
	for target, want := range map[string]struct{ path, prefix string }{
		"/svc":                       {"/", "/svc"},
		"/svc/":                      {"/", "/svc"},
		"/svc?a=1;b=%zz":             {"/?a=1;b=%zz", "/svc"},
		"/svc/a/b;c=1?x":             {"/a/b;c=1?x", "/svc"},
		"/s%76c/%61%20b":             {"/%61%20b", "/svc"},
		"/svc/svc/x":                 {"/svc/x", "/svc"},
		"/svc/%E4%BD%A0/x'(1)*":      {"/%E4%BD%A0/x'(1)*", "/svc"},
		"/files/group%2Fproject/-/x": {"/group%2Fproject/-/x", "/files"},
		"/v1/users":                  {"/api/old/users", "/v1"},
		"/v1":                        {"/api/old/", "/v1"},
		"/more/x":                    {"/below/more/x", ""},
	} {
		got := s.passed(t, s.as(t, "alice", target, "X-Forwarded-Prefix: /evil"))
		if got.target() != want.path {
			t.Errorf("%s arrives as %s, want %s", target, got.target(), want.path)
		}
		if prefix := strings.Join(got.header("X-Forwarded-Prefix"), " and "); prefix != want.prefix {
			t.Errorf("%s: the application is told %q was taken off, want %q", target, prefix, want.prefix)
		}
	}
}
