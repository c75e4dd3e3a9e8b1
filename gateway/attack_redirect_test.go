package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// awayTargets are return URLs that lead elsewhere in some browser or library,
// by the trick. The site is http://localhost:8080.
func awayTargets() map[string][]string {
	return map[string][]string{
		// CVE-2017-1000070, CVE-2019-14857, CVE-2020-5233, CVE-2019-20479,
		// CVE-2021-32786, CVE-2021-39191, CVE-2024-21497.
		"no scheme, and backslashes": {
			"//evil.test", "///evil.test", "////evil.test/", "/%2fevil.test", "/%2F%2fevil.test", "http:///evil.test", "https:///evil.test", `/\evil.test`, `\/evil.test`,
			`/\/evil.test`, `\\evil.test`, `/./\evil.test`, `http:\\evil.test`, `https:\\evil.test`, `//\evil.test`, `/%5cevil.test`, `/%5C/evil.test`, `/.//evil.test`, "/..//evil.test", "/;/../evil.test",
		},
		// CVE-2020-4037, CVE-2020-11053, CVE-2022-23527.
		"spaces and controls": {
			"/\t/evil.test", "/\n/evil.test", "/\r/evil.test", "/ /evil.test", "\t//evil.test", "/\t\\evil.test", "java\nscript:alert(1)", "\x01http://evil.test",
			"/%09/evil.test", "/%0a/evil.test", "/%0d/evil.test", "/x\x7f", "/x\x00//evil.test", "/x%00", " //evil.test", "/\u00a0/evil.test", "/\u3000/evil.test", "/\u2028/evil.test", "/\u200b/evil.test", "/\ufeff/evil.test",
		},
		// CVE-2026-28512, CVE-2021-21291.
		"user info and hosts that look alike": {
			"http://localhost:8080@evil.test", "http://localhost:8080:x@evil.test", "http://localhost:8080.evil.test", "http://evillocalhost:8080", "http://localhost:8080.", "http://localhost.:8080/",
			"http://x@localhost:8080/", "http://evil.test#@localhost:8080/", "http://evil.test?@localhost:8080/", `http://localhost:8080\@evil.test`, "http://localhost%3a8080/", "http://localhost:8080%2eevil.test/", "http://localhost%00.evil.test:8080/",
			"http://locaIhost:8080/", "http://\uff4cocalhost:8080/", "http://localhos\u0442:8080/", "http://localhost\u3002evil.test:8080/", "http://badadmin.localhost.evil.test:8080/", "http://a.b.localhost:8080/", "http://[::ffff:1.2.3.4]:8080/", "http://0x7f000002:8080/", "http://127.2:8080/",
		},
		"another port of the same host": {"http://localhost/", "http://localhost:9080/", "http://localhost:80/", "http://localhost:8080:9080/", "http://localhost:08080/", "http://localhost:/"},
		// CVE-2026-55834.
		"schemes": {
			"javascript:alert(1)", "JaVaScRiPt://localhost:8080/%0aalert(1)", "data:text/html,x", "vbscript:x", "http:evil.test", "http:/evil.test", "https://localhost:8080/", "HTTP://localhost:8080/", "hTTp://evil.test", "ftp://localhost:8080/", "file:///etc/passwd",
			"blob:http://localhost:8080/x", "view-source:http://localhost:8080/", "mailto:a@evil.test", "ws://localhost:8080/", "x", "?x", "#x", "@evil.test", ":", "http://",
		},
		"not one text for all": {"/\xff", "/%ff", "/\xc0\xaf/evil.test", "/" + strings.Repeat("a", 4000), "/..", "/a/../../x", "/%2e%2e/x", "/..;/x"},
		"header injection":     {"/x\r\nSet-Cookie: sp=evil", "/x%0d%0aSet-Cookie:%20sp=evil", "/x\r\n\r\n<script>alert(1)</script>", "/x%0aLocation:%20http://evil.test"},
	}
}

// TestNoSignInOrSignOutLeadsToAnotherSite: whatever the return URL says, it is
// refused before anything is made, by every endpoint that takes one and under
// every name that it has, with a session and without.
func TestNoSignInOrSignOutLeadsToAnotherSite(t *testing.T) {
	s := newSite(t, plan{})
	for trick, targets := range awayTargets() {
		t.Run(trick, func(t *testing.T) {
			for _, target := range targets {
				q := url.QueryEscape(target)
				signIn := url.Values{"provider": {"dev"}, "username": {"alice"}, "return_to": {target}}
				for name, ask := range map[string]func() answer{
					"sign-in page":           func() answer { return s.as(t, "", "/.auth/login?return_to="+q, "Accept: text/html") },
					"sign-in page, as rd":    func() answer { return s.as(t, "", "/.auth/login?rd="+q) },
					"sign-in, with session":  func() answer { return s.as(t, "alice", "/.auth/login?return_to="+q, "Accept: text/html") },
					"account change":         func() answer { return s.as(t, "alice", "/.auth/login?switch=1&return_to="+q) },
					"landing of a fragment":  func() answer { return s.as(t, "alice", "/.auth/login?hash=1&return_to="+q) },
					"sign-in form":           func() answer { return s.post(t, "/.auth/login", signIn) },
					"sign-out page":          func() answer { return s.as(t, "", "/.auth/logout?return_to="+q, "Accept: text/html") },
					"sign-out page, session": func() answer { return s.as(t, "alice", "/.auth/logout?return_to="+q, "Accept: text/html") },
					"sign-out": func() answer {
						return s.post(t, "/.auth/logout", url.Values{"return_to": {target}}, "Sec-Fetch-Site: same-origin")
					},
					"sign-out by query": func() answer {
						return s.post(t, "/.auth/logout?rd="+q, nil, "Sec-Fetch-Site: same-origin")
					},
				} {
					a := ask()
					if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || a.Header.Get("Refresh") != "" || len(a.Header["Set-Cookie"]) != 0 {
						t.Errorf("%s with %.60q: %d to %q, cookies %q", name, target, a.StatusCode, a.Header.Get("Location"), a.Header["Set-Cookie"])
					}
					if strings.Contains(a.text, "evil.test") {
						t.Errorf("%s with %.60q shows the address", name, target)
					}
				}
			}
		})
	}
}

// TestOtherNamesOfAReturnURLMeanNothing (CVE-2021-29456, CVE-2020-1723).
func TestOtherNamesOfAReturnURLMeanNothing(t *testing.T) {
	s := newSite(t, plan{})
	for _, name := range []string{"redirect", "redirect_uri", "url", "next", "target", "post_logout_redirect_uri", "RETURN_TO", "return_to[]"} {
		q := "?" + url.QueryEscape(name) + "=http://evil.test"
		for what, a := range map[string]answer{
			"sign-in":  s.post(t, "/.auth/login"+q, url.Values{"provider": {"dev"}, "username": {"alice"}, name: {"http://evil.test"}}),
			"sign-out": s.post(t, "/.auth/logout"+q, url.Values{name: {"http://evil.test"}}, "Sec-Fetch-Site: same-origin"),
		} {
			if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || to != "/" && to != "/.auth/logout" {
				t.Errorf("%s with %s: %d to %q", what, name, a.StatusCode, to)
			}
		}
	}
}

// TestPlacesOnThisSiteAreComeBackTo: nothing of the URL is lost or changed, and
// the other hosts that are configured are places too.
func TestPlacesOnThisSiteAreComeBackTo(t *testing.T) {
	s := newSite(t, plan{})
	for target, want := range map[string]string{
		"/": "", "/a?b=1&c=%2F#d": "", "/a%2Fb": "", "/?u=//evil.test": "", "/a;v=1?x=%zz;y": "", "/a//b": "", "/@x": "", "/:80": "",
		"/한글?q=é":                           "/%ED%95%9C%EA%B8%80?q=%C3%A9",
		"http://localhost:8080/x":           "",
		"http://admin.localhost:8080/x?y#z": "",
		"http://any.localhost:8080/":        "",
		"/.auth/login?return_to=/x":         "/", // it would turn in circles
	} {
		if want == "" {
			want = target
		}
		a := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}, "return_to": {target}})
		if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != want {
			t.Errorf("%q: %d to %q, want %q", target, a.StatusCode, a.Header.Get("Location"), want)
		}
	}
}

// TestNoRequestTargetMakesASignInLeadAway: the address that was asked for
// becomes the return URL, so that a link to this site alone must not do it.
func TestNoRequestTargetMakesASignInLeadAway(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{"//evil.test", "//evil.test/%2f..", "///evil.test", "/.//evil.test", `/\evil.test`, "/%5cevil.test", "/%2fevil.test", "/;//evil.test", "/a?return_to=//evil.test", "/@evil.test"} {
		a := s.as(t, "", target, "Accept: text/html")
		s.upstream.take()
		if a.StatusCode == http.StatusBadRequest {
			continue // no such address
		}
		login, err := url.Parse(a.Header.Get("Location"))
		if err != nil || a.StatusCode != http.StatusFound || login.Host != "" || login.Path != "/.auth/login" {
			t.Errorf("%s: %d to %q", target, a.StatusCode, a.Header.Get("Location"))
			continue
		}
		back := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}, "return_to": {login.Query().Get("return_to")}})
		to, err := url.Parse(back.Header.Get("Location"))
		if err != nil || to.Host != "" && to.Host != s.host || to.Host == "" && (strings.HasPrefix(to.String(), "//") || strings.Contains(to.String(), `\`)) {
			t.Errorf("%s: the sign-in ends at %q", target, back.Header.Get("Location"))
		}
	}
}

// TestSubresourcesNeverBecomeTheReturnURL: what a browser fetches by itself, an
// icon or a manifest, begins no sign-in, and neither do 500 calls of a page
// whose session is over. None of them sets a cookie.
func TestSubresourcesNeverBecomeTheReturnURL(t *testing.T) {
	s := newSite(t, plan{})
	requests := map[string][]string{
		"/favicon.ico":   {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", "Accept: image/avif,*/*"},
		"/manifest.json": {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: manifest"},
		"/app.js":        {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"},
		"/style.css":     {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: style"},
		"/sw.js":         {"Sec-Fetch-Mode: same-origin", "Sec-Fetch-Dest: serviceworker"},
		"/font.woff2":    {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: font"},
		"/icon.png":      {"Accept: image/png,image/*;q=0.8"},
		"/frame":         {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Accept: text/html"},
		"/soon":          {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Purpose: prefetch", "Accept: text/html"},
	}
	for target, lines := range requests {
		a := s.as(t, "", target, lines...)
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("Location") != "" || len(a.Header["Set-Cookie"]) != 0 {
			t.Errorf("%s: %d to %q, cookies %q", target, a.StatusCode, a.Header.Get("Location"), a.Header["Set-Cookie"])
		}
	}
	client := s.browser()
	client.Transport.(*http.Transport).DisableKeepAlives = false
	for i := range 500 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/api-of-a-page/%d", s.host, i), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Requested-With", "XMLHttpRequest")
		req.Header.Set("Accept", "text/html")
		a, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != http.StatusUnauthorized || len(a.Header["Set-Cookie"]) != 0 {
			t.Fatalf("call %d: %d, cookies %q", i, a.StatusCode, a.Header["Set-Cookie"])
		}
	}
	if got := s.upstream.take(); len(got) != 0 {
		t.Errorf("%d of them reached the application", len(got))
	}
	a := s.as(t, "", "/page", "Accept: text/html")
	if a.Header.Get("Location") != "/.auth/login?return_to=%2Fpage" || len(a.Header["Set-Cookie"]) != 0 {
		t.Errorf("then a page is answered with %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
}
