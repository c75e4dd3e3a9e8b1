package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/admin"
)

// browser does by the operators' pages what an operator does who has come in.
type browser struct {
	s  *site
	me func(*http.Request)
}

// do sends a request, and keeps the cookie that is set.
func (b *browser) do(t *testing.T, method, target, form string) *httptest.ResponseRecorder {
	t.Helper()
	w := b.s.operate(t, method, target, form, b.me)
	for _, ck := range w.Result().Cookies() {
		b.me = func(r *http.Request) { r.AddCookie(ck) }
	}
	return w
}

func (b *browser) open(t *testing.T, target string) string {
	t.Helper()
	w := b.do(t, "GET", target, "")
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	return w.Body.String()
}

// press sends the form of a page, and returns the page that it leads to.
func (b *browser) press(t *testing.T, from, path string, form url.Values) string {
	t.Helper()
	w := b.send(t, from, path, form)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	to, _, _ := strings.Cut(w.Header().Get("Location"), "#")
	return b.open(t, to)
}

func (b *browser) send(t *testing.T, from, path string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	form.Set("form_token", formToken(t, b.open(t, from)))
	return b.do(t, "POST", path, form.Encode())
}

// has wants all of these on a page.
func has(t *testing.T, page string, wants ...string) {
	t.Helper()
	_, page, _ = strings.Cut(page, "<main")
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q\n%s", want, page)
		}
	}
}

// TestOperatorsReloadByThePage: what was refused stands on it with its line, and so does
// what came of the next try.
func TestOperatorsReloadByThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{followed: true, adminToken: adminToken(t)})
	b := &browser{s, s.operator(t)}
	has(t, b.open(t, "/"), "generation 1", s.file, `action="/reload"`)
	s.write(t, s.yaml(func(*plan) {})+"\nrutes: []\n")
	page := b.press(t, "/", "/reload", url.Values{})
	has(t, page, "The configuration was refused", "rutes", "by an operator", "generation 1")
	if !regexp.MustCompile(regexp.QuoteMeta(s.file) + `:\d+<`).MatchString(page) {
		t.Error("the line is not told")
	}
	s.write(t, s.yaml(func(*plan) {}))
	page = b.press(t, "/", "/reload", url.Values{})
	has(t, page, "taken", "generation 2")
	if strings.Contains(page, "was refused") {
		t.Error("what was put right is still told")
	}
	if log := s.logText.String(); !strings.Contains(log, `"operator":"admin token"`) || !strings.Contains(log, `"event":"reload"`) {
		t.Errorf("the audit log does not tell of it:\n%s", log)
	}

	fixed := newSite(t, plan{adminToken: adminToken(t)})
	b = &browser{fixed, fixed.operator(t)}
	if strings.Contains(b.open(t, "/"), `action="/reload"`) {
		t.Error("there is no file, and a button all the same")
	}
	if w := b.send(t, "/locks", "/reload", url.Values{}); w.Code != http.StatusConflict {
		t.Errorf("a reload without a file: %d", w.Code)
	}
}

// TestOperatorsRotateAndRetireKeysByThePage: nobody is signed out before an operator was
// told who that is.
func TestOperatorsRotateAndRetireKeysByThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: adminToken(t), followed: true})
	b := &browser{s, s.operator(t)}
	alice := s.signIn(t, "alice")
	in := func() int { return s.raw(t, s.request("GET", "/", "Cookie: "+alice, "Connection: close")).StatusCode }
	current := func() admin.AllKeys {
		var keys admin.AllKeys
		if code, text := s.ask(t, http.MethodGet, "/keys", nil, &keys); code != http.StatusOK {
			t.Fatal(code, text)
		}
		return keys
	}
	before := current()
	sealed, signs := before.Sealing.Keys[0].ID, before.Keys[0].ID

	has(t, b.open(t, "/keys/rotate?ring=sealing"), "Nobody is signed out")
	rotated := b.press(t, "/keys/rotate?ring=sealing", "/keys/rotate", url.Values{"ring": {"sealing"}})
	if now := current().Sealing.Keys[0].ID; now == sealed {
		t.Fatal("the same key still seals")
	} else {
		has(t, rotated, now)
	}
	has(t, b.open(t, "/keys"), `href="/keys/retire?ring=sealing&amp;key=`+sealed)
	if got := in(); got != http.StatusOK {
		t.Errorf("after the rotation alice gets %d", got)
	}
	has(t, b.open(t, "/keys/retire?ring=sealing&key="+sealed), "who would be signed out")
	asked := b.press(t, "/keys/retire?ring=sealing&key="+sealed, "/keys/retire", url.Values{"ring": {"sealing"}, "key": {sealed}})
	has(t, asked, "1 session, of &#34;alice&#34;", "sign them out", `name="force" value="yes"`)
	if got := in(); got != http.StatusOK {
		t.Errorf("before she was to be signed out alice gets %d", got)
	}

	// What was done is known under another configuration as well.
	w := b.send(t, "/keys/retire?ring=sealing&key="+sealed, "/keys/retire", url.Values{"ring": {"sealing"}, "key": {sealed}, "force": {"yes"}})
	s.reload(t, func(*plan) {})
	has(t, b.open(t, w.Header().Get("Location")), "is retired", "Sessions that were ended: 1, of alice.")
	if got := in(); got == http.StatusOK {
		t.Error("alice is still in")
	}
	if w := b.do(t, "GET", w.Header().Get("Location")+"?part=live", ""); w.Code != http.StatusResetContent {
		t.Errorf("what has ended is drawn anew: %d", w.Code)
	}

	has(t, b.open(t, "/keys/rotate?ring=signing"), "At once")
	has(t, b.press(t, "/keys/rotate?ring=signing", "/keys/rotate", url.Values{"ring": {"signing"}, "now": {"yes"}}), "signs now")
	if current().Keys[0].ID == signs {
		t.Error("the same key still signs")
	}
	has(t, b.press(t, "/keys/retire?ring=signing&key="+signs, "/keys/retire", url.Values{"ring": {"signing"}, "key": {signs}}), "may be valid until", "all the same")
	for _, target := range []string{"/keys/rotate", "/keys/rotate?ring=x", "/keys/retire?ring=sealing&key=" + sealed} {
		if w := b.do(t, "GET", target, ""); w.Code != http.StatusBadRequest && w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	for _, act := range []string{"rotate_sealing_key", "retire_sealing_key", "rotate_signing_key", "retire_signing_key"} {
		if !strings.Contains(s.logText.String(), act) {
			t.Errorf("the audit log does not tell of %s", act)
		}
	}
}
