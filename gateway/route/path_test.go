package route_test

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/route"
)

func reason(err error) string {
	if bad, ok := errors.AsType[*route.BadRequest](err); ok {
		return bad.Reason
	}
	return ""
}

func TestCanonical(t *testing.T) {
	tests := map[string]struct{ raw, want string }{
		"the root":                          {"/", "/"},
		"an ordinary path":                  {"/a/b.c/d-e_f~g", "/a/b.c/d-e_f~g"},
		"a slash at the end":                {"/a/", "/a/"},
		"names that begin with dots":        {"/.well-known/..hidden/...", "/.well-known/..hidden/..."},
		"names that end with dots":          {"/svc../x./y", "/svc../x./y"},
		"reserved characters":               {"/a:b@c!$&'()*+,=d", "/a:b@c!$&'()*+,=d"},
		"encoded letters":                   {"/%61dm%69n", "/admin"},
		"hex digits in either case":         {"/%c3%B6", "/ö"},
		"letters beyond ASCII, not encoded": {"/ö", "/ö"},
		"letter case":                       {"/ADMIN", "/ADMIN"},
		"an encoded space":                  {"/a%20b", "/a b"},
		"a plus sign":                       {"/a+b", "/a+b"},
		"one level of two of encoding":      {"/%2561", "/%61"},
		"double encoding":                   {"/public/%252e%252e%252fadmin", "/public/%2e%2e%2fadmin"},
		"triple encoding":                   {"/public/%25252e%25252e/admin", "/public/%252e%252e/admin"},
		"empty segments":                    {"//a///b//", "/a/b/"},
		"only slashes":                      {"///", "/"},
		"a parameter":                       {"/a;v=1/b", "/a/b"},
		"an encoded parameter":              {"/a%3bv=1/b", "/a/b"},
		"a parameter at the end":            {"/a/b;jsessionid=1", "/a/b"},
		"nothing but parameters":            {"/;a/;b", "/"},
		"a parameter that leaves nothing":   {"/a/;x/b", "/a/b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := route.Canonical(tt.raw, false)
			if err != nil || got != tt.want {
				t.Errorf("%s: got %q, %v; want %q", tt.raw, got, err, tt.want)
			}
		})
	}
}

func TestPathsThatCouldMeanTwoThingsAreRefused(t *testing.T) {
	tests := map[string]struct {
		reason string
		raw    []string
	}{
		// CVE-2025-32431, CVE-2019-9901: routed as sent, served as resolved.
		"dot segments": {route.ReasonAmbiguousPath, []string{
			"/public/../admin/secret", "/public/./../admin/secret", "/.", "/..", "/a/.", "/a/..", "/../", "/a//../b",
		}},
		"encoded dot segments": {route.ReasonAmbiguousPath, []string{
			"/public/%2e%2e/admin/secret", "/public/%2E./admin/secret", "/public/.%2e/admin/secret", "/%2e", "/%2e/",
		}},
		// Tomcat cuts the parameter off and then resolves what is left.
		"dot segments behind a parameter": {route.ReasonAmbiguousPath, []string{
			"/public/..;/admin/secret", "/public/..;a=b/admin/secret", "/public/..%3b/admin/secret", "/public/%2e%2e;/admin/secret", "/.;", "/a;b/..;c",
		}},
		// CVE-2021-29492, CVE-2025-66490.
		"encoded slashes": {route.ReasonAmbiguousPath, []string{
			"/public/..%2fadmin/secret", "/public/..%2Fadmin/secret", "/public/%2e%2e%2fadmin/secret", "/public%2f..%2fadmin", "/a%2fb", "/%2f",
		}},
		"backslashes": {route.ReasonAmbiguousPath, []string{`/public/..\admin`, `/a\b`, "/a%5cb", "/public/..%5Cadmin"}},
		// CVE-2023-47106, CVE-2021-32779: what follows is path here and nothing there.
		"fragments and queries in the path": {route.ReasonAmbiguousPath, []string{
			"/public/secret%23/endpoint", "/public/secret%3f/endpoint", "/public#/../admin/secret", "/a%3F",
		}},
		"control characters": {route.ReasonBadPath, []string{
			"/admin%00.png", "/app/x%0d%0aX-Forwarded-User:%20root", "/app/%7f", "/app/%09x", "/app/\x00", "/app/\x7f", "/a%c2%85",
		}},
		"text that is not UTF-8": {route.ReasonBadPath, []string{"/%ff", "/%c0%ae%c0%ae/admin", "/\xc0\xaf", "/%ed%a0%80"}},
		"bad escapes":            {route.ReasonBadPath, []string{"/%", "/%2", "/%zz", "/a%2gb", "/%%32%65"}},
		"no slash at the front":  {route.ReasonBadPath, []string{"", "*", "admin", "%2fadmin", "http://h/admin", ";/a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, raw := range tt.raw {
				got, err := route.Canonical(raw, false)
				if got != "" || reason(err) != tt.reason {
					t.Errorf("%q: got %q, %v; want %s", raw, got, err, tt.reason)
				}
			}
		})
	}
}

func TestEncodedSlashWhereItIsAllowed(t *testing.T) {
	for raw, want := range map[string]string{
		"/admin%2fsecret":        "/admin/secret",
		"/admin%2Fsecret":        "/admin/secret",
		"/%2fadmin":              "/admin",
		"/a%2f%2fb":              "/a/b",
		"/a%2f;x/b":              "/a/b",
		"/a%252fb":               "/a%2fb",
		"/public/..%2fadmin":     "",
		"/public/%2e%2e%2fadmin": "",
		"/public%2f..%2fadmin":   "",
		"/public%2f..;%2fadmin":  "",
		"/a%5cb":                 "",
	} {
		got, err := route.Canonical(raw, true)
		if got != want || (want == "") != (reason(err) == route.ReasonAmbiguousPath) {
			t.Errorf("%s: got %q, %v; want %q", raw, got, err, want)
		}
	}
}

func TestRefusalsRepeatNothingOfTheRequest(t *testing.T) {
	for _, raw := range []string{"/s3cret/../x", "/s3cret%00", "/s3cret%zz", "/s3cret%ff", "s3cret", "/s3cret%2f", "/s3cret%23"} {
		if _, err := route.Canonical(raw, false); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// The path that policies see must be the path that an application arrives at
// when it decodes once, cuts parameters, merges slashes and resolves dots.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{
		"/", "/a/b", "/a//b;c/", "/%61", "/a%2fb", "/..;/a", "/%2e%2e/", "/a%00", "/ö", "/%c3%b6;x", "//", "/;/;", "/.a/..b", "/%25%32%65", "/a%3b/../b",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, raw string, allow bool) {
		got, err := route.Canonical(raw, allow)
		if err != nil {
			if got != "" || reason(err) == "" {
				t.Fatalf("%q: refused with %q, %v", raw, got, err)
			}
			return
		}
		if want := naive(t, raw); got != want {
			t.Fatalf("%q: we see %q, the application %q", raw, got, want)
		}
		if strings.ContainsAny(got, "\\#?;") || strings.Contains(got, "//") || got[0] != '/' {
			t.Fatalf("%q: %q is not canonical", raw, got)
		}
		if !allow && strings.Contains(strings.ToLower(raw), "%2f") {
			t.Fatalf("%q: an encoded slash got through", raw)
		}
		if again, err := route.Canonical((&url.URL{Path: got}).EscapedPath(), false); err != nil || again != got {
			t.Fatalf("%q: %q reads as %q, %v", raw, got, again, err)
		}
	})
}

func naive(t *testing.T, raw string) string {
	t.Helper()
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		t.Fatalf("%q was accepted: %v", raw, err)
	}
	parts := strings.Split(decoded, "/")
	for i, part := range parts {
		parts[i], _, _ = strings.Cut(part, ";")
	}
	cut := strings.Join(parts, "/")
	clean := path.Clean(cut)
	if strings.HasSuffix(cut, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}
