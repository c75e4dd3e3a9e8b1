//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"golang.org/x/crypto/bcrypt"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// startForPages starts a gateway that can go wrong in every way that has a page.
func startForPages(t *testing.T, looks string) *env.Gateway {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`<!doctype html><title>form</title>
			<form method="post" action="/reports"><textarea name="text">what I wrote</textarea><button>Send</button></form>`))
	}))
	t.Cleanup(app.Close)
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	dir, at := t.TempDir(), env.Reserve(t)
	env.WriteFile(t, dir, "client-secret", "secret\n")
	env.WriteFile(t, dir, "admin-token", "let me in")
	env.WriteFile(t, dir, "users.yaml", fmt.Sprintf(`
users:
  - {username: alice, password_hash: %q, email: alice@example.com, groups: [staff]}
  - {username: carol, password_hash: %q, email: carol@example.com}
`, hash, hash))
	env.WriteFile(t, dir, "logo.svg", `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 32"><rect width="90" height="32" rx="6" fill="#123a8c"/></svg>`)
	nobody := fmt.Sprintf("http://127.0.0.1:%d", porttest.Free(t))
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
session: {embedded: {path: ""}}
pages: %s
login:
  providers:
    - {name: corp, type: oidc, title: Example Corp, issuer: %q, client_id: web, client_secret_file: client-secret}
    - {name: local, type: users, title: Staff accounts, file: users.yaml}
    - name: dev
      type: dev
      title: Test identities
      identities: [{subject: bob, name: Bob, email: bob@example.com, groups: [staff, on-call]}]
policies:
  - {name: staff, rules: [{name: staff only, allow: {groups: [staff]}}]}
routes:
  - {name: app, paths: [/], upstream: "builtin:echo", policy: staff, headers: [{name: X-Forwarded-Issuer, claim: iss}]}
  - {name: form, paths: [=/form], upstream: %q, public: true}
  - {name: post, paths: [=/post], methods: [POST], upstream: %q, public: true}
  - {name: down, paths: [=/down], upstream: %q, public: true}
`, looks, nobody, app.URL, app.URL, nobody))
	return env.StartGateway(t, sallyport, dir, at)
}

// TestPagesAsTheGatewayServesThem opens what the kept copies cannot show: the
// pages with their own headers, in every language.
func TestPagesAsTheGatewayServesThem(t *testing.T) {
	t.Parallel()
	gateway := startForPages(t, "{}")
	l := newLooker(t)
	b := l.browser
	open := func(path string) func() { return func() { b.Open(gateway.URL + path) } }
	tests := []struct {
		name            string
		visit           func()
		english, korean string
	}{
		{"sign-in", open("/.auth/login?return_to=/reports"), "Continue with Example Corp", "Example Corp 계정으로 계속하기"},
		{"sign-in-password", open("/.auth/login?provider=local"), "Password", "비밀번호"},
		{"wrong-password", func() {
			b.Open(gateway.URL + "/.auth/login?provider=local")
			b.Type(`input[name="username"]`, "alice")
			b.Type(`input[name="password"]`, "wrong")
			b.Press(kb.Enter)
		}, "That did not work", "로그인하지 못했습니다"},
		{"provider-down", open("/.auth/login?provider=corp"), "can’t be reached", "로그인 서비스에 연결할 수 없습니다"},
		{"bad-return", open("/.auth/login?return_to=https://evil.example/"), "not one of this site", "이 사이트의 주소가 아닙니다"},
		{"form-too-late", func() {
			b.Open(gateway.URL + "/form")
			b.Click("button")
		}, "has not been delivered", "전달되지 않았습니다"},
		{"not-found", open("/.auth/nothing"), "There is nothing here", "페이지를 찾을 수 없습니다"},
		{"wrong-method", open("/post"), "That does not work here", "여기서는 할 수 없는 작업입니다"},
		{"other-host", func() { b.Open(strings.Replace(gateway.URL, "localhost", "other.localhost", 1) + "/") }, "other.localhost", "other.localhost"},
		{"application-down", open("/down"), "not answering", "응답하지 않습니다"},
		{"signed-out", open("/.auth/logout"), "You are signed out", "로그아웃했습니다"},
		{"denied", func() {
			b.Open(gateway.URL + "/.auth/login?provider=local&return_to=/reports")
			b.Type(`input[name="username"]`, "carol")
			b.Type(`input[name="password"]`, "correct horse")
			b.Press(kb.Enter)
		}, "None of the rules", "허용하는 규칙이 없습니다"},
		{"sign-out", open("/.auth/logout"), "carol@example.com", "carol@example.com"},
		{"signed-out-again", func() {
			b.Open(gateway.URL + "/.auth/logout")
			b.Click("form button")
		}, "Your session is over", "세션이 종료되었습니다"},
	}
	for _, language := range []string{"en", "ko"} {
		all := views(language)
		for _, v := range []env.View{all[0], all[3]} { // the kept copies are looked at in every view
			b.Look(v)
			for _, tt := range tests {
				want := tt.english
				if language == "ko" {
					want = tt.korean
				}
				tt.visit()
				b.WaitText(want)
				if got := b.Script(`document.documentElement.lang`); got != language {
					t.Errorf("%s: lang=%q for a reader of %q", tt.name, got, language)
				}
				l.check(tt.name, v)
			}
		}
	}
}

// TestAnyColourOfTheOperatorsStaysReadable takes a colour that is too light for
// the light page, and one that is too dark for the dark one.
func TestAnyColourOfTheOperatorsStaysReadable(t *testing.T) {
	t.Parallel()
	l := newLooker(t)
	for name, color := range map[string]string{"yellow": "#ffe600", "navy": "#0a1440"} {
		gateway := startForPages(t, fmt.Sprintf("{name: Front Door, logo_file: logo.svg, color: %q}", color))
		for _, v := range views("en") {
			l.browser.Look(v)
			l.browser.Open(gateway.URL + "/.auth/login")
			if got := l.browser.Script(`String(document.querySelector(".brand img").naturalWidth > 0) + " " + document.title`); got != "true Sign in · Front Door" {
				t.Errorf("the page does not show the logo or the name: %s", got)
			}
			l.check("sign-in-"+name, v)
		}
	}
}

// TestWholeSignInWorksByKeyboardAlone goes the way of somebody who has no mouse:
// every step by Tab, Enter and letters, with the focus in sight all the time.
func TestWholeSignInWorksByKeyboardAlone(t *testing.T) {
	t.Parallel()
	gateway := startForPages(t, "{}")
	b := env.StartBrowser(t)
	focused := func(selector string) bool {
		return b.Script(fmt.Sprintf(`String(document.activeElement.matches(%q))`, selector)) == "true"
	}
	tabTo := func(selector string) {
		t.Helper()
		for range 20 {
			if focused(selector) {
				return
			}
			b.Press(kb.Tab)
			if seen := b.Script(`(() => { const e = document.activeElement, s = getComputedStyle(e);
				return e === document.body || (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2) ? "" : e.outerHTML })()`); seen != "" {
				t.Errorf("the focus can't be seen on %s", seen)
			}
		}
		t.Fatalf("Tab never comes to %s at %s", selector, b.URL())
	}

	// One way to sign in: the cursor waits in its first field.
	b.Open(gateway.URL + "/.auth/login?provider=local&return_to=/reports")
	b.WaitText("Password")
	env.WaitUntil(t, "the only form has the focus", func() bool { return focused(`input[name="username"]`) })
	b.Press("carol" + kb.Tab + "wrong" + kb.Enter)
	b.WaitText("That did not work")
	env.WaitUntil(t, "after a wrong password the focus is on the password", func() bool { return focused(`input[name="password"]`) })
	if got := b.Script(`document.getElementById(document.activeElement.getAttribute("aria-describedby")).getAttribute("role") + "/" + document.title`); got != "alert/Sign-in refused · Sallyport" {
		t.Errorf("a screen reader is not told what went wrong: %q", got)
	}
	b.Press("correct horse" + kb.Enter)

	// She may not, and goes on as somebody else.
	b.WaitText("carol@example.com")
	tabTo(`a[href*="switch=1"]`)
	b.Press(kb.Enter)
	b.WaitText("Continue with Example Corp")
	tabTo(`form:has(input[value="bob"]) button`)
	b.Press(kb.Enter)
	b.WaitText("X-Forwarded-User")
	if at := b.URL(); at != gateway.URL+"/reports" {
		t.Errorf("after signing in at %s", at)
	}

	// Staying is as near as leaving.
	b.Open(gateway.URL + "/.auth/logout?return_to=/reports")
	b.WaitText("Sign out?")
	tabTo(`a[href="/reports"]`)
	b.Press(kb.Enter)
	b.WaitText("X-Forwarded-User")
	b.Open(gateway.URL + "/.auth/logout")
	b.WaitText("bob@example.com")
	tabTo(`form button`)
	b.Press(kb.Enter)
	b.WaitText("You are signed out")
	tabTo(`a[href="/.auth/login"]`)
	b.Press(kb.Enter)
	b.WaitText("Continue with Example Corp")
}
