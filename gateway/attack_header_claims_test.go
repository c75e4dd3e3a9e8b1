package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// newClaimsSite is a site whose users sign in at a provider that says of them what
// the test wants. /ENCODING/ sends the claim name and the groups in it.
func newClaimsSite(t *testing.T, limits string) (*site, *oidctest.Provider) {
	t.Helper()
	op := oidctest.New(t)
	var routes strings.Builder
	for _, encoding := range headerEncodings() {
		fmt.Fprintf(&routes, `
  - name: %[1]s
    paths: [/%[1]s/]
    upstream: "$UP"
    policy: authenticated
    headers: [{name: x-forwarded-user, claim: sub, required: true}, {name: X-Name, claim: name, encoding: %[1]s}, {name: X-Forwarded-Groups, claim: groups, encoding: %[1]s}]`, encoding)
	}
	routes.WriteString(`
  - {name: few, paths: [/few/], upstream: "$UP", policy: authenticated, headers: [{name: X-Forwarded-Groups, claim: groups, match: "^app-[0-9]$"}]}
  - {name: nested, paths: [/nested/], upstream: "$UP", policy: authenticated, headers: [
      {name: X-Roles, claim: realm_access.roles}, {name: X-Org, claim: orgs.0, encoding: json}, {name: X-City, claim: address.city, default: none}, {name: X-Level, claim: level}]}`)
	return newSite(t, plan{
		limits:    limits,
		providers: fmt.Sprintf("- {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret: %s}", op.Issuer, oidctest.ClientID, oidctest.ClientSecret),
		routes:    routes.String(),
	}), op
}

func headerEncodings() []string { return []string{"percent", "utf8", "base64", "rfc2047", "json"} }

// TestLineBreaksInClaimsOfAProvider (CVE-2023-27493): what people can call
// themselves there makes no second header line, in any encoding.
func TestLineBreaksInClaimsOfAProvider(t *testing.T) {
	t.Parallel()
	s, op := newClaimsSite(t, "")
	for _, name := range []string{
		"alice\r\nX-Forwarded-Groups: admin", "alice\rX-Forwarded-Groups: admin", "alice\nX-Forwarded-Groups: admin", "alice\u0085X-Forwarded-Groups: admin",
		"alice\u2028X-Forwarded-Groups: admin", "alice\x00\x1b[31m", " alice ", "Özdemir", "Fábian 👩‍💻",
	} {
		op.Set(func(s *oidctest.Script) { s.Claims = map[string]any{"name": name} })
		cookie := "Cookie: " + s.atProvider(t)
		for _, encoding := range headerEncodings() {
			got := s.passed(t, s.as(t, "", "/"+encoding+"/", cookie, "X-Name: root", "x_name: root", "X-Forwarded-Groups: admin", "X-FORWARDED-USER: root"))
			got.isUser(t, "alice", "alice@example.com", "", "")
			values := got.header("X-Name")
			if len(values) != 1 || values[0] == "" || values[0] == "root" {
				t.Errorf("%q as %s arrived as %q", name, encoding, values)
			}
			if encoding != "utf8" && strings.ContainsFunc(got.raw, func(c rune) bool { return c > '~' }) {
				t.Errorf("%q as %s arrived as\n%s", name, encoding, got.raw)
			}
			if strings.ContainsAny(strings.ReplaceAll(got.raw, "\r\n", ""), "\r\n\x00\x1b\u0085\u2028") {
				t.Errorf("%q as %s arrived as\n%q", name, encoding, got.raw)
			}
		}
	}
}

// TestAGroupWithASeparatorInItIsOneGroup, whichever way the application reads lists.
func TestAGroupWithASeparatorInItIsOneGroup(t *testing.T) {
	t.Parallel()
	s, op := newClaimsSite(t, "")
	for _, groups := range [][]string{{"a,admin"}, {"users", "x;admin"}, {`users","admin`}, {"a%2Cadmin", "b"}, {"=?utf-8?q?a=2Cadmin?="}} {
		op.Set(func(s *oidctest.Script) { s.Claims = map[string]any{"groups": groups} })
		cookie := "Cookie: " + s.atProvider(t)
		for _, encoding := range []string{"percent", "utf8", "json"} {
			values := s.passed(t, s.as(t, "", "/"+encoding+"/", cookie)).header("X-Forwarded-Groups")
			if len(values) != 1 {
				t.Fatalf("%q as %s arrived as %q", groups, encoding, values)
			}
			var got []string
			if encoding == "json" {
				if err := json.Unmarshal([]byte(values[0]), &got); err != nil {
					t.Fatal(err)
				}
			} else {
				for item := range strings.SplitSeq(values[0], ",") {
					one, err := url.PathUnescape(item)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, one)
				}
			}
			if !slices.Equal(got, groups) {
				t.Errorf("%q as %s arrived as %q, which reads as %q", groups, encoding, values, got)
			}
		}
	}
}

// TestMoreGroupsThanAHeaderHoldsAreRefusedAndNotCut: the policy has them all, and a
// route that sends the few that its application knows goes on.
func TestMoreGroupsThanAHeaderHoldsAreRefusedAndNotCut(t *testing.T) {
	t.Parallel()
	var groups []string
	for i := range 10_000 {
		groups = append(groups, fmt.Sprintf("app-%d-of-twenty-lett", i))
	}
	groups = append(groups, "app-7")
	s, op := newClaimsSite(t, "max_identity_bytes: 500")
	op.Set(func(s *oidctest.Script) { s.Claims = map[string]any{"groups": groups} })
	cookie := "Cookie: " + s.atProvider(t)
	for _, target := range []string{"/app", "/json/", "/base64/"} {
		a := s.as(t, "", target, cookie)
		if s.denied(t, a, http.StatusForbidden); !strings.Contains(a.text, `"identity_too_large"`) {
			t.Errorf("%s does not say why:\n%s", target, a.text)
		}
	}
	if got := s.passed(t, s.as(t, "", "/few/", cookie)).header("X-Forwarded-Groups"); !slices.Equal(got, []string{"app-7"}) {
		t.Errorf("the groups that are meant for it arrived as %q", got)
	}
	poll(t, "the log line with both sizes", func() bool {
		return strings.Contains(s.logText.String(), "the limit is 500")
	})
}

// TestClaimsInsideOfClaims arrive, or their headers do not, whatever the client sent
// in them; and no other route lets the client send them either.
func TestClaimsInsideOfClaims(t *testing.T) {
	t.Parallel()
	s, op := newClaimsSite(t, "")
	names := []string{"X-Roles", "X-Org", "X-City", "X-Level"}
	forged := []string{"X-Roles: root", "x_org: root", "X.City: root", "XLEVEL: root", "X-Name: root"}
	for _, tt := range []struct {
		claims map[string]any
		want   []string
	}{
		{map[string]any{
			"realm_access": map[string]any{"roles": []string{"viewer", "editor"}}, "orgs": []any{map[string]any{"name": "Größe", "id": 7}}, "address": map[string]any{"city": "Ulm"}, "level": 7,
		}, []string{"viewer,editor", `{"id":7,"name":"Gr\u00f6\u00dfe"}`, "Ulm", "7"}},
		{map[string]any{"realm_access": "roles", "orgs": []any{}, "address": nil, "level": map[string]any{"a": 1}}, []string{"", "", "none", ""}},
		{nil, []string{"", "", "none", ""}},
	} {
		op.Set(func(s *oidctest.Script) { s.Claims = tt.claims })
		cookie := "Cookie: " + s.atProvider(t)
		got := s.passed(t, s.as(t, "", "/nested/", append(forged, cookie)...))
		for i, name := range names {
			if v := strings.Join(got.header(name), "|"); v != tt.want[i] {
				t.Errorf("%v: %s arrived as %q, want %q", tt.claims, name, v, tt.want[i])
			}
		}
		for _, target := range []string{"/app", "/public/"} {
			if got := s.passed(t, s.as(t, "", target, append(forged, cookie)...)); strings.Contains(got.raw, ": root") {
				t.Errorf("%s got\n%s", target, got.raw)
			}
		}
	}
}
