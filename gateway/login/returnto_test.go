package login_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// newService is a Service without a listener, for https://app.example.test.
func newService(tb testing.TB) *login.Service {
	tb.Helper()
	ring, err := session.NewKeyring([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		tb.Fatal(err)
	}
	server := config.Server{Listen: "127.0.0.1:0", PublicURL: "https://app.example.test", AuthPrefix: "/.auth"}
	manager := session.NewManager(session.Options{
		Store: newMemoryStore(), Keyring: ring, Server: server,
		Session: config.Session{IdleTimeout: time.Hour, AbsoluteTimeout: 2 * time.Hour},
	})
	tb.Cleanup(manager.Close)
	renderer, err := pages.New(pages.Options{Prefix: "/.auth"})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := login.New(login.Options{
		Server: server, Sessions: manager, Pages: renderer,
		KnownHost: func(host string) bool { // like a table of routes, it does not mind the port
			bare := &url.URL{Host: host}
			return slices.Contains(servedHosts, bare.Hostname())
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

var servedHosts = []string{"app.example.test", "other.example.test"}

// leadsHome asserts with another parser that a Location stays on a served host.
func leadsHome(t *testing.T, raw, location string) {
	t.Helper()
	if location == "" {
		return
	}
	scheme, host, ok := whatwgHost(location, "https", "app.example.test")
	if !ok || scheme != "https" || !slices.Contains(servedHosts, host) {
		t.Errorf("%q is sent as Location %q, which browsers take for %s://%s", raw, location, scheme, host)
	}
	for _, c := range []byte(location) {
		if c <= ' ' || c >= 0x7f || c == '\\' {
			t.Errorf("%q is sent as Location %q with the byte %#x", raw, location, c)
		}
	}
	if u, err := url.Parse(location); err != nil || u.User != nil || u.Host != "" && !slices.Contains(servedHosts, u.Host) {
		t.Errorf("%q is sent as Location %q, which Go takes for %v (%v)", raw, location, u, err)
	}
}

// payloads are return URLs that lead elsewhere in some parser or other: every
// opening with every trick and every host.
func payloads() []string {
	openings := []string{
		"", "/", "//", "///", "////", `\`, `\\`, `/\`, `\/`, `/\/`, `//\`, `\//`, "/./", "/../", "/.//", "/;/", "/;//", ".//", "./", "@",
		"https:", "https:/", "https://", "https:///", "https:////", `https:\\`, `https:/\`, `https:\/`, "http://", "HTTPS://", "hTtP://",
		"ftp://", "file:///", "javascript:", "JaVaScRiPt:", "javascript://", "data:text/html,", "vbscript:", "blob:https://", "view-source:https://",
		"mailto:", "ws://", "wss://", "//https:", "/https://", "?//", "#//", ":", "://", ":80//", "0://", "https:;//", "x-https://",
	}
	tricks := []string{
		"", "\t", "\n", "\r", "\r\n", " ", "\x00", "\x01", "\x1f", "\x7f", "\u0085", "\u00a0", "\u2028", "\u3000", "\u200b", "\ufeff", "\u202e",
		"/", "//", `\`, "%2f", "%2F%2f", "%5c", "%5C/", "%09", "%0d%0a", "%00", "%20", "%252f", "../", "%2e%2e/", "..;/", "@", ":@", "x@", "x:y@",
		"app.example.test@", "app.example.test:443@", "app.example.test#@", "app.example.test?@", "app.example.test/@", "app.example.test%2f@",
		`app.example.test\@`, "app.example.test%00.", "app.example.test.", "\uff0f", "\uff0e", "\u2044", "\u3002", "\xff", "\xc0\xaf",
	}
	hosts := []string{
		"evil.test", "evil.test/", "evil.test:443/", "evil.test?app.example.test", "evil.test#app.example.test", "evil.test%23.app.example.test",
		"evil.test/app.example.test", "app.example.test.evil.test", "evilapp.example.test", "app.example.test.", "app.example.test:8443",
		"app.example.test:", "app.example.test:443x", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0x7f000001", "2130706433", "app.example.tes\u017f",
		"app\u3002example.test", "xn--app-example-test.test", "alert(1)", "app.example.test/alert(1)",
	}
	list := make([]string, 0, len(openings)*len(tricks)*len(hosts))
	for _, o := range openings {
		for _, trick := range tricks {
			for _, h := range hosts {
				list = append(list, o+trick+h, trick+o+h)
			}
		}
	}
	return list
}

func TestNoReturnURLLeadsToAnotherHost(t *testing.T) {
	s := newService(t)
	list := payloads()
	if len(list) < 10_000 {
		t.Fatalf("only %d payloads", len(list))
	}
	accepted := 0
	for _, raw := range list {
		location, err := s.ReturnTo(raw)
		if err != nil {
			if location != "" {
				t.Errorf("%q is refused and yet returned as %q", raw, location)
			}
			continue
		}
		accepted++
		leadsHome(t, raw, location)
	}
	t.Logf("%d payloads, %d accepted as places on a served host", len(list), accepted)
	if accepted == 0 || accepted > len(list)/4 {
		t.Errorf("%d of %d accepted: the list tests something else than it should", accepted, len(list))
	}
}

func TestReturnURL(t *testing.T) {
	s := newService(t)
	const no = "refused"
	tests := map[string]string{
		"": "", "/": "/", "/a/b?c=d&e#f": "/a/b?c=d&e#f", "/a//b": "/a//b", "/a;v=1?x=%zz;y": "/a;v=1?x=%zz;y", "/?u=//evil.test": "/?u=//evil.test",
		"/한글?q=é": "/%ED%95%9C%EA%B8%80?q=%C3%A9", "/%ED%95%9C": "/%ED%95%9C", "/a%2Fb": "/a%2Fb", "/:80": "/:80", "/@x": "/@x",
		"https://app.example.test": "https://app.example.test", "https://other.example.test/x?y": "https://other.example.test/x?y",
		"https://app.example.test:443/": "https://app.example.test:443/", "https://APP.example.test/": "https://APP.example.test/",
		"https://app.example.test//x": "https://app.example.test//x",

		"//evil.test": no, "///evil.test": no, `/\evil.test`: no, `\/evil.test`: no, "/\t/evil.test": no, "/ /evil.test": no, "/%2fevil.test": no,
		"/%09/evil.test": no, "/%5cevil.test": no, "/a%0d%0ab": no, "/./x": no, "/a/../b": no, "/%2e%2e/x": no, "/..;/x": no, "/\x00": no, "/\xff": no, "/%ff": no,
		"a": no, "?x": no, "#x": no, ".": no, "http://app.example.test/": no, "HTTPS://app.example.test/": no, "https:app.example.test": no, "https:/app.example.test": no,
		"https:///app.example.test": no, "https://": no, "https://evil.test/": no, "https://app.example.test:8443/": no, "https://app.example.test:80/": no,
		"https://app.example.test:/": no, "https://app.example.test./": no, "https://x@app.example.test/": no, "https://app.example.test@evil.test": no,
		"https://app.example.test.evil.test/": no, "https://xapp.example.test/": no, `https://app.example.test\@evil.test`: no, "https://app%2eexample.test/": no,
		"javascript:alert(1)": no, "JaVaScRiPt://app.example.test/%0aalert(1)": no, "data:text/html,x": no, "mailto:a@b": no,
		"/" + strings.Repeat("a", 2048): no, "/" + strings.Repeat("a", 2047): "/" + strings.Repeat("a", 2047),

		// Its own endpoints would turn in circles.
		"/.auth/login": "", "/.auth/login?return_to=/x": "", "/.auth/logout": "", "/.auth/callback/corp?code=x": "", "/.AUTH//login/": "", "/.auth/%6cogin": "",
		"https://app.example.test/.auth/logout": "", "/.auth/sessions": "/.auth/sessions", "/.auth/loginx": "/.auth/loginx",
	}
	for raw, want := range tests {
		got, err := s.ReturnTo(raw)
		if err != nil {
			got += no
		}
		if got != want {
			t.Errorf("%.60q is judged %.60q, want %.60q", raw, got, want)
		}
	}
}

func TestBadReturnURLFailsBeforeAnythingIsMade(t *testing.T) {
	users := config.Provider{Name: "local", Type: config.ProviderUsers, File: writeFile(t, cheapUsers)}
	g := newGateway(t, users)
	b := g.browser(t)
	for _, raw := range []string{"//evil.test", "https://evil.test", "javascript:alert(1)", "/\t/evil.test", `/\evil.test`} {
		for name, do := range map[string]func() *answer{
			"sign-in page": func() *answer { return b.get("/.auth/login?return_to=" + url.QueryEscape(raw)) },
			"its alias":    func() *answer { return b.get("/.auth/login?rd=" + url.QueryEscape(raw)) },
			"two of them":  func() *answer { return b.get("/.auth/login?return_to=/&rd=" + url.QueryEscape(raw)) },
			"sign-in form": func() *answer {
				return b.post("/.auth/login", url.Values{"username": {"alice"}, "password": {"correct horse"}, "return_to": {raw}})
			},
			"sign-out page": func() *answer { return b.get("/.auth/logout?return_to=" + url.QueryEscape(raw)) },
			"sign-out form": func() *answer {
				return b.post("/.auth/logout", url.Values{"return_to": {raw}}, "Sec-Fetch-Site", "same-origin")
			},
			"sign-out by query": func() *answer {
				return b.post("/.auth/logout?return_to="+url.QueryEscape(raw), nil, "Sec-Fetch-Site", "same-origin")
			},
		} {
			got := do()
			if got.StatusCode != http.StatusBadRequest || got.reason() != login.ReasonReturnTo || len(got.Cookies()) != 0 || got.location() != "" {
				t.Errorf("%s with %q: %d %s, cookies %v", name, raw, got.StatusCode, got.reason(), got.Cookies())
			}
			if strings.Contains(got.body, "evil") {
				t.Errorf("%s shows the address: %s", name, got.body)
			}
		}
	}
	for _, alias := range []string{"redirect", "url", "post_logout_redirect_uri", "next"} {
		got := b.post("/.auth/logout?"+alias+"=https://evil.test", url.Values{alias: {"https://evil.test"}}, "Sec-Fetch-Site", "same-origin")
		if got.StatusCode != http.StatusSeeOther || got.location() != "/.auth/logout" {
			t.Errorf("%s: %d to %q", alias, got.StatusCode, got.location())
		}
	}
	if g.Store.created() != 0 {
		t.Error("a session was made")
	}
}

func TestLoginURLComesBackToTheSamePage(t *testing.T) {
	s := newService(t)
	for target, want := range map[string]string{
		"/a/b?c=d&e":                    "/.auth/login?return_to=%2Fa%2Fb%3Fc%3Dd%26e",
		"/a%2Fb?":                       "/.auth/login?return_to=%2Fa%252Fb%3F",
		"//double":                      "/.auth/login?return_to=https%3A%2F%2Fapp.example.test%2F%2Fdouble",
		"/":                             "/.auth/login?return_to=%2F",
		"/.auth/logout":                 "/.auth/login",
		"/a/../b":                       "/.auth/login",
		"/" + strings.Repeat("a", 4000): "/.auth/login",
	} {
		path, query, _ := strings.Cut(target, "?")
		decoded, err := url.PathUnescape(path)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: http.MethodGet, Host: "app.example.test", URL: &url.URL{Path: decoded, RawPath: path, RawQuery: query, ForceQuery: strings.HasSuffix(target, "?")}}
		if got := s.LoginURL(r); got != want {
			t.Errorf("%.40q is sent to %.90q, want %q", target, got, want)
		}
	}
}

func FuzzReturnTo(f *testing.F) {
	for i, raw := range payloads() {
		if i%5000 == 0 {
			f.Add(raw)
		}
	}
	f.Add("/a?b#c")
	f.Add("https://other.example.test/x")
	s := newService(f)
	f.Fuzz(func(t *testing.T, raw string) {
		location, err := s.ReturnTo(raw)
		if err != nil && location != "" {
			t.Fatalf("%q is refused and yet returned", raw)
		}
		leadsHome(t, raw, location)
		if again, err := s.ReturnTo(location); err != nil || again != location {
			t.Fatalf("%q became %q, which is judged %q, %v", raw, location, again, err)
		}
	})
}
