//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// startAdministered starts a gateway whose operators' token is "operators-only".
func startAdministered(t *testing.T) *env.Gateway {
	t.Helper()
	dir, at := t.TempDir(), env.Reserve(t)
	env.WriteFile(t, dir, "admin-token", "operators-only")
	env.WriteFile(t, dir, "config.yaml", `
admin: {token_file: admin-token}
session: {embedded: {path: ""}}
login:
  providers:
    - {name: dev, type: dev, identities: [{subject: alice, email: alice@example.com, groups: [staff, weekend]}, {subject: '<b onmouseover=alert(1)>mallory</b>', groups: ['"><script>alert(1)</script>']}]}
policies:
  - name: staff
    rules:
      - {name: staff only, allow: {groups: [staff]}}
      - {name: no reports, deny: {when: 'request.path.startsWith("/reports/")', groups: [weekend]}, message: Reports are for weekdays.}
routes:
  - {name: reports, paths: [/reports/], upstream: "builtin:echo", policy: staff, shield: {mode: report}}
  - {name: api, paths: [/api/], methods: [GET, POST], upstream: ["http://127.0.0.1:9", "http://127.0.0.1:11"], auth: [session, api_key], policy: staff}
  - {name: health, paths: [=/healthz], upstream: "builtin:echo", public: true}
  - {name: app, upstream: "builtin:echo", policy: authenticated}
`)
	return env.StartGateway(t, sallyport, dir, at, "SALLYPORT_SERVER__PUBLIC_URL="+at.URL())
}

// TestOperatorsInABrowser: what one of them sees and does by the pages, and what a
// person notices of it.
func TestOperatorsInABrowser(t *testing.T) {
	g := startAdministered(t)
	l := newLooker(t)
	b := l.browser
	admin := g.AdminURL

	b.Open(admin + "/sessions")
	b.WaitText("Admin token")
	l.check("admin-login", views("en")[0])
	b.Type("#token", "guess\r")
	b.WaitText("The token is wrong.")
	l.check("admin-login-wrong", views("en")[1])
	b.Type("#token", "operators-only\r")
	b.WaitText("Nobody is signed in.")
	if got := b.Script("document.cookie"); got != "" {
		t.Errorf("scripts see %q", got)
	}

	people := map[string]*http.Client{}
	for _, who := range []string{"alice", "<b onmouseover=alert(1)>mallory</b>"} {
		c := client(t)
		c.Transport = &http.Transport{DisableKeepAlives: true}
		a := sendBody(t, c, "POST", g.URL+"/.auth/login", url.Values{"provider": {"dev"}, "username": {who}}.Encode(),
			"Content-Type", "application/x-www-form-urlencoded", "User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 <script>alert(1)</script>")
		if a.status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", who, a.status, a.body)
		}
		people[who] = c
	}
	alice := people["alice"]
	get := func(path string) int { return send(t, alice, "GET", g.URL+path).status }
	if got := get("/"); got != http.StatusOK {
		t.Fatalf("alice is not in: %d", got)
	}

	// A denial arrives in the feed by itself, and is explained.
	b.Open(admin + "/events")
	b.WaitText("login")
	if got := get("/reports/2026"); got != http.StatusForbidden {
		t.Fatalf("the report: %d", got)
	}
	send(t, people["<b onmouseover=alert(1)>mallory</b>"], "GET", g.URL+"/reports/<script>alert(1)</script>")
	b.WaitText("no reports")
	for _, v := range views("en") {
		b.Look(v)
		l.check("admin-events", v)
	}
	b.Click(`a[href^="/decisions/"]`)
	b.WaitText("What the policy")
	for _, v := range views("en") {
		b.Look(v)
		l.check("admin-decision", v)
	}

	// Charts move under load.
	b.Open(admin + "/")
	b.WaitText("Requests")
	before := b.Script(`document.querySelector(".plot path.good").getAttribute("d")`)
	for range 300 {
		get("/")
		get("/reports/2026")
	}
	b.Script(fmt.Sprintf(`new Promise(done => { const t = setInterval(() => {
		if (document.querySelector(".plot path.good").getAttribute("d") !== %q) { clearInterval(t); done("moved") }
	}, 100) })`, before))
	for _, v := range views("en") {
		b.Look(v)
		l.check("admin-overview", v)
	}

	// A lock keeps somebody out until it is lifted.
	b.Open(admin + "/locks?issuer=urn:sallyport:dev&subject=alice")
	b.Type("#reason", "a laptop was stolen")
	b.Click(`form[action="/locks"] button`)
	b.WaitText("a laptop was stolen")
	if got := get("/"); got != http.StatusForbidden {
		t.Errorf("alice, locked: %d", got)
	}
	for _, v := range views("en") {
		b.Look(v)
		l.check("admin-locks", v)
	}
	b.Click(`form[action="/locks/lift"] button`)
	b.WaitText("Not in force any more")
	if got := get("/"); got != http.StatusOK {
		t.Errorf("alice, no longer locked: %d", got)
	}

	for _, page := range []string{"routes", "policies", "health", "shield", "sessions", "keys"} {
		b.Open(admin + "/" + page)
		for _, v := range views("en")[1:3] {
			b.Look(v)
			l.check("admin-"+page, v)
		}
	}

	// A session is found, shown and ended, and its browser is signed out.
	b.Open(admin + "/sessions")
	b.Type("#subject", "alice\r")
	b.WaitURL(admin + "/sessions?subject=alice")
	b.Click(`tbody a[href^="/sessions/"]`)
	b.WaitText("Last used")
	for _, v := range views("en") {
		b.Look(v)
		l.check("admin-session", v)
	}
	b.Click(`a[href^="/sessions/revoke?id="]`)
	b.WaitText("One session of alice will end")
	l.check("admin-revoke", views("en")[3])
	b.Click(`form[action="/sessions/revoke"] button`)
	b.WaitText("1 was ended")
	l.check("admin-job", views("en")[0])
	if got := get("/"); got == http.StatusOK {
		t.Error("alice is still in")
	}
	b.Open(admin + "/sessions?subject=alice")
	b.WaitText("No session is like that")

	b.Click(`form[action="/logout"] button`)
	b.WaitText("Admin token")
	b.Open(admin + "/")
	b.WaitURL(admin + "/login")
	if strings.Contains(g.Output(), "operators-only") {
		t.Error("the log has the token")
	}
}
