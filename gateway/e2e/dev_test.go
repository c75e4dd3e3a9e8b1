//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// startDev runs sallyport dev at a free port, and returns what browsers type.
func startDev(t *testing.T, args ...string) (origin string) {
	t.Helper()
	return startDevAs(t, "localhost", args...)
}

func startDevAs(t *testing.T, name string, args ...string) (origin string) {
	t.Helper()
	port := porttest.Free(t)
	args = append([]string{"dev", "--listen", fmt.Sprintf("127.0.0.1:%d", port)}, args...)
	p := env.Start(t, t.TempDir(), nil, sallyport, args...)
	p.WaitHTTP(fmt.Sprintf("http://127.0.0.1:%d/.auth/me", port)) // a TLS listener answers that with 400
	scheme := "http"
	for _, arg := range args {
		if arg == "--tls" {
			scheme = "https"
		}
	}
	return fmt.Sprintf("%s://%s:%d", scheme, name, port)
}

// devSite is an address at which sallyport dev is asked for.
type devSite struct {
	name string
	args []string
}

func devSites(t *testing.T) []devSite {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca")
	return []devSite{
		{"localhost", nil},
		{"localhost", []string{"--tls", "--ca-dir", ca}},
		{"app.localhost", []string{"--host", "app.localhost"}},
		{"app.localhost", []string{"--host", "app.localhost", "--tls", "--ca-dir", ca}},
	}
}

// node runs a program of the installed packages in dir.
func node(t *testing.T, dir string, environ []string, program string, args ...string) *env.Process {
	t.Helper()
	modules := filepath.Join(env.NPM(t, "testdata/node"), "node_modules")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return env.Start(t, dir, environ, filepath.Join(modules, "node/bin/node"), append([]string{filepath.Join(modules, program)}, args...)...)
}

// viteIndex says when Vite's client hears of changes: what is changed before that, no
// page is told.
const viteIndex = `<!doctype html><title>app</title><p id="app"></p><p id="socket"></p><script>
	window.WebSocket = class extends WebSocket {
		constructor(...address) {
			super(...address);
			this.addEventListener("message", () => { document.getElementById("socket").textContent = "hears of changes"; });
		}
	};
</script><script type="module" src="/main.js"></script>`

// startVite serves a page that says what main.js says.
func startVite(t *testing.T) (dir, upstream string) {
	t.Helper()
	dir, port := t.TempDir(), porttest.Free(t)
	env.WriteFile(t, dir, "index.html", viteIndex)
	env.WriteFile(t, dir, "main.js", viteModule("first"))
	env.WriteFile(t, dir, "large.js", "export const large = [\n"+strings.Repeat("  \"a line of a module that is large enough for a source map of megabytes\",\n", 60000)+"];\n")
	node(t, dir, nil, "vite/bin/vite.js", "--host", "127.0.0.1", "--strictPort", "--port", fmt.Sprint(port)).
		WaitHTTP(fmt.Sprintf("http://127.0.0.1:%d/", port))
	return dir, fmt.Sprintf("http://127.0.0.1:%d", port)
}

func viteModule(says string) string {
	return "document.getElementById('app').textContent = 'says " + says + "';\nimport.meta.hot.accept();\n"
}

// TestViteUpdatesModulesThroughTheGateway: its client opens a WebSocket by the name
// and the port in the address bar, and Vite checks the names.
func TestViteUpdatesModulesThroughTheGateway(t *testing.T) {
	t.Parallel()
	dir, upstream := startVite(t)
	browser := env.StartBrowser(t)
	browser.TrustAnyCertificate()
	for i, site := range devSites(t) {
		before, after := fmt.Sprintf("before %d", i), fmt.Sprintf("after %d", i)
		env.WriteFile(t, dir, "main.js", viteModule(before))
		origin := startDevAs(t, site.name, append(site.args, "--upstream", upstream)...)
		browser.Open(origin + "/?from=" + fmt.Sprint(i))
		browser.Click(`button[value="alice"], form:has(input[value="alice"]) button`)
		browser.WaitText("says " + before)
		browser.WaitText("hears of changes")
		browser.Script(`window.kept = "kept"`)
		env.WriteFile(t, dir, "main.js", viteModule(after))
		browser.WaitText("says " + after)
		if kept := browser.Script(`window.kept || "loaded anew"`); kept != "kept" {
			t.Errorf("%s: the page was not updated in place, but %s", origin, kept)
		}
		if got := browser.Script(`fetch("/large.js").then(r => r.text()).then(text => "" + (text.length > 4e6))`); got != "true" {
			t.Errorf("%s: a large module came in part", origin)
		}
	}
}

// TestTwoDevGatewaysDontSignEachOtherOut: browsers send a cookie to every port of a
// host, so that one name for all of them is one session for all of them.
func TestTwoDevGatewaysDontSignEachOtherOut(t *testing.T) {
	t.Parallel()
	one, other := startDev(t), startDev(t)
	browser := env.StartBrowser(t)
	for origin, who := range map[string]string{one: "alice", other: "bob"} {
		browser.Open(origin + "/.auth/dev")
		browser.Click(`button[value="` + who + `"]`)
		browser.WaitText(who + "@example.com")
	}
	for origin, who := range map[string]string{one: "alice", other: "bob"} {
		browser.Open(origin + "/.auth/me")
		browser.WaitText(who + "@example.com")
	}
}

// push presses a button with the keyboard, wherever on a long page it is, and waits for
// the page that follows.
func (l *looker) push(selector string) {
	l.t.Helper()
	l.browser.Script("document.querySelector(`" + selector + "`).focus(); ''")
	l.browser.Leave(func() { l.browser.Press("\r") })
}

// TestDevelopmentPanelLooksRightAndItsButtonsWork presses them in a real browser, on
// telephones and in the dark, with and without a session.
func TestDevelopmentPanelLooksRightAndItsButtonsWork(t *testing.T) {
	t.Parallel()
	origin := startDev(t, "--idle-timeout", "10m")
	l := newLooker(t)
	for _, v := range views("en") {
		l.browser.Look(v)
		l.browser.Open(origin + "/.auth/dev")
		l.push(`button[value="alice"]`)
		l.browser.WaitText("alice@example.com")
		l.push(`button[value="mint"]`)
		l.browser.WaitText("Authorization: Bearer")
		l.check("dev-panel", v)
	}
	token := l.browser.Script(`document.getElementById("jwt").textContent`)
	env.Secret("minted token", token)
	if got := send(t, client(t), http.MethodGet, origin+"/", "Authorization", "Bearer "+token); got.status != http.StatusOK {
		t.Errorf("the token of the page: %d %s", got.status, got.body)
	}
	l.push(`button[value="expire-idle"]`)
	l.browser.WaitText("it was idle for too long")
	l.push(`button[value="denied"]`)
	l.browser.WaitText("will run into: denied")
	l.check("dev-panel-over", views("en")[0])
	l.push(`button[value="bob"]`)
	l.browser.WaitText("The sign-in was refused or cancelled.")
}
