//go:build e2e && long

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// cable subscribes to the channel of the Rails application, as its client does.
const cable = `new Promise((done, failed) => {
	const socket = new WebSocket(location.origin.replace("http", "ws") + "/cable", ["actioncable-v1-json"]);
	const channel = JSON.stringify({channel: "NewsChannel"});
	socket.onopen = () => socket.send(JSON.stringify({command: "subscribe", identifier: channel}));
	socket.onmessage = m => { const got = JSON.parse(m.data); if (got.message && got.message.news) done(got.message.news); };
	socket.onclose = e => failed("closed: " + e.code);
})`

// TestRailsTakesFormsAndSocketsThroughTheGateway: Rails looks at Host
// (config.hosts), compares Origin with the address that it takes itself to have,
// and Action Cable does so again.
func TestRailsTakesFormsAndSocketsThroughTheGateway(t *testing.T) {
	dir, port := t.TempDir(), porttest.Free(t)
	app, err := os.ReadFile("testdata/rails/app.ru")
	if err != nil {
		t.Fatal(err)
	}
	env.WriteFile(t, dir, "config.ru", string(app))
	upstream := fmt.Sprintf("127.0.0.1:%d", port)
	env.Start(t, dir, []string{"RAILS_ENV=development"}, "puma", "-b", "tcp://"+upstream).WaitHTTP("http://" + upstream + "/")

	ca := filepath.Join(t.TempDir(), "ca")
	for name, args := range map[string][]string{
		"localhost":     {"-u", upstream},
		"app.localhost": {"-u", upstream, "--host", "app.localhost", "--tls", "--ca-dir", ca},
	} {
		browser := env.StartBrowser(t)
		browser.TrustAnyCertificate()
		origin := startDevAs(t, name, args...)
		browser.Open(origin + "/")
		browser.Click(`button[value="alice"], form:has(input[value="alice"]) button`)
		browser.WaitText("says alice at " + origin)
		if news := browser.Script(cable); news != "from Action Cable" {
			t.Errorf("%s: Action Cable: %q", origin, news)
		}
		browser.Click("button")
		browser.WaitText("noted at " + origin)
	}
}
