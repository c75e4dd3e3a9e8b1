package route_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/route"
)

// entry makes a route whose name tells the tests which one was found.
func entry(name, host, path string, methods ...string) route.Entry {
	e := route.Entry{Route: &route.Route{Name: name}, Paths: []string{path}, Methods: methods}
	if host != "" {
		e.Hosts = []string{host}
	}
	return e
}

func table(tb testing.TB, entries ...route.Entry) *route.Table {
	tb.Helper()
	tab, err := route.NewTable(entries, []string{"app.example.test"})
	if err != nil {
		tb.Fatal(err)
	}
	return tab
}

// request is what net/http makes of a request line and a Host header.
func request(method, target, host string) *http.Request {
	return &http.Request{Method: method, RequestURI: target, Host: host, Header: http.Header{}}
}

// outcome is the route's name, or the refusal in a word.
func outcome(tab *route.Table, r *http.Request) string {
	m, err := tab.Match(r)
	switch {
	case err == nil:
		return m.Route.Name
	case errors.Is(err, route.ErrNoRoute):
		return "404"
	case errors.Is(err, route.ErrMethod):
		return "405"
	case errors.Is(err, route.ErrHost):
		return "421"
	}
	return reason(err)
}

// bench is the set of routes that the attacks are aimed at.
func bench(tb testing.TB) *route.Table {
	tb.Helper()
	public := entry("public", "", "/public/")
	public.Route.Public = true
	rw := entry("rw", "", "/rw", "GET", "HEAD")
	svc := entry("svc", "", "/svc/")
	svc.Route.AllowEncodedSlash = true
	return table(
		tb,
		public, rw, svc,
		entry("rest", "", "/"),
		entry("admin", "", "/admin/"),
		entry("rw-admins", "", "/rw", "POST", "PUT"),
		entry("versions", "", "~^/v[0-9]+/.*"),
		entry("exact", "", "=/public/exact"),
		entry("admin-host", "admin.example.test", "/"),
		entry("wild", "*.example.test", "/"),
	)
}

func TestPathAttacks(t *testing.T) {
	const ambiguous, malformed, absolute = route.ReasonAmbiguousPath, route.ReasonBadPath, route.ReasonAbsoluteTarget
	tests := map[string]map[string]string{ // target: outcome
		"dot segments": {
			"/public/../admin/secret": ambiguous, "/public/%2e%2e/admin/secret": ambiguous, "/public/..;/admin/secret": ambiguous,
		},
		"encoded slashes": {
			"/public/..%2fadmin/secret": ambiguous, "/public%2f..%2fadmin": ambiguous, "/public%2fx": ambiguous, "/nowhere%2fx": ambiguous,
		},
		"double encoding stays encoded": {"/public/%252e%252e%252fadmin/secret": "public"},
		// CVE-2021-31920: //admin was matched as another path than it was served.
		"repeated slashes that hide a route": {
			"//admin/secret": ambiguous, "///admin/secret": ambiguous, "//admin/public/x": ambiguous, "/app//../admin/secret": ambiguous,
			"/%2fadmin/secret": ambiguous,
		},
		"repeated slashes below a route":    {"/admin//secret": "admin", "/public//exact/": "public", "//x": "rest", "/x//y": "rest"},
		"parameters that hide a route":      {"/admin;x/secret": ambiguous, "/admin%3bx/secret": ambiguous, "/public/exact;x": ambiguous},
		"parameters below a route":          {"/admin/secret;x=1": "admin", "/x;y/z": "rest"},
		"a fragment anywhere in the target": {"/public#/../admin/secret": ambiguous, "/admin/secret#/public/": ambiguous, "/public/x?y=1#/../admin": ambiguous, "/x?#": ambiguous},
		"an encoded fragment or query":      {"/public/secret%23/endpoint": ambiguous, "/public/secret%3f/endpoint": ambiguous},
		// CVE-2025-54576: an unanchored expression matched inside the query.
		"the query takes no part":       {"/admin/secret?x=/public/abc": "admin", "/admin/public/abc": "admin", "/admin/secret?/public/abc": "admin", "/x?/v1/": "rest", "/?a=..%2f": "rest"},
		"expressions are anchored":      {"/v1/x": "versions", "/v12/": "versions", "/x/v1/x": "rest", "/v1": "rest", "/va/v1/": "rest"},
		"control characters":            {"/admin%00.png": malformed, "/app/x%0d%0aX-Forwarded-User:%20root": malformed, "/app/%7f": malformed},
		"encoded letters":               {"/%61dmin/secret": "admin", "/adm%69n/secret": "admin"},
		"letter case is another path":   {"/ADMIN/secret": "rest", "/Public/x": "rest"},
		"absolute and opaque targets":   {"http://app.example.test/admin/secret": absolute, "http:http://app.example.test/admin": absolute, "x:http://h/admin": absolute, "ftp://h/": absolute, "*": absolute, "admin": absolute, "?x": absolute},
		"names that begin like a route": {"/administrator": "rest", "/adminx/secret": "rest", "/svc../admin/x": "rest", "/svc./admin": "rest", "/public": "public"},
		"a prefix covers its own name":  {"/admin": "admin", "/admin/": "admin", "/admin?x": "admin"},
		"an encoded slash where it is allowed": {
			"/svc/a%2Fb": "svc", "/s%76c/a%2Fb": "svc", "/svc%2fx": "svc", "/svc%2f..%2fadmin": ambiguous, "/svc/..%2fadmin": ambiguous,
			"/svc%2f%2fadmin": "svc", "/svc/a%2f%2fb": "svc",
		},
	}
	tab := bench(t)
	for name, targets := range tests {
		t.Run(name, func(t *testing.T) {
			for target, want := range targets {
				if got := outcome(tab, request("GET", target, "app.example.test")); got != want {
					t.Errorf("%s: got %s, want %s", target, got, want)
				}
			}
		})
	}
}

// With encoded slashes allowed, /files/public%2fx is /files/public/x to the
// gateway and may be a file called "public/x" in the protected /files to the
// application.
func TestEncodedSlashNeverMakesARequestPublic(t *testing.T) {
	public, private, open := entry("public", "", "/files/public"), entry("private", "", "/files"), entry("open", "", "/open")
	public.Route.Public, open.Route.Public = true, true
	for _, e := range []route.Entry{public, private, open} {
		e.Route.AllowEncodedSlash = true
	}
	tab := table(t, public, private, open)
	for target, want := range map[string]string{
		"/files/public/x":    "public",
		"/files/public/a%2f": "public",
		"/files/public%2fx":  route.ReasonAmbiguousPath,
		"/files%2fpublic/x":  route.ReasonAmbiguousPath,
		"/files/private%2fx": "private",
		"/open/a%2fb":        "open",
		"/open%2fb":          route.ReasonAmbiguousPath,
	} {
		if got := outcome(tab, request("GET", target, "app.example.test")); got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
}

func TestAnyMixtureOfReadingsMustAgree(t *testing.T) {
	// As sent and as fully cleaned this is route one; with its slashes merged
	// alone it would be route two.
	one := entry("one", "", "/")
	one.Paths = append(one.Paths, "/a/b/c")
	tab := table(t, one, entry("two", "", "/a"))
	if got := outcome(tab, request("GET", "//a/b;x/c", "app.example.test")); got != route.ReasonAmbiguousPath {
		t.Errorf("got %s", got)
	}
	if got := outcome(tab, request("GET", "/a/b/c//d;x", "app.example.test")); got != "one" {
		t.Errorf("got %s", got)
	}
}

func TestHostAttacks(t *testing.T) {
	const malformed = route.ReasonBadHost
	tests := map[string]map[string]string{ // host: outcome
		"letter case":             {"ADMIN.example.test": "admin-host", "admin.EXAMPLE.test": "admin-host", "APP.example.test": "rest"},
		"the dot of the root":     {"admin.example.test.": "admin-host", "admin.example.test.:443": "admin-host", "admin.example.test..": malformed},
		"ports":                   {"admin.example.test:443": "admin-host", "admin.example.test:80:80": malformed, "admin.example.test:abc": malformed, "admin.example.test:": malformed, "app.example.test:0": malformed, "app.example.test:65536": malformed, "app.example.test:+80": malformed},
		"a wildcard is one label": {"other.example.test": "wild", "a.b.example.test": "421", "example.test": "421", ".example.test": malformed, "*.example.test": malformed},
		"unknown hosts":           {"unknown.test": "421", "127.0.0.1": "421", "[::1]:80": "421", "app.example.test.evil": "421", "localhost": "421"},
		"malformed hosts":         {"": malformed, ".": malformed, "a..b": malformed, "user@app.example.test": malformed, "app.example.test/x": malformed, "app.example.test#": malformed, "app example.test": malformed, "[::1": malformed, "[::1]x": malformed, "[::1]:x": malformed, "[1.2.3.4]": malformed, "[fe80::1%25eth0]": malformed, "::1": malformed, "äpp.example.test": malformed, "app.example.test\x00": malformed},
	}
	tab := bench(t)
	for name, hosts := range tests {
		t.Run(name, func(t *testing.T) {
			for host, want := range hosts {
				if got := outcome(tab, request("GET", "/", host)); got != want {
					t.Errorf("%q: got %s, want %s", host, got, want)
				}
				if known := want != malformed && want != "421"; tab.KnownHost(host) != known {
					t.Errorf("%q: known %v, want %v", host, !known, known)
				}
			}
		})
	}
}

func TestLoopbackAddressesInAnyForm(t *testing.T) {
	tab, err := route.NewTable([]route.Entry{entry("dev", "", "/")}, []string{"localhost", "127.0.0.1", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"localhost:8080": "dev", "LOCALHOST": "dev", "127.0.0.1:8080": "dev", "[::1]:8080": "dev", "[::1]": "dev", "[0:0:0:0:0:0:0:1]": "dev",
		"127.1": "421", "[::ffff:127.0.0.1]": "421", "0x7f.0.0.1": "421",
	} {
		if got := outcome(tab, request("GET", "/", host)); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

func TestExactHostIsNotSearchedUnderTheWildcardAsWell(t *testing.T) {
	tab := table(t, entry("narrow", "a.example.test", "/only"), entry("wide", "*.example.test", "/"))
	if got := outcome(tab, request("GET", "/x", "a.example.test")); got != "404" {
		t.Errorf("got %s", got)
	}
	if got := outcome(tab, request("GET", "/x", "b.example.test")); got != "wide" {
		t.Errorf("got %s", got)
	}
}

// CVE-2020-14359: a filter for GET did not see "get".
func TestMethodsAreCaseSensitiveAndNeverFallThrough(t *testing.T) {
	tab := bench(t)
	for line, want := range map[[2]string]string{
		{"GET", "/rw/x"}: "rw", {"HEAD", "/rw/x"}: "rw", {"POST", "/rw/x"}: "rw-admins", {"PUT", "/rw"}: "rw-admins",
		{"DELETE", "/rw/x"}: "405", {"post", "/rw/x"}: "405", {"FOO", "/rw/x"}: "405", {"get", "/rw"}: "405",
		{"OPTIONS", "/rw"}: "405", {"PROPFIND", "/admin/secret"}: "admin", {"get", "/admin/secret"}: "admin", {"G!T", "/admin/secret"}: "admin",
		{"CONNECT", "/"}: "405", {"TRACE", "/rw"}: "405", {"CONNECT", "app.example.test:443"}: "405",
		{"", "/"}: route.ReasonBadMethod, {"G T", "/"}: route.ReasonBadMethod, {"GET\r\n", "/"}: route.ReasonBadMethod, {"G\u00c9T", "/"}: route.ReasonBadMethod,
	} {
		if got := outcome(tab, request(line[0], line[1], "app.example.test")); got != want {
			t.Errorf("%s %s: got %s, want %s", line[0], line[1], got, want)
		}
	}
}

func TestRefusedMethodNamesThoseOfAllRoutesOfThePath(t *testing.T) {
	m, err := bench(t).Match(request("DELETE", "/rw/x", "app.example.test"))
	if !errors.Is(err, route.ErrMethod) || m.Route != nil {
		t.Fatalf("%+v, %v", m, err)
	}
	if diff := cmp.Diff([]string{"GET", "HEAD", "POST", "PUT"}, m.Allow); diff != "" {
		t.Error(diff)
	}
	if m, err = bench(t).Match(request("TRACE", "/rw/x", "app.example.test")); !errors.Is(err, route.ErrMethod) || m.Allow != nil {
		t.Errorf("TRACE: %+v, %v", m, err)
	}
}

func TestPrecedence(t *testing.T) {
	tab := table(
		t,
		entry("root", "", "/"),
		entry("any expression", "", "~/.*"),
		entry("docs", "", "/docs"),
		entry("docs expression", "", "~/docs.*x"),
		entry("docs deep", "", "/docs/a/b/"),
		entry("docs longer expression", "", "~^/docs/a/(b|c)/.*$"),
		entry("docs exact", "", "=/docs/a"),
		entry("ignores case", "", "~(?i)/MIXED"),
		entry("quoted", "", `~/q\.(x|y)`),
	)
	for target, want := range map[string]string{
		"/":               "any expression",
		"/zzz":            "any expression",
		"/docs":           "docs",
		"/docs/":          "docs",
		"/docs/q":         "docs",
		"/docs/qx":        "docs expression",
		"/docsx":          "docs expression",
		"/docs/a":         "docs exact",
		"/docs/a/":        "docs",
		"/docs/a/b":       "docs deep",
		"/docs/a/b/":      "docs deep",
		"/docs/a/b/x":     "docs deep",
		"/docs/a/c/y":     "docs longer expression",
		"/mixed":          "any expression", // "/" is longer than the literal text of an expression without letter case
		"/q.x":            "quoted",
		"/q.xy":           "any expression",
		"/qzx":            "any expression",
		"/docs/a/bb":      "docs",
		"/docs/%61/c/%79": "docs longer expression",
	} {
		if got := outcome(tab, request("GET", target, "app.example.test")); got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
}

func TestMatchTellsPathAndPattern(t *testing.T) {
	m, err := bench(t).Match(request("GET", "/%61dmin//x;y?q", "APP.example.test:443"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Route.Name != "admin" || m.Path != "/admin/x" || m.Pattern != "/admin" || m.Allow != nil {
		t.Errorf("%+v", m)
	}
}

// Front ends that rebuild a client's request have no request line to offer.
func TestRebuiltRequestsAreReadFromTheirURL(t *testing.T) {
	tab := bench(t)
	for raw, want := range map[string]string{
		"https://app.example.test/admin/x":             "admin",
		"https://app.example.test/%61dmin/x":           "admin",
		"https://app.example.test/public/..%2fadmin":   route.ReasonAmbiguousPath,
		"https://app.example.test/public/%2e%2e/admin": route.ReasonAmbiguousPath,
		"https://app.example.test/public/../admin":     route.ReasonAmbiguousPath,
		"https://app.example.test//admin":              route.ReasonAmbiguousPath,
		"https://app.example.test/public#x":            route.ReasonAmbiguousPath,
		"https://app.example.test":                     route.ReasonAbsoluteTarget,
		"mailto:x":                                     route.ReasonAbsoluteTarget,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome(tab, &http.Request{Method: "GET", URL: u, Host: "app.example.test"}); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
	if got := outcome(tab, &http.Request{Method: "GET", Host: "app.example.test"}); got != route.ReasonAbsoluteTarget {
		t.Errorf("a request without any target: %s", got)
	}
}

func TestEmptyTableServesNobody(t *testing.T) {
	for _, tab := range []*route.Table{{}, table(t)} {
		if got := outcome(tab, request("GET", "/", "app.example.test")); got != "421" {
			t.Errorf("got %s", got)
		}
	}
}
