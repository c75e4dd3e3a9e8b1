package shield_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const site = "https://app.example.com"

func TestCookiesAreHardenedAndKeepTheRest(t *testing.T) {
	for name, c := range map[string]struct{ settings, in, want string }{
		"bare":                    {"", "sid=1", "sid=1; Secure; HttpOnly; SameSite=Lax"},
		"strict by default":       {"same_site: strict", "sid=1", "sid=1; Secure; HttpOnly; SameSite=Strict"},
		"hardened already":        {"", "sid=1;secure;HTTPONLY;samesite=STRICT", "sid=1;secure;HTTPONLY;samesite=STRICT"},
		"an expiry with a comma":  {"", "sid=1; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Path=/a", "sid=1; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Path=/a; Secure; HttpOnly; SameSite=Lax"},
		"unknown attributes":      {"", "sid=1; Priority=High;Partitioned ; x-y=\"z\"; Secure", "sid=1; Priority=High;Partitioned ; x-y=\"z\"; Secure; HttpOnly; SameSite=Lax"},
		"a quoted value":          {"", `sid="a b=c, d"; Path="/x"`, `sid="a b=c, d"; Path="/x"; Secure; HttpOnly; SameSite=Lax`},
		"odd spaces":              {"", " sid = 1 ;\tSECURE", " sid = 1 ;\tSECURE; HttpOnly; SameSite=Lax"},
		"an empty attribute":      {"", "sid=1;; HttpOnly;", "sid=1;; HttpOnly;; Secure; SameSite=Lax"},
		"bytes beyond ASCII":      {"", "sid=\xff\xfe\u00e9; HttpOnly; Secure", "sid=\xff\xfe\u00e9; HttpOnly; Secure; SameSite=Lax"},
		"a SameSite that is none": {"", "sid=1; Secure; HttpOnly; SameSite=Sometimes; Path=/", "sid=1; Secure; HttpOnly; Path=/; SameSite=Lax"},
		"None and not Secure":     {"", "sid=1; HttpOnly; SameSite=None", "sid=1; HttpOnly; SameSite=None; Secure"},
		"a name alone":            {"", "flag", "flag; Secure; HttpOnly; SameSite=Lax"},
		"the last SameSite":       {"", "sid=1; SameSite=Strict; Secure; HttpOnly; SameSite=", "sid=1; Secure; HttpOnly; SameSite=Lax"},
		"a value that looks like": {"", "sid=Secure; note=HttpOnly", "sid=Secure; note=HttpOnly; Secure; HttpOnly; SameSite=Lax"},
		"for scripts":             {"cookies: [{name: csrf, script: true}]", "csrf=1", "csrf=1; Secure; SameSite=Lax"},
		"for plain http":          {"cookies: [{name: csrf, insecure: true}]", "csrf=1", "csrf=1; HttpOnly; SameSite=Lax"},
		"None, for plain http":    {"cookies: [{name: csrf, insecure: true}]", "csrf=1; SameSite=None", "csrf=1; HttpOnly; SameSite=Lax"},
		"for frames elsewhere":    {"cookies: [{name: w, same_site: none}]", "w=1; SameSite=Strict; Path=/", "w=1; Path=/; Secure; HttpOnly; SameSite=None"},
		"by the beginning":        {`cookies: [{name: "wp-*", script: true}]`, "wp-settings-1=1", "wp-settings-1=1; Secure; SameSite=Lax"},
		"names have letter case":  {"cookies: [{name: CSRF, script: true}]", "csrf=1", "csrf=1; Secure; HttpOnly; SameSite=Lax"},
		"the first that fits":     {`cookies: [{name: a, script: true}, {name: "*", untouched: true}]`, "a=1", "a=1; Secure; SameSite=Lax"},
		"untouched":               {`cookies: [{name: a, script: true}, {name: "*", untouched: true}]`, "b=1; Domain=example.com", "b=1; Domain=example.com"},
		"a Domain that is needed": {"cookies: [{name: sso, keep_domain: true}]", "sso=1; Domain=example.com", "sso=1; Domain=example.com; Secure; HttpOnly; SameSite=Lax"},
		"all Domains are needed":  {"keep_domain: true", "sso=1; Domain=example.com", "sso=1; Domain=example.com; Secure; HttpOnly; SameSite=Lax"},
		"a Domain that says none": {"", "a=1; Domain=; Secure; HttpOnly; SameSite=Lax", "a=1; Secure; HttpOnly; SameSite=Lax"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := "mode: enforce"
			if c.settings != "" {
				settings += ", " + c.settings
			}
			if got := raise(t, site, settings).set(c.in); !slices.Equal(got, []string{c.want}) {
				t.Errorf("%q became\n%q, want\n%q", c.in, got, c.want)
			}
		})
	}
}

// TestSecureIsNotAddedWhereBrowsersWouldRefuseIt: some take no Secure cookie from
// plain http, not even on loopback.
func TestSecureIsNotAddedWhereBrowsersWouldRefuseIt(t *testing.T) {
	s := raise(t, "http://localhost:8080", "mode: enforce")
	got := s.set("sid=1", "w=1; SameSite=None", "k=1; SameSite=None; Secure")
	want := []string{"sid=1; HttpOnly; SameSite=Lax", "w=1; HttpOnly; SameSite=Lax", "k=1; SameSite=None; Secure; HttpOnly"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if found := strings.Join(s.found(), "\n"); strings.Contains(found, "without_secure") || !strings.Contains(found, "cookie_samesite_none_insecure of w: 1") {
		t.Errorf("found\n%s", found)
	}
}

// TestWideCookiesAreNarrowed: what is left of the wide one in the browser would be
// sent first, and win over its successor.
func TestWideCookiesAreNarrowed(t *testing.T) {
	s := raise(t, site, "mode: enforce")
	got := s.set("sid=2; Domain=.example.com; Path=/; Max-Age=60; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Secure; HttpOnly; SameSite=Lax", "other=1; Secure; HttpOnly; SameSite=Lax")
	want := []string{
		"sid=2; Path=/; Max-Age=60; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Secure; HttpOnly; SameSite=Lax",
		"other=1; Secure; HttpOnly; SameSite=Lax",
		"sid=; Domain=.example.com; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	gone, err := http.ParseSetCookie(got[2])
	if err != nil || gone.MaxAge >= 0 || gone.Domain != "example.com" && gone.Domain != ".example.com" || gone.Path != "/" {
		t.Errorf("the old one is deleted by %v (%v)", gone, err)
	}
}

// TestDeletingAHardenedCookieDeletesTheOldOneToo, which has another name or
// Domain in browsers that were there before.
func TestDeletingAHardenedCookieDeletesTheOldOneToo(t *testing.T) {
	for _, over := range []string{"Max-Age=0", "max-age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT", "expires=Thu, 01-Jan-1970 00:00:01 GMT", "Expires=Thursday, 01-Jan-70 00:00:00 GMT"} {
		s := raise(t, site, "mode: enforce, host_prefix: true")
		line := "sid=; Path=/; Domain=example.com; " + over
		got := s.set(line)
		want := []string{"__Host-sid=; Path=/; " + over + "; Secure; HttpOnly; SameSite=Lax", line}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", over, diff)
		}
		if found := strings.Join(s.found(), "\n"); strings.Contains(found, "cookie") {
			t.Errorf("a cookie that is deleted is reported:\n%s", found)
		}
	}
}

func TestReportModeChangesNothing(t *testing.T) {
	s := raise(t, site, "mode: report, host_prefix: true, remove_headers: [Server]")
	h := http.Header{
		"Set-Cookie": {"sid=1; Domain=example.com", "csrf=2; SameSite=None; Path=/x"}, "Server": {"Apache/2.2"}, "Content-Type": {"text/html"},
	}
	before := h.Clone()
	s.Response(http.StatusOK, h, gatewayCookies{})
	if diff := cmp.Diff(before, h); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
	if got := s.sent("__Host-sid=1; sid=2"); !slices.Equal(got, []string{"__Host-sid=1; sid=2"}) {
		t.Errorf("the request became %q", got)
	}
	want := []string{
		"cookie_not_renamed of csrf: 1",
		"cookie_not_renamed of sid: 1",
		"cookie_samesite_none_insecure of csrf: 1",
		"cookie_wide_domain of sid: 1",
		"cookie_without_httponly of csrf: 1",
		"cookie_without_httponly of sid: 1",
		"cookie_without_samesite of sid: 1",
		"cookie_without_secure of csrf: 1",
		"cookie_without_secure of sid: 1",
		"leaked_header of Server: 1",
		"missing_frame_ancestors of : 1",
		"missing_hsts of : 1",
		"missing_nosniff of : 1",
		"missing_referrer_policy of : 1",
	}
	if diff := cmp.Diff(want, s.found()); diff != "" {
		t.Error(diff)
	}
	if n := s.metric("app report cookie_without_secure"); n != 2 {
		t.Errorf("the metric counts %d cookies without Secure", n)
	}
}

func TestOffDoesNothing(t *testing.T) {
	s := raise(t, site, "mode: off")
	if got := s.set("sid=1"); !slices.Equal(got, []string{"sid=1"}) || s.Shield != nil {
		t.Errorf("became %q", got)
	}
	s.Leaked("X-Forwarded-User")
	if r := s.watch.Report().Routes; len(r) != 1 || r[0].Mode != "off" || len(r[0].Findings) != 0 {
		t.Errorf("the report is %+v", r)
	}
}

// FuzzSetCookie: whatever an application sends, what browsers read of it besides
// what was hardened is what they would have read.
func FuzzSetCookie(f *testing.F) {
	for _, line := range []string{
		"sid=1", "a=b; Path=/; Expires=Wed, 21 Oct 2099 07:28:00 GMT", "x=\"y;z\"; Domain=.example.com", "=v", ";", "a=b;Secure=;;HttpOnly", "a=b; SameSite=None; SameSite",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n\x00") {
			return // net/http lets no such line through
		}
		got := raise(t, site, "mode: enforce").set(line)
		before, err := http.ParseSetCookie(line)
		if err != nil {
			return
		}
		after, err := http.ParseSetCookie(got[0])
		if err != nil {
			t.Fatalf("%q became %q, which can't be read: %v", line, got, err)
		}
		if !after.Secure || !after.HttpOnly || after.Domain != "" {
			t.Errorf("%q became %q", line, got)
		}
		if before.Name != after.Name || before.Value != after.Value || before.Path != after.Path || before.MaxAge != after.MaxAge ||
			!before.Expires.Equal(after.Expires) || before.Partitioned != after.Partitioned {
			t.Errorf("%q became %q", line, got)
		}
	})
}
