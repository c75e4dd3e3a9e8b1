package gateway_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var (
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	formAction  = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	pageLink    = regexp.MustCompile(`<a class="button" href="([^"]*)"([^>]*)>`)
)

// unsent is what a page offers after a form came without a session.
type unsent struct {
	action, body, signIn string
	newTab               bool
}

// readUnsent reads the page as a browser does, which would send the form by
// application/x-www-form-urlencoded (WHATWG URL Standard, section 5.2).
func readUnsent(a answer) (u unsent) {
	if m := formAction.FindStringSubmatch(a.text); m != nil {
		u.action = html.UnescapeString(m[1])
	}
	var pairs []string
	for _, m := range hiddenField.FindAllStringSubmatch(a.text, -1) {
		pairs = append(pairs, urlencoded(html.UnescapeString(m[1]))+"="+urlencoded(html.UnescapeString(m[2])))
	}
	u.body = strings.Join(pairs, "&")
	if m := pageLink.FindStringSubmatch(a.text); m != nil {
		u.signIn, u.newTab = html.UnescapeString(m[1]), strings.Contains(m[2], `target="_blank"`)
	}
	return u
}

func urlencoded(s string) string {
	return strings.NewReplacer("%2A", "*", "~", "%7E").Replace(url.QueryEscape(s))
}

// sendForm posts a body as the form of a page does.
func (s *site) sendForm(t *testing.T, target, body string, lines ...string) answer {
	t.Helper()
	lines = append([]string{fmt.Sprintf("Content-Length: %d", len(body)), "Connection: close"}, lines...)
	return s.raw(t, s.request("POST", target, lines...)+body)
}

// ownForm is how a browser sends the form of a page of this site.
func ownForm(more ...string) []string {
	return append([]string{
		"Content-Type: application/x-www-form-urlencoded", "Accept: text/html", "Origin: http://localhost:8080",
		"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document",
	}, more...)
}

const order = "z=1&a%5B%5D=two%0D%0Alines&a%5B%5D=&q=a+b%26c%3D%22%3Cb%3E%27&%EC%9D%B4%EB%A6%84=%ED%99%8D%EA%B8%B8%EB%8F%99&password=correct+horse&star=*-._%7E"

// TestFormThatCameWithoutASessionIsNotLost: the page keeps it, the sign-in is in
// another tab, and then the application gets the very same body.
func TestFormThatCameWithoutASessionIsNotLost(t *testing.T) {
	s := newSite(t, plan{})
	const target = "/orders/(1)?draft='x'&p=%2F"
	a := s.sendForm(t, target, order, ownForm("Cookie: sp=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")...)
	s.denied(t, a, http.StatusUnauthorized)
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("WWW-Authenticate") == "" || len(a.Header["Set-Cookie"]) != 0 {
		t.Errorf("headers %v", a.Header)
	}
	page := readUnsent(a)
	if want := (unsent{action: target, body: order, signIn: "/.auth/login?return_to=%2F.auth%2Fdone", newTab: true}); page != want {
		t.Fatalf("the page offers\n%+v, want\n%+v", page, want)
	}

	// In the other tab.
	in := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}, "return_to": {"/.auth/done"}})
	if in.Header.Get("Location") != "/.auth/done" {
		t.Fatalf("the sign-in ends at %q", in.Header.Get("Location"))
	}
	done := s.as(t, "alice", "/.auth/done", "Accept: text/html")
	if done.StatusCode != http.StatusOK || !strings.Contains(done.text, "go back to the other one") || !strings.Contains(done.text, "alice@example.test") {
		t.Errorf("the end of it: %d %s", done.StatusCode, done.text)
	}
	if got := s.as(t, "", "/.auth/done", "Accept: text/html"); got.StatusCode != http.StatusFound || got.Header.Get("Location") != page.signIn {
		t.Errorf("without a session: %d to %q", got.StatusCode, got.Header.Get("Location"))
	}

	// In the first one.
	got := s.passed(t, s.sendForm(t, page.action, page.body, ownForm("Cookie: "+s.signIn(t, "alice"))...))
	if _, body, _ := strings.Cut(got.raw, "\r\n\r\n"); body != order || got.target() != target {
		t.Errorf("the application received at %s\n%s\nwant\n%s", got.target(), body, order)
	}
	if strings.Contains(s.logText.String(), "correct") {
		t.Error("what was sent is in the log")
	}
}

// TestFormOfAnotherSiteIsNeverOffered: one click would send it with the session
// of the user (CSRF).
func TestFormOfAnotherSiteIsNeverOffered(t *testing.T) {
	s := newSite(t, plan{providers: keepForms})
	form := []string{"Content-Type: application/x-www-form-urlencoded", "Accept: text/html"}
	for name, lines := range map[string][]string{
		"another site":             {"Origin: https://evil.test", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"},
		"a sibling":                {"Origin: http://evil.localhost:8080", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate"},
		"an older browser":         {"Origin: https://evil.test"},
		"an origin that is hidden": {"Origin: null"},
		"nothing is said":          {},
		"a referrer alone":         {"Referer: http://localhost:8080/form"},
		"a bookmark":               {"Origin: http://localhost:8080", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"},
		"two stories":              {"Origin: http://localhost:8080", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"},
		"another port":             {"Origin: http://localhost:9090"},
		"another scheme":           {"Origin: https://localhost:8080"},
	} {
		a := s.sendForm(t, "/transfer", "amount=1000&to=mallory", append(append([]string{}, form...), lines...)...)
		s.denied(t, a, http.StatusUnauthorized)
		if page := readUnsent(a); page.action != "" || page.body != "" || strings.Contains(a.text, "mallory") || !page.newTab {
			t.Errorf("%s: the page offers %+v", name, page)
		}
		if len(a.Header["Set-Cookie"]) != 0 {
			t.Errorf("%s: cookies %q", name, a.Header["Set-Cookie"])
		}
	}
}

// TestFormThatNoPageCanKeepIsExplained: the browser's own back button has it.
func TestFormThatNoPageCanKeepIsExplained(t *testing.T) {
	s := newSite(t, plan{})
	for name, c := range map[string]struct{ kind, body string }{
		"files":                {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nabc\r\n--x--\r\n"},
		"plain text":           {"text/plain", "a=b\r\n"},
		"too large":            {"application/x-www-form-urlencoded", "a=" + strings.Repeat("b", 64<<10)},
		"too many fields":      {"application/x-www-form-urlencoded", strings.Repeat("a&", 1001)},
		"EUC-KR":               {"application/x-www-form-urlencoded", "a=%B0%A1"},
		"a NUL":                {"application/x-www-form-urlencoded", "a=%00"},
		"a broken escape":      {"application/x-www-form-urlencoded", "a=%zz"},
		"a field without name": {"application/x-www-form-urlencoded", "=b"},
		"nothing":              {"application/x-www-form-urlencoded", ""},
		"a malformed type":     {"application/x-www-form-urlencoded; =", "a=b"},
		"a type with markup":   {`x"'><script>alert(1)</script>`, "a=b"},
	} {
		lines := append(ownForm()[1:], "Content-Type: "+c.kind)
		a := s.sendForm(t, "/upload", c.body, lines...)
		s.denied(t, a, http.StatusUnauthorized)
		page := readUnsent(a)
		if page.action != "" || page.body != "" || page.signIn != "/.auth/login?return_to=%2F.auth%2Fdone" || !page.newTab {
			t.Errorf("%s: the page offers %+v", name, page)
		}
		if !strings.Contains(a.text, "go one page back and send the form again") {
			t.Errorf("%s: no explanation: %s", name, a.text)
		}
	}
	if a := s.sendForm(t, "/x", "a="+strings.Repeat("b", 64<<10-2), ownForm()...); readUnsent(a).action != "/x" {
		t.Errorf("64 KiB are not kept: %.200s", a.text)
	}
}

// TestCallsOfAPageGetAProblemDocument: a page is for people.
func TestCallsOfAPageGetAProblemDocument(t *testing.T) {
	s := newSite(t, plan{providers: keepForms})
	form := []string{"Content-Type: application/x-www-form-urlencoded", "Origin: http://localhost:8080", "Sec-Fetch-Site: same-origin"}
	for name, lines := range map[string][]string{
		"fetch":          {"Sec-Fetch-Mode: cors", "Accept: */*"},
		"fetch of HTML":  {"Sec-Fetch-Mode: cors", "Accept: text/html"},
		"XMLHttpRequest": {"X-Requested-With: XMLHttpRequest", "Accept: text/html"},
		"curl":           {"Accept: */*"},
	} {
		a := s.sendForm(t, "/orders", order, append(append([]string{}, form...), lines...)...)
		s.denied(t, a, http.StatusUnauthorized)
		if a.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.text, `"login_url":"/.auth/login`) || len(a.Header["Set-Cookie"]) != 0 {
			t.Errorf("%s: %s %s", name, a.Header.Get("Content-Type"), a.text)
		}
	}
	if a := s.sendForm(t, "/api/x", order, ownForm()...); a.StatusCode != http.StatusUnauthorized || readUnsent(a).action != "" {
		t.Errorf("a route without sessions: %d %+v", a.StatusCode, readUnsent(a))
	}
}

// keepForms is added to the login section.
const keepForms = "\n  keep_forms: true"

func loginCookie(a answer) string {
	for _, ck := range a.Cookies() {
		if ck.Name == "sp_login" {
			return "sp_login=" + ck.Value
		}
	}
	return ""
}

// TestKeptFormIsSentAfterTheSignInWithOneClick is login.keep_forms.
func TestKeptFormIsSentAfterTheSignInWithOneClick(t *testing.T) {
	s := newSite(t, plan{providers: keepForms})
	const body = "b=2&a=1&a=%ED%99%8D"
	a := s.sendForm(t, "/orders?x=1", body, ownForm()...)
	s.denied(t, a, http.StatusUnauthorized)
	page, cookie := readUnsent(a), loginCookie(a)
	if page.action != "" || page.body != "" || page.signIn != "/.auth/login?return_to=%2F.auth%2Fresend" || page.newTab || cookie == "" {
		t.Fatalf("the page offers %+v, cookie %q", page, cookie)
	}
	if got := s.as(t, "", "/.auth/resend", "Accept: text/html", "Cookie: "+cookie); got.StatusCode != http.StatusFound || got.Header.Get("Location") != page.signIn {
		t.Errorf("before the sign-in: %d to %q", got.StatusCode, got.Header.Get("Location"))
	}
	if got := s.as(t, "", "/.auth/resend", "Cookie: "+cookie); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a program before the sign-in: %d", got.StatusCode)
	}

	in := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}, "return_to": {"/.auth/resend"}}, "Cookie: "+cookie)
	if in.Header.Get("Location") != "/.auth/resend" {
		t.Fatalf("the sign-in ends at %q", in.Header.Get("Location"))
	}
	alice := "Cookie: " + s.signIn(t, "alice") + "; " + cookie
	for name, lines := range map[string][]string{
		"another browser": {"Accept: text/html", "Cookie: " + s.signIn(t, "alice")},
		"a guess":         {"Accept: text/html", "Cookie: " + s.signIn(t, "alice") + "; sp_login=fAAAAAAAAAAAA"},
		"an image":        {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", alice},
	} {
		if got := s.as(t, "", "/.auth/resend", lines...); readUnsent(got).action != "" {
			t.Errorf("%s gets the form", name)
		}
	}
	ready := s.as(t, "", "/.auth/resend", "Accept: text/html", alice)
	offered := readUnsent(ready)
	if want := (unsent{action: "/orders?x=1", body: body}); ready.StatusCode != http.StatusOK || offered != want {
		t.Fatalf("%d: the page offers %+v, want %+v", ready.StatusCode, offered, want)
	}
	got := s.passed(t, s.sendForm(t, offered.action, offered.body, ownForm(alice)...))
	if _, sent, _ := strings.Cut(got.raw, "\r\n\r\n"); sent != body {
		t.Errorf("the application received %s", sent)
	}
	// It is used up, whoever asks with whatever cookie.
	if again := s.as(t, "", "/.auth/resend", "Accept: text/html", alice); readUnsent(again).action != "" || again.StatusCode != http.StatusOK {
		t.Errorf("the second time: %d %+v", again.StatusCode, readUnsent(again))
	}
}

// TestOneBrowserHasOneKeptForm: the last one that it sent.
func TestOneBrowserHasOneKeptForm(t *testing.T) {
	s := newSite(t, plan{providers: keepForms})
	cookie := loginCookie(s.sendForm(t, "/first", "a=1", ownForm()...))
	second := loginCookie(s.sendForm(t, "/second", "a=2", ownForm("Cookie: "+cookie)...))
	if second != cookie {
		t.Errorf("the cookie became %q of %q", second, cookie)
	}
	got := readUnsent(s.as(t, "", "/.auth/resend", "Accept: text/html", "Cookie: "+s.signIn(t, "alice")+"; "+cookie))
	if want := (unsent{action: "/second", body: "a=2"}); got != want {
		t.Errorf("the page offers %+v", got)
	}
}

// TestPasswordsAreKeptInTheirPageOnly: not in the store, sealed or not.
func TestPasswordsAreKeptInTheirPageOnly(t *testing.T) {
	s := newSite(t, plan{providers: keepForms})
	for _, name := range []string{"password", "newPassword", "user[pwd]", "client_secret", "otp", "비밀번호"} {
		body := "a=1&" + urlencoded(name) + "=x"
		a := s.sendForm(t, "/account", body, ownForm()...)
		if page := readUnsent(a); page.body != body || !page.newTab || loginCookie(a) != "" {
			t.Errorf("%s: the page offers %+v, cookie %q", name, page, loginCookie(a))
		}
	}
}

// TestKeptFormsOfStrangersAreBounded: beyond a number, the page keeps them.
func TestKeptFormsOfStrangersAreBounded(t *testing.T) {
	s := newSite(t, plan{providers: keepForms})
	kept := 0
	for i := range 1100 {
		if loginCookie(s.sendForm(t, fmt.Sprintf("/flood/%d", i), "a=1", ownForm()...)) != "" {
			kept++
		}
	}
	if kept != 1000 {
		t.Errorf("%d forms of strangers are in the store", kept)
	}
	if a := s.sendForm(t, "/orders", "a=1", ownForm()...); readUnsent(a).body != "a=1" {
		t.Errorf("beyond it the form is lost: %s", a.text)
	}
}
