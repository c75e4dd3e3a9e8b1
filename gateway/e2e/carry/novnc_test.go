//go:build e2e

package carry_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// TestNoVNCInABrowser has a person look at another machine's screen, in Debian's
// noVNC behind Debian's websockify. What they type arrives there. When they sign
// out in another tab, the picture ends.
func TestNoVNCInABrowser(t *testing.T) {
	t.Parallel()
	machine, port := startScreen(t), porttest.Free(t)
	app := fmt.Sprintf("http://127.0.0.1:%d", port)
	env.Start(t, t.TempDir(), nil, "websockify", "--web", "/usr/share/novnc", "127.0.0.1:"+strconv.Itoa(port), machine.addr).WaitHTTP(app)
	g := start(t, plan{routes: fmt.Sprintf("  - {name: screens, upstream: %q, policy: staff}", app)})

	b := env.StartBrowser(t)
	b.Open(g.URL + "/vnc.html?autoconnect=true&reconnect=false")
	b.Click(`form:has(input[value="alice"]) button`)
	b.WaitURL(g.URL + "/vnc.html?autoconnect=true")
	colour := func(want [3]byte) {
		t.Helper()
		// Two corners of the picture, as the browser has painted it.
		const pixels = `(() => {
			const canvas = document.querySelector('#noVNC_container canvas')
			if (!canvas || canvas.width != %d || canvas.height != %d) return ''
			const at = (x, y) => Array.from(canvas.getContext('2d').getImageData(x, y, 1, 1).data.slice(0, 3)).join(' ')
			return at(0, 0) + ', ' + at(canvas.width - 1, canvas.height - 1)
		})()`
		one := fmt.Sprintf("%d %d %d", want[0], want[1], want[2])
		env.WaitUntil(t, "the screen is "+one, func() bool {
			return b.Script(fmt.Sprintf(pixels, screenWidth, screenHeight)) == one+", "+one
		})
	}
	colour(colours()[0])
	b.Screenshot("connected")
	b.Press("a")
	colour(colours()[1])
	b.Screenshot("after-a-key")

	if at := b.Script(`fetch('/.auth/logout', {method: 'POST', redirect: 'manual'}).then(r => r.type)`); at != "opaqueredirect" {
		t.Fatalf("sign-out: %s", at)
	}
	within(t, once, "the machine sees that its viewer has gone", machine.ended)
	b.WaitAny("Something went wrong, connection is closed", "Disconnected", "Connection closed")
	b.Screenshot("after-the-sign-out")
}
