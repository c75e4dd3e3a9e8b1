package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
)

// TestPathTricksNeverReachAProtectedPath sends targets that some servers read
// as /admin/secret, or as something public, and others do not (CVE-2025-32431,
// CVE-2021-29492, CVE-2020-11989, CVE-2021-31920, CVE-2026-41059, CVE-2025-54576).
func TestPathTricksNeverReachAProtectedPath(t *testing.T) {
	s := newSite(t, plan{})
	for name, targets := range map[string][]string{
		"dot segments": {
			"/public/../admin/secret", "/public/./../admin/secret", "/public/%2e%2e/admin/secret",
			"/public/%2E./admin/secret", "/public/.%2e/admin/secret", "/public/..", "/public/%2e%2e",
		},
		"encoded slashes": {
			"/public/..%2fadmin/secret", "/public/..%2Fadmin/secret", "/public/%2e%2e%2fadmin/secret",
			"/public%2f..%2fadmin/secret", "/admin%2fsecret", "/public%2fx",
		},
		"a parameter behind a dot segment": {
			"/public/..;/admin/secret", "/public/..;a=b/admin/secret", "/public/..%3b/admin/secret",
			"/public/%2e%2e;/admin/secret", "/public/.;/admin", "/public/..%3Ba/admin",
		},
		"a path that looks like an authority": {
			"//admin/secret", "///admin/secret", "/app//../admin/secret", "//admin/public/x", "//admin/public/../secret",
			"//public/x@y/../../admin/secret", "//localhost:8080/admin/secret", "//x/admin/secret", "///x//admin/secret",
		},
		"a fragment": {
			"/shared/secret%23/endpoint", "/shared/secret%3f/endpoint", "/public#/../admin/secret", "/admin/secret#/public/",
			"/public/x?y=1#/../admin", "/public/#", "/public/x%23y",
		},
		"public text elsewhere in the target": {
			"/admin/secret?x=/public/abc", "/admin/public/abc", "/admin/secret?/public/abc", "/admin/secret?x=/pub/abc",
			"/admin/pub/abc", "/pub/abc/../../admin", "/pub/abc1", "/Public/x", "/publicity",
		},
		"control characters": {
			"/admin%00.png", "/app/%00/../../admin", "/app/x%0d%0aX-Forwarded-User:%20root", "/app/%7f", "/app/%09x",
			"/public/%00", "/public/%0a", "/public/%1b[31m", "/public/%c2%85",
		},
		"backslashes": {`/public/..\admin\secret`, `/public\..\admin`, "/public/..%5cadmin%5csecret", "/public%5c..%5cadmin"},
		"bad escapes": {"/public/%", "/public/%2", "/public/%zz", "/public/%u002e%u002e/admin", "/public/%ff", "/public/%c0%ae%c0%ae/admin"},
		"an absolute target": {
			"http://localhost:8080/admin/secret", "x:http://localhost:8080/admin", "http:http://localhost:8080/admin/secret",
			"ftp://localhost:8080/admin/secret", "http:/admin/secret", "public/x", "*", "?/public/", "@localhost/admin",
		},
	} {
		for _, target := range targets {
			t.Run(name+" "+target, func(t *testing.T) {
				s.denied(t, s.as(t, "", target))
				if strings.Contains(target, "public/abc") || strings.Contains(target, "pub/abc") ||
					strings.HasPrefix(target, "/pub/abc1") || target == "/Public/x" || target == "/publicity" {
					return // an ordinary path of the site, which alice may see or not
				}
				s.denied(t, s.as(t, "alice", target))
			})
		}
	}
}

// TestDotSegmentsAreRefusedForEverybody has the one user to whom the resolved
// path would be open: repairing it is no better than forwarding it.
func TestDotSegmentsAreRefusedForEverybody(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{
		"/public/../admin/secret", "/public/%2e%2e/admin/secret", "/admin/..;/admin/secret", "/admin/x/..", "/admin/./x",
		"/svc../admin/x/..", "/svc/../admin",
	} {
		s.denied(t, s.as(t, "root", target), http.StatusBadRequest)
	}
}

// TestDoubleEncodingIsDecodedOnce: two decodings would turn %252e into a dot,
// and a gateway that re-encodes would hand the second one to the application.
func TestDoubleEncodingIsDecodedOnce(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{"/public/%252e%252e%252fadmin/secret", "/public/%25252e%25252e/admin", "/public/%252f", "/public/%2500"} {
		got := s.passed(t, s.as(t, "", target))
		if got.target() != target {
			t.Errorf("the application received %q for %q", got.target(), target)
		}
	}
}

func TestEncodedLettersMeanTheSamePath(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{"/%61dmin/secret", "/adm%69n/secret", "/%61%64%6d%69%6e/secret", "//admin/secret", "/admin;x=1/secret", "/;x/admin/secret"} {
		t.Run(target, func(t *testing.T) {
			s.denied(t, s.as(t, "alice", target), http.StatusForbidden, http.StatusBadRequest)
			if a := s.as(t, "root", target); a.StatusCode != http.StatusBadRequest {
				if got := s.passed(t, a); got.target() != target {
					t.Errorf("the application received %q", got.target())
				}
			}
		})
	}
	// Another letter case is another path, and the application gets just that.
	if got := s.passed(t, s.as(t, "alice", "/ADMIN/secret")); got.target() != "/ADMIN/secret" {
		t.Errorf("the application received %q", got.target())
	}
}

// TestEncodedSlashCountsAsASlashWhereItIsAllowed (CVE-2021-29492,
// CVE-2025-47952): the rule is found by the decoded path, the application gets
// the bytes.
func TestEncodedSlashCountsAsASlashWhereItIsAllowed(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{"/drive/admin%2fsecret", "/drive%2fadmin%2Fsecret", "/drive/%61dmin%2fx", "/drive%2F%2fadmin/x", "/drive/x%2f..%2fadmin/x", "/drive/..%2fadmin/x"} {
		s.denied(t, s.as(t, "", target))
		s.denied(t, s.as(t, "alice", target), http.StatusForbidden, http.StatusBadRequest)
	}
	const repository = "/drive/group%2Fproject/raw?ref=a%2Fb"
	if got := s.passed(t, s.as(t, "alice", repository)); got.target() != repository {
		t.Errorf("the application received %q for %q", got.target(), repository)
	}
}

func TestApplicationReceivesTheQueryThatWasSent(t *testing.T) {
	s := newSite(t, plan{})
	for _, query := range []string{
		"role=user&role=admin", "role=user;role=admin", "role=user&%zz=1", "role=user&ROLE=admin", "a=b%", "?", "??&&==", "a[]=1&a[]=2",
		"q=%2e%2e%2f", "x=http://evil.test/../", "a=" + strings.Repeat("x", 8000), strings.Repeat("a=1&", 3000) + "role=admin",
		`q="<>^|{}\`, "q=\xc3\xa9", "q=a+b%20c",
	} {
		target := "/app/x?" + query
		if got := s.passed(t, s.as(t, "alice", target)); got.target() != target {
			t.Errorf("the application received %.200q for %.200q", got.target(), target)
		}
	}
}

// TestTargetsArriveByteForByteOrNotAtAll: gateways that clean, decode or
// re-encode what they forward break applications, and let the application see
// another path than the one that was judged.
func TestTargetsArriveByteForByteOrNotAtAll(t *testing.T) {
	s := newSite(t, plan{adminToken: adminToken(t)})
	cookie := "Cookie: " + s.signIn(t, "alice")
	passed, refused := 0, 0
	for _, target := range nastyTargets() {
		a := s.raw(t, s.request("GET", target, cookie, "Connection: close"))
		got := s.upstream.take()
		switch {
		case a.StatusCode == http.StatusBadRequest && len(got) == 0:
			refused++
		case a.StatusCode == http.StatusOK && len(got) == 1 && got[0].target() == target:
			passed++
			var judged gateway.Explanation
			s.ask(t, "POST", "/explain", map[string]any{"method": "GET", "url": target}, &judged)
			if read := pathOfAnApplication(t, target); judged.Path != read {
				t.Errorf("%q: judged as %q, and the application reads %q", target, judged.Path, read)
			}
		default:
			t.Errorf("%q: %d, and the application received %q", target, a.StatusCode, got)
		}
	}
	if passed < 200 || passed+refused < 200 {
		t.Errorf("%d passed and %d were refused: that is not the corpus", passed, refused)
	}
	t.Logf("%d targets passed byte for byte, %d were refused", passed, refused)
}

// pathOfAnApplication is the path that an application makes of a target: decoded
// once, and then as those see it that ignore parameters and empty segments.
func pathOfAnApplication(t *testing.T, target string) string {
	t.Helper()
	path, _, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`/+`).ReplaceAllString(regexp.MustCompile(`;[^/]*`).ReplaceAllString(decoded, ""), "/")
}

func nastyTargets() []string {
	var all []string
	segments := []string{
		"a", "a%20b", "a+b", "a%2Bb", "%7Euser", "~user", "%41", "a%25b", "%E4%BD%A0", "\xe4\xbd\xa0", "%e4%bd%a0", "a;b=c", "a%3Bb", "a,b", "a=b", "a&b",
		"a:b", "a@b", "a$b", "a!b", "a'b", "(a)", "a*b", "[a]", "a|b", "a^b", "a`b", "{a}", "<a>", `"a"`, "a%22", "%3Ca%3E", "%7Ba%7D", "a..b", "...", ".a",
		"a.", "..a", "a%2Ea", "%2Ea", "a%7Cb", "%5Ba%5D", "a%60", "a%5E", "%F0%9F%98%80", "a%C2%A0b", "%24", "%26", "%2C", "%3A", "%3D", "%40", "-_.~",
		"a%2Fb", "a%5Cb", "a%23b", "a%3Fb", "%2e%2e", "%00", "%",
	}
	for _, segment := range segments {
		all = append(all, "/"+segment, "/x/"+segment+"/y?q="+segment, "/"+segment+"/", "//x/"+segment)
	}
	for _, query := range []string{"?", "??", "?a=b;c=d", "?a=%zz", "?%", "?&", "?=", "?a&b&&c", "?a=b#c", "?q=%E4", "?redirect=http://x/../y", "?a=//b", "?a=\xff"} {
		all = append(all, "/q"+query, "/"+query)
	}
	for i := 1; i <= 6; i++ {
		all = append(all, "/x"+strings.Repeat("/", i)+"y", strings.Repeat("/", i)+"x", fmt.Sprintf("/x%sy?%s", strings.Repeat("/", i), strings.Repeat("?", i)))
	}
	return all
}
