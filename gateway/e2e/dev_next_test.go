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

// startNext serves a page with a button that counts how often it was pressed. The
// application is within the folder of the installed packages, as Next follows no
// link out of an application.
func startNext(t *testing.T) (dir, upstream string) {
	t.Helper()
	installed := env.NPM(t, "testdata/next")
	dir, err := os.MkdirTemp(installed, "app-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "app"), 0o700); err != nil {
		t.Fatal(err)
	}
	env.WriteFile(t, dir, "package.json", `{"private": true}`)
	env.WriteFile(t, dir, "app/layout.js", `export default function Layout({ children }) { return <html lang="en"><body>{children}</body></html>; }`)
	env.WriteFile(t, dir, "app/page.js", `import Counter from "./counter"; export default function Page() { return <Counter />; }`)
	writeCounter(t, dir, "first")
	modules := filepath.Join(installed, "node_modules")
	port := fmt.Sprint(porttest.Free(t))
	p := env.Start(t, dir, []string{"NEXT_TELEMETRY_DISABLED=1"},
		filepath.Join(modules, "node/bin/node"), filepath.Join(modules, "next/dist/bin/next"), "dev", "--port", port)
	t.Cleanup(func() { p.Stop() }) // its server is a process of its own, which a kill would leave
	p.WaitHTTP("http://127.0.0.1:" + port + "/")
	return dir, ":" + port
}

func writeCounter(t *testing.T, dir, says string) {
	t.Helper()
	env.WriteFile(t, dir, "app/counter.js", `"use client";
import { useState } from "react";
export default function Counter() {
  const [count, setCount] = useState(0);
  return <button onClick={() => setCount(count + 1)}>says `+says+`, pressed {count} times</button>;
}
`)
}

// pressOnce presses the button until React has noticed, which listens some time after
// the page is there.
const pressOnce = `new Promise(done => {
	const timer = setInterval(() => {
		const button = document.querySelector("button");
		if (!button.textContent.endsWith("pressed 0 times")) { clearInterval(timer); done(""); }
		else button.click();
	}, 100);
})`

// TestNextRefreshesComponentsThroughTheGateway: Next answers requests of its client,
// and takes its WebSocket, from the names alone that it knows, and keeps what a page
// remembers when a component changes.
func TestNextRefreshesComponentsThroughTheGateway(t *testing.T) {
	dir, upstream := startNext(t)
	browser := env.StartBrowser(t)
	browser.TrustAnyCertificate()
	for i, site := range devSites(t) {
		before, after := fmt.Sprintf("before %d", i), fmt.Sprintf("after %d", i)
		writeCounter(t, dir, before)
		origin := startDevAs(t, site.name, append(site.args, "--upstream", upstream)...)
		browser.Open(origin + "/")
		browser.Click(`button[value="alice"], form:has(input[value="alice"]) button`)
		browser.WaitText("says " + before + ", pressed 0 times")
		browser.Script(`window.kept = "kept"`)
		browser.Script(pressOnce)
		counted := browser.Script(`document.querySelector("button").textContent.split("pressed ")[1]`)
		writeCounter(t, dir, after)
		browser.WaitText("says " + after + ", pressed " + counted)
		if kept := browser.Script(`window.kept || "loaded anew"`); kept != "kept" {
			t.Errorf("%s: the page was not updated in place, but %s", origin, kept)
		}
	}
}
