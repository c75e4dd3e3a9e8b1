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

// administered is a configuration whose operators' token is "operators-only".
const administered = `
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
`

func startAdministered(t *testing.T) (g *env.Gateway, dir string) {
	t.Helper()
	dir, at := t.TempDir(), env.Reserve(t)
	env.WriteFile(t, dir, "admin-token", "operators-only")
	env.WriteFile(t, dir, "config.yaml", administered)
	g = env.StartGateway(t, sallyport, dir, at, "SALLYPORT_SERVER__PUBLIC_URL="+at.URL())
	return g, dir
}

// everyView looks at the page that is open in every way.
func (l *looker) everyView(name string) {
	l.t.Helper()
	for _, v := range views("en") {
		l.browser.Look(v)
		l.check(name, v)
	}
}

// TestOperatorsInABrowser: what one of them sees and does by the pages, and what a
// person notices of it.
func TestOperatorsInABrowser(t *testing.T) {
	t.Parallel()
	g, dir := startAdministered(t)
	l := newLooker(t)
	b, person := l.browser, env.StartBrowser(t)
	admin := g.AdminURL

	b.Open(admin + "/sessions")
	b.WaitText("Admin token")
	l.everyView("admin-login")
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
	l.everyView("admin-events")
	b.Click(`a[href^="/decisions/"]`)
	b.WaitText("What the policy")
	l.everyView("admin-decision")

	// Charts move under load.
	b.Open(admin + "/")
	b.WaitText("Requests")
	before := b.Script(`document.querySelector(".plot path.good").getAttribute("d")`)
	for range 100 {
		get("/")
		get("/reports/2026")
	}
	b.Script(fmt.Sprintf(`new Promise(done => { const t = setInterval(() => {
		if (document.querySelector(".plot path.good").getAttribute("d") !== %q) { clearInterval(t); done("moved") }
	}, 100) })`, before))
	l.everyView("admin-overview")

	// A lock keeps somebody out until it is lifted.
	b.Open(admin + "/locks?issuer=urn:sallyport:dev&subject=alice")
	b.Type("#reason", "a laptop was stolen")
	b.Click(`form[action="/locks"] button`)
	b.WaitText("a laptop was stolen")
	if got := get("/"); got != http.StatusForbidden {
		t.Errorf("alice, locked: %d", got)
	}
	l.everyView("admin-locks")
	b.Click(`form[action="/locks/lift"] button`)
	b.WaitText("Not in force any more")
	if got := get("/"); got != http.StatusOK {
		t.Errorf("alice, no longer locked: %d", got)
	}

	for _, page := range []string{"routes", "policies", "health", "shield", "sessions", "keys"} {
		b.Open(admin + "/" + page)
		l.everyView("admin-" + page)
	}

	// Keys are rotated, and whoever would be signed out is told before a key goes.
	person.Open(g.URL + "/")
	person.Click(`form:has(input[value="alice"]) button`)
	person.WaitText("alice@example.com")
	b.Open(admin + "/keys")
	b.Click(`a[href="/keys/rotate?ring=sealing"]`)
	b.WaitText("Nobody is signed out.")
	l.everyView("admin-rotate")
	b.Click(`form[action="/keys/rotate"] button`)
	b.WaitText("seals now")
	l.everyView("admin-rotated")
	person.Open(g.URL + "/")
	person.WaitText("alice@example.com")
	b.Open(admin + "/keys")
	b.Click(`a[href^="/keys/retire?ring=sealing"]`)
	b.WaitText("who would be signed out")
	l.everyView("admin-retire")
	b.Click(`.button.danger`)
	b.WaitText("by 3 sessions")
	l.everyView("admin-needed")

	// A configuration with faults is told of, with its lines; one without is taken.
	env.WriteFile(t, dir, "config.yaml", strings.Replace(administered, "policy: staff}", "policy: staf}", 2)+"rutes: []\n")
	b.Open(admin + "/")
	b.Click("#reload")
	b.WaitText("The configuration was refused")
	b.WaitText("rutes")
	l.everyView("admin-refused")
	env.WriteFile(t, dir, "config.yaml", strings.Replace(administered, `paths: [=/healthz]`, `paths: [=/healthz, =/hello]`, 1))
	b.Click("#reload")
	b.WaitText("taken")
	if got := send(t, client(t), "GET", g.URL+"/hello"); got.status != http.StatusOK {
		t.Errorf("the new route: %d", got.status)
	}

	// A user is found, shown and signed out, in his browser as well.
	b.Open(admin + "/sessions")
	b.Type("#subject", "alice\r")
	b.WaitURL(admin + "/sessions?subject=alice")
	b.Click(`tbody a[href^="/sessions/"]`)
	b.WaitText("Last used")
	l.everyView("admin-session")
	b.Click(`a[href^="/sessions/revoke?issuer="]`)
	b.WaitText("2 sessions of alice")
	l.everyView("admin-revoke")
	b.Click(`.button.danger`)
	b.WaitText("2 were ended")
	l.everyView("admin-job")
	if got := get("/"); got == http.StatusOK {
		t.Error("alice is still in")
	}
	person.Open(g.URL + "/")
	person.WaitURL(g.URL + "/.auth/login")
	person.WaitText("alice")
	person.Screenshot("person-signed-out")
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
