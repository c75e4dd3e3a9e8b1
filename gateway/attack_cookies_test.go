package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestCookiesOfTheGatewayAreBoundToTheHostAndToHTTPS(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost"})
	a := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}})
	page := s.as(t, "", "/.auth/login", "Accept: text/html") // sets the login cookie
	cookies := append(a.Cookies(), page.Cookies()...)
	if len(cookies) != 2 {
		t.Fatalf("%d cookies were set, want the session's and the login's: %v", len(cookies), cookies)
	}
	for _, ck := range cookies {
		if !strings.HasPrefix(ck.Name, "__Host-sp") || !ck.Secure || !ck.HttpOnly || ck.Path != "/" || ck.Domain != "" ||
			ck.SameSite != http.SameSiteLaxMode && ck.SameSite != http.SameSiteStrictMode || len(ck.Name)+len(ck.Value) > 4096 {
			t.Errorf("the cookie is %v", ck)
		}
	}
	if wire := len("Cookie: ") + len(cookies[0].Name) + 1 + len(cookies[0].Value); wire > 60 {
		t.Errorf("the Cookie header takes %d bytes, want at most 60", wire)
	}
}

// TestCookiesOfASharedDomain keep everything but the prefix that forbids one.
func TestCookiesOfASharedDomain(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://www.app.localhost", session: "cookie: {domain: app.localhost}"})
	in := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}})
	page := s.as(t, "", "/.auth/login", "Accept: text/html")
	cookies := append(in.Cookies(), page.Cookies()...)
	if len(cookies) != 2 {
		t.Fatalf("cookies: %v", cookies)
	}
	for _, ck := range cookies {
		if !strings.HasPrefix(ck.Name, "__Secure-sp") || !ck.Secure || !ck.HttpOnly || ck.Path != "/" || ck.Domain != "app.localhost" || ck.SameSite != http.SameSiteLaxMode {
			t.Errorf("the cookie is %v", ck)
		}
	}
}

// TestPartitionedCookies (CHIPS): the cookie of each embedding site is its own,
// and only the same attributes delete it.
func TestPartitionedCookies(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost", session: "cookie: {same_site: none, partitioned: true}"})
	in := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}})
	page := s.as(t, "", "/.auth/login", "Accept: text/html")
	session, attempt := in.Cookies()[0], page.Cookies()[0]
	out := s.post(t, "/.auth/logout", nil, "Cookie: "+session.Name+"="+session.Value, "Sec-Fetch-Site: same-origin")
	again := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}}, "Cookie: "+attempt.Name+"="+attempt.Value)
	all := slices.Concat(in.Cookies(), page.Cookies(), out.Cookies(), again.Cookies())
	if len(all) != 5 {
		t.Fatalf("%d cookies were set and deleted: %v", len(all), all)
	}
	for _, ck := range all {
		if !ck.Partitioned || !ck.Secure || !ck.HttpOnly || ck.SameSite != http.SameSiteNoneMode || ck.Path != "/" || ck.Domain != "" || !strings.HasPrefix(ck.Name, "__Host-sp") {
			t.Errorf("the cookie is %v", ck)
		}
	}
	if out.Cookies()[0].MaxAge >= 0 {
		t.Error("signing out deletes no cookie")
	}
	s.passed(t, s.as(t, "alice", "/app")).isAlice(t)
	plain := newSite(t, plan{publicURL: "https://localhost"})
	for _, ck := range plain.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}}).Cookies() {
		if ck.Partitioned {
			t.Errorf("partitioned though nobody wants it: %v", ck)
		}
	}
}

// TestTwoLiveSessionsOnOneRequest (cookie tossing): whoever can plant a cookie
// from a sibling host must not choose the user, in whatever order they arrive.
func TestTwoLiveSessionsOnOneRequest(t *testing.T) {
	s := newSite(t, plan{})
	alice, mallory := s.signIn(t, "alice"), s.signIn(t, "mallory")
	for _, lines := range [][]string{
		{"Cookie: " + mallory + "; " + alice},
		{"Cookie: " + alice + "; " + mallory},
		{"Cookie: " + alice, "Cookie: " + mallory},
		{"Cookie: " + mallory, "Cookie: a=b; " + alice},
	} {
		a := s.as(t, "", "/app", lines...)
		s.denied(t, a, http.StatusUnauthorized)
		if !strings.Contains(a.text, "ambiguous_session") {
			t.Errorf("the answer does not say why:\n%s", a.text)
		}
	}
	// Signing in is the way out of it.
	navigation := s.as(t, "", "/app", "Cookie: "+alice+"; "+mallory, "Accept: text/html")
	s.denied(t, navigation, http.StatusFound)
	if page := s.as(t, "", navigation.Header.Get("Location"), "Cookie: "+alice+"; "+mallory, "Accept: text/html"); page.StatusCode != http.StatusOK {
		t.Errorf("the sign-in page answers %d, to %s", page.StatusCode, page.Header.Get("Location"))
	}
}

// TestTwoLiveSessionsInCrumbs: HTTP/2 sends each cookie in a field of its own
// (RFC 9113, section 8.2.3).
func TestTwoLiveSessionsInCrumbs(t *testing.T) {
	s := newSite(t, plan{})
	client, base := s.http2(t)
	for cookies, want := range map[string]int{
		s.signIn(t, "alice") + "; " + s.signIn(t, "mallory"):           http.StatusUnauthorized,
		s.signIn(t, "mallory") + "; a=b; " + s.signIn(t, "alice"):      http.StatusUnauthorized,
		s.signIn(t, "alice") + "; a=b; " + s.signIn(t, "alice"):        http.StatusOK,
		"sp=garbage; " + s.signIn(t, "alice") + "; sp=" + "sp=nothing": http.StatusOK,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/app", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", cookies)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want || resp.ProtoMajor != 2 {
			t.Errorf("%s answers %d for %q", resp.Proto, resp.StatusCode, cookies)
		}
		s.upstream.take()
	}
}

// TestStaleCookieBesideALiveSessionLocksNobodyOut.
func TestStaleCookieBesideALiveSessionLocksNobodyOut(t *testing.T) {
	s := newSite(t, plan{})
	alice := s.signIn(t, "alice")
	ended := s.newSession(t, "mallory", "")
	s.newSession(t, "mallory", ended) // ends the one before
	for _, cookie := range []string{
		alice + "; " + alice, "sp=garbage; " + alice, alice + "; sp=garbage", "sp=; " + alice, "sp; " + alice, ended + "; " + alice, alice + "; " + ended,
	} {
		s.passed(t, s.as(t, "", "/app", "Cookie: "+cookie)).isAlice(t)
	}
}

// TestNamesThatOnlyLookLikeTheSessionCookie (RFC 6265bis, section 4.1.3): a
// sibling host can plant those.
func TestNamesThatOnlyLookLikeTheSessionCookie(t *testing.T) {
	s := newSite(t, plan{publicURL: "https://localhost"})
	_, id, _ := strings.Cut(s.signIn(t, "alice"), "=")
	for _, name := range []string{
		"sp", "__host-sp", "__HOST-SP", "__Secure-sp", "__Host-sp[]", "__Host_sp", "__Host-sp.x", "__Host-sp ", "\"__Host-sp\"", "__Host-sp_", "$__Host-sp", "=__Host-sp", "X__Host-sp",
	} {
		s.denied(t, s.as(t, "", "/app", "Cookie: "+name+"="+id), http.StatusUnauthorized)
	}
	for _, value := range []string{`"` + id + `"`, id + " x", id + ",", id + "=", "%" + id} {
		s.denied(t, s.as(t, "", "/app", "Cookie: __Host-sp="+value), http.StatusUnauthorized)
	}
}

// TestMoreCookiesThanTheParserReads (CVE-2025-58186): net/http then finds no
// cookie at all, while the header would still be forwarded whole.
func TestMoreCookiesThanTheParserReads(t *testing.T) {
	s := newSite(t, plan{limits: "max_header_bytes: 64KiB"})
	cookie := strings.Repeat("a=b;", 4000) + s.signIn(t, "alice")
	for _, target := range []string{"/public/", "/app"} {
		a := s.as(t, "", target, "Cookie: "+cookie)
		got := s.upstream.take()
		if a.StatusCode == http.StatusOK && len(got) == 1 && !strings.Contains(got[0].raw, "sp=") {
			continue
		}
		if !slices.Contains([]int{400, 401, 431}, a.StatusCode) || len(got) != 0 {
			t.Errorf("%s: %d, and the application received %d requests", target, a.StatusCode, len(got))
		}
	}
}

// TestApplicationSetsNoCookieOfTheGateway: an application could otherwise fix
// the session of a browser, or end it.
func TestApplicationSetsNoCookieOfTheGateway(t *testing.T) {
	for _, publicURL := range []string{"http://localhost:8080", "https://localhost"} {
		s := newSite(t, plan{publicURL: publicURL})
		s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" +
			"Set-Cookie: __Host-sp=evil; Path=/; Secure\r\nSet-Cookie: __HOST-SP=evil\r\nSet-Cookie: sp=evil; Domain=example.test\r\n" +
			"Set-Cookie: =sp=evil\r\nSet-Cookie: =__Host-sp=evil; Secure\r\nSet-Cookie: __Secure-sp=evil\r\nset-cookie: SP=evil\r\nSet-Cookie: sp_login=evil\r\n" +
			"Set-Cookie: __Host-sp_login=; Max-Age=0\r\nSet-Cookie: app=1\r\nSet-Cookie: spx=2; Path=/\r\n\r\n")
		for _, target := range []string{"/app", "/public/"} {
			a := s.as(t, "alice", target)
			if got := a.Header["Set-Cookie"]; !slices.Equal(got, []string{"app=1", "spx=2; Path=/"}) {
				t.Errorf("%s%s: the browser got %q", publicURL, target, got)
			}
		}
	}
}

// TestEarlyHintsSetNoCookieOfTheGateway: informational answers go round every
// hook that looks at the final one.
func TestEarlyHintsSetNoCookieOfTheGateway(t *testing.T) {
	s := newSite(t, plan{})
	s.upstream.answers("HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\nSet-Cookie: sp=evil\r\nX-Request-Id: evil\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: app=1\r\n\r\n")
	c := s.dial(t)
	defer c.Close()
	all := s.conversation(t, s.request("GET", "/app", "Cookie: "+s.signIn(t, "alice"), "Connection: close"))
	if len(all) != 2 || all[0].StatusCode != http.StatusEarlyHints || all[1].StatusCode != http.StatusOK {
		t.Fatalf("the answers are %v", all)
	}
	if all[0].Header.Get("Link") == "" || len(all[0].Header["Set-Cookie"]) != 0 {
		t.Errorf("the hint came as %v", all[0].Header)
	}
	if id := all[1].Header["X-Request-Id"]; len(id) != 1 || id[0] == "evil" {
		t.Errorf("the final answer has the request id %q", id)
	}
}

// TestDeletingACookieReallyDeletesIt (CVE-2025-55162): browsers keep a cookie
// whose deletion differs from it in path, domain or prefix rules.
func TestDeletingACookieReallyDeletesIt(t *testing.T) {
	for _, publicURL := range []string{"http://localhost:8080", "https://localhost"} {
		s := newSite(t, plan{publicURL: publicURL})
		in := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}}).Cookies()[0]
		out := s.post(t, "/.auth/logout", nil, "Cookie: "+in.Name+"="+in.Value, "Sec-Fetch-Site: same-origin").Cookies()
		if len(out) != 1 {
			t.Fatalf("signing out set %v", out)
		}
		del := out[0]
		sameButDeleted(t, in, del)
		// The cookie of a sign-in under way goes with a sign-out at the latest.
		page := s.as(t, "", "/.auth/login", "Accept: text/html").Cookies()[0]
		over := s.post(t, "/.auth/logout", nil, "Cookie: "+in.Name+"="+in.Value+"; "+page.Name+"="+page.Value, "Sec-Fetch-Site: same-origin").Cookies()
		for _, ck := range over {
			if ck.Name == page.Name && ck.MaxAge < 0 {
				sameButDeleted(t, page, ck)
			}
		}
	}
}

func sameButDeleted(t *testing.T, set, del *http.Cookie) {
	t.Helper()
	if del.Name != set.Name || del.Path != set.Path || del.Domain != set.Domain || del.Secure != set.Secure || del.HttpOnly != set.HttpOnly ||
		del.SameSite != set.SameSite || del.Partitioned != set.Partitioned || del.MaxAge >= 0 || del.Expires.IsZero() {
		t.Errorf("set by %v\ndeleted by %v", set, del)
	}
}

// TestTamperedSessionCookie flips every character. All variants are one answer:
// nobody learns how far his forgery came.
func TestTamperedSessionCookie(t *testing.T) {
	s := newSite(t, plan{})
	name, id, _ := strings.Cut(s.signIn(t, "alice"), "=")
	values := []string{
		"", "a", `"`, "%", "\xff\xfe", strings.Repeat("A", len(id)), strings.Repeat("x", 20000), id[1:], id + "A", id + id, strings.ToLower(id),
		"*", "../x", "state:" + id, "a%0d%0aDEL%20x", "{tag}x", "' OR 1=1--", id[:22], "99999999",
	}
	for i := range len(id) {
		flipped := []byte(id)
		if flipped[i]++; id[i] == 'z' || id[i] == 'Z' || id[i] == '9' || id[i] == '_' || id[i] == '-' {
			flipped[i] = 'A'
		}
		if string(flipped) != id {
			values = append(values, string(flipped))
		}
	}
	seen := map[string]bool{}
	for _, v := range values {
		a := s.as(t, "", "/app", "Cookie: "+name+"="+v, "X-Request-Id: 00000000")
		s.denied(t, a, http.StatusUnauthorized)
		seen[a.text] = true
	}
	for _, line := range []string{"Cookie: ; ; =; a; sp", "Cookie: sp_chunks=99999999", "Cookie: sp_0=x", "Cookie:", "Cookie: ;", "Cookie: sp"} {
		a := s.as(t, "", "/app", line, "X-Request-Id: 00000000")
		s.denied(t, a, http.StatusUnauthorized)
		seen[a.text] = true
	}
	if len(seen) != 1 {
		t.Errorf("the refusals have %d different bodies:\n%v", len(seen), seen)
	}
}
