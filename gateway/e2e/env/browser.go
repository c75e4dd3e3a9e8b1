//go:build e2e

package env

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// stepTimeout bounds one thing that a test does in its browser.
const stepTimeout = 30 * time.Second

// Browser is a headless Chromium with a profile of its own.
type Browser struct {
	t   testing.TB
	ctx context.Context //nolint:containedctx // chromedp keeps the browser in its context
}

// StartBrowser starts Chromium, with more of an environment where the test has some;
// it ends with the test.
func StartBrowser(tb testing.TB, environ ...string) *Browser {
	tb.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // the tests may run as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(tb.TempDir()),
		chromedp.WindowSize(1280, 800),
		chromedp.Env(environ...),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	tb.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	tb.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		tb.Fatalf("chromium is needed for this test: install it (make test does): %v", err)
	}
	b := &Browser{t: tb, ctx: ctx}
	b.harvest()
	tb.Cleanup(func() {
		if tb.Failed() {
			b.Screenshot("at-failure")
		}
		_ = chromedp.Cancel(ctx) // wait for the process to end, so that its profile can be removed
	})
	return b
}

// Do performs steps and fails the test when one does.
func (b *Browser) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("browser: %v\nat %s", err, b.where())
	}
}

// get performs an action that returns a value.
func get[T any](b *Browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("browser: %v\nat %s", err, b.where())
	}
	return value
}

// where describes the page for a failure.
func (b *Browser) where() string {
	url, text, err := b.look()
	if err != nil {
		return err.Error()
	}
	return url + ":\n" + text
}

// Open navigates to a URL and waits until the page is there.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(url), chromedp.WaitReady("body"))
}

// Click clicks the first element that a CSS selector finds. A plain text is searched
// for by chromedp in everything, and found in style sheets first.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.Do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// Type types into the first element that a CSS selector finds.
func (b *Browser) Type(selector, text string) {
	b.t.Helper()
	b.Do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// URL returns what the address bar shows.
func (b *Browser) URL() string {
	b.t.Helper()
	return get(b, chromedp.Location())
}

// Script evaluates an expression, awaits it, and returns its text.
func (b *Browser) Script(expression string) string {
	b.t.Helper()
	return get(b, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
}

// WaitText waits until the page shows text, across navigations.
func (b *Browser) WaitText(text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("the page never showed %q", text), func(_, shown string) bool { return strings.Contains(shown, text) })
}

// WaitAny waits until the page shows one of the texts, and returns which.
func (b *Browser) WaitAny(texts ...string) (found string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("the page never showed one of %q", texts), func(_, shown string) bool {
		at := slices.IndexFunc(texts, func(text string) bool { return strings.Contains(shown, text) })
		if at >= 0 {
			found = texts[at]
		}
		return at >= 0
	})
	return found
}

// WaitURL waits until the address bar shows a URL that begins so.
func (b *Browser) WaitURL(prefix string) {
	b.t.Helper()
	b.wait("the browser never came to "+prefix, func(url, _ string) bool { return strings.HasPrefix(url, prefix) })
}

// Leave does what leads to another page, and waits until that is there: the one before
// can look the same.
func (b *Browser) Leave(do func()) {
	b.t.Helper()
	b.Script(`document.left = false; ""`)
	do()
	WaitUntil(b.t, "another page is there", func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		defer cancel()
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.left === undefined && document.readyState === "complete"`))
		return err == nil && there // between two pages it fails
	})
}

// wait polls what a person sees.
func (b *Browser) wait(failure string, seen func(url, text string) bool) {
	b.t.Helper()
	deadline := time.Now().Add(stepTimeout)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		url, text, err := b.look()
		if err == nil && seen(url, text) {
			return
		}
		<-tick.C
	}
	b.t.Fatalf("%s; it is at %s", failure, b.where())
}

// look returns the address and the text of the page; it fails while the
// browser is between two pages.
func (b *Browser) look() (url, text string, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	if url, err = chromedp.Run(ctx, chromedp.Location()); err != nil {
		return "", "", err
	}
	text, err = chromedp.Run(ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
	return url, text, err
}

// Screenshot keeps a picture of the page among the test's artifacts, where the run keeps
// these (go test -artifacts): hundreds of pictures take minutes.
func (b *Browser) Screenshot(name string) {
	b.t.Helper()
	if kept := flag.Lookup("test.artifacts"); kept == nil || kept.Value.String() != "true" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), png, 0o600)
	}
	if err != nil {
		b.t.Logf("screenshot %s: %v", name, err)
	}
}

// Cookie returns the value of a cookie, also one that scripts can't see.
func (b *Browser) Cookie(url, name string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	res, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{url}})
	if err != nil {
		b.t.Fatalf("browser: cookies: %v", err)
	}
	for _, c := range res.Cookies {
		if c.Name == name {
			return c.Value
		}
	}
	b.t.Fatalf("browser: no cookie %q at %s", name, url)
	return ""
}

// SetCookie gives the browser a cookie of a host, as a sign-in in another tab
// would.
func (b *Browser) SetCookie(url, name, value string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	if _, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{URL: url, Name: name, Value: value}); err != nil {
		b.t.Fatalf("browser: cookie %s: %v", name, err)
	}
}
