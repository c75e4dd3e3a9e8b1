package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestAQueryThatTheApplicationReadsOtherwise: of two parameters of one name, of
// semicolons and of bad escapes, programs make different things (CVE-2022-2880,
// CVE-2026-39825). What a policy reads must have one reading.
func TestAQueryThatTheApplicationReadsOtherwise(t *testing.T) {
	s := newSite(t, plan{
		policies: `
  - {name: role, rules: [{name: role, allow: {groups: [users], when: "request.query['role'] == 'user'"}}]}
  - {name: role-on-trial, rules: [{name: users, allow: {groups: [users]}}, {mode: shadow, deny: {when: "request.query['role'] == 'admin'"}}]}`,
		routes: `
  - {name: role, paths: [/role/], upstream: "$UP", policy: role}
  - {name: role-on-trial, paths: [/role-on-trial/], upstream: "$UP", policy: role-on-trial}`,
	})
	for query, want := range map[string]int{
		"role=user":                                http.StatusOK,
		"role=user&a=1&a=2":                        http.StatusOK, // no rule reads it
		"role=admin":                               http.StatusForbidden,
		"role=user&role=admin":                     http.StatusForbidden,
		"role=admin&role=user":                     http.StatusForbidden,
		"role=user&ROLE=admin":                     http.StatusForbidden,
		"role=user&%72ole=admin":                   http.StatusForbidden,
		"role=user;role=admin":                     http.StatusBadRequest,
		"role=user&%zz=1":                          http.StatusBadRequest,
		"role=user&x=%":                            http.StatusBadRequest,
		strings.Repeat("a=1&", 1000) + "role=user": http.StatusBadRequest,
		"": http.StatusForbidden,
	} {
		target := "/role/x?" + query
		a := s.as(t, "alice", target)
		if want != http.StatusOK {
			s.denied(t, a, want)
			continue
		}
		if got := s.passed(t, a).target(); got != target {
			t.Errorf("decided on %s, the application gets %s", target, got)
		}
	}
	for _, query := range []string{"role=user;role=admin", "%zz", "role=admin"} {
		s.passed(t, s.as(t, "alice", "/role-on-trial/x?"+query)) // a trial refuses nobody
		s.passed(t, s.as(t, "alice", "/app?"+query))             // no policy reads it
	}
	// Who is nobody learns nothing of the query.
	s.denied(t, s.as(t, "", "/role/x?%zz"), http.StatusUnauthorized)
}
