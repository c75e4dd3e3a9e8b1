package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/admin"
)

// TestASealingKeyIsRetiredByTheAPI: refused while it is needed, with until when and by
// whom; forced, it ends those sessions alone, whose cookies count as none from then on.
func TestASealingKeyIsRetiredByTheAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: adminToken(t)})
	var keys admin.AllKeys
	list := func() {
		t.Helper()
		if code, text := s.ask(t, http.MethodGet, "/keys", nil, &keys); code != http.StatusOK {
			t.Fatal(code, text)
		}
	}
	retire := func(key string, force bool) (int, string, admin.RetiredKey) {
		t.Helper()
		var done admin.RetiredKey
		code, text := s.ask(t, http.MethodPost, "/keys/sealing/retire", map[string]any{"key": key, "force": force}, &done)
		return code, text, done
	}
	alice := "Cookie: " + s.signIn(t, "alice")
	list()
	old := keys.Sealing.Keys[0].ID
	if code, text, _ := retire(old, true); code != http.StatusConflict || !strings.Contains(text, "key_in_use") {
		t.Errorf("the key that seals: %d %s", code, text)
	}
	if code, text, _ := retire("nobodys", true); code != http.StatusNotFound || !strings.Contains(text, "no_such_key") {
		t.Errorf("a key that is not there: %d %s", code, text)
	}
	if code, text := s.ask(t, http.MethodPost, "/keys/sealing/rotate", map[string]any{}, nil); code != http.StatusOK {
		t.Fatal(code, text)
	}
	mallory := s.signIn(t, "mallory")
	list()
	if code, text, _ := retire(old, false); code != http.StatusConflict || !strings.Contains(text, "key_needed") ||
		!strings.Contains(text, "is needed until 20") || !strings.Contains(text, `1 session, of \"alice\"`) {
		t.Errorf("a key that is needed: %d %s", code, text)
	}
	get := func(path string, lines ...string) answer {
		return s.raw(t, s.request("GET", path, append(lines, "Connection: close")...))
	}
	s.passed(t, get("/", alice))

	code, text, done := retire(old, true)
	if code != http.StatusOK || done.SignedOut != 1 || len(done.Users) != 1 || done.Users[0].Subject != "alice" {
		t.Fatalf("%d %s", code, text)
	}
	s.passed(t, get("/", "Cookie: "+mallory))
	if a := get("/", alice); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a program with the old cookie: %d %s", a.StatusCode, a.text)
	}
	navigation := []string{alice, "Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	a := get("/page?x=1", navigation...)
	at, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode/100 != 3 || !strings.HasSuffix(at.Path, "/login") {
		t.Fatalf("a browser with the old cookie: %d to %v", a.StatusCode, at)
	}
	if a := get(at.RequestURI(), navigation...); a.StatusCode != http.StatusOK || !strings.Contains(a.text, "username") {
		t.Errorf("it is led on to %d %s", a.StatusCode, a.text)
	}
	in := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}}, alice, "Origin: http://"+s.host)
	if in.StatusCode != http.StatusSeeOther {
		t.Fatalf("signing in again: %d %s", in.StatusCode, in.text)
	}
	for _, c := range in.Cookies() {
		if c.Name == s.cookie {
			s.passed(t, get("/", "Cookie: "+c.Name+"="+c.Value))
		}
	}

	log := s.logText.String()
	for _, want := range []string{
		`"event":"rotate_sealing_key","outcome":"ok"`, `"event":"retire_sealing_key","outcome":"failed","reason":"key_needed"`, `"key":"` + old + `"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
}

// TestASigningKeyIsRetiredByTheAPI, forced: applications get no assertion of it again.
func TestASigningKeyIsRetiredByTheAPI(t *testing.T) {
	t.Parallel()
	s := newSigningSite(t, devProvider+assertingRoutes)
	cookie := s.signIn()
	given := func() string {
		t.Helper()
		token, _ := s.claims(echoed(t, s.send(s.public, "GET", "/", "", cookie), "Sallyport-Assertion")[0])
		return token.Header.KeyID
	}
	old := given()
	var got keyList
	if code := s.operate("POST", "/keys/signing/retire", `{"key":"`+old+`","force":true}`, &got); code != http.StatusConflict || got.Reason != "key_in_use" {
		t.Errorf("the key that signs: %d %+v", code, got)
	}
	if code := s.operate("POST", "/keys/signing/rotate", `{"now":true}`, &got); code != http.StatusOK {
		t.Fatal(code, got)
	}
	if by := given(); by != old {
		t.Errorf("an assertion whose key is published is not given again: %s", by)
	}
	if code := s.operate("POST", "/keys/signing/retire", `{"key":"`+old+`"}`, &got); code != http.StatusConflict || got.Reason != "key_needed" || !strings.Contains(got.Detail, "may be valid until 20") {
		t.Errorf("a key that is needed: %d %+v", code, got)
	}
	if code := s.operate("POST", "/keys/signing/retire", `{"key":"`+old+`","force":true}`, &got); code != http.StatusOK {
		t.Fatal(code, got)
	}
	if by := given(); by == old { // claims has proven it with the published keys
		t.Error("the application gets what no verifier accepts")
	}
}
