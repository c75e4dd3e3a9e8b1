//go:build e2e

package env

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// View is how somebody looks at pages.
type View struct {
	Width    int64  // of the window, in CSS pixels
	Scheme   string // prefers-color-scheme: light or dark
	Language string // Accept-Language
}

// Look makes the browser show pages to somebody else from now on.
func (b *Browser) Look(v View) {
	b.t.Helper()
	b.Do(
		chromedp.EmulateViewport(v.Width, 800),
		func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
			// Without it a window that nobody clicked into does not show its focus.
			if _, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
				return chromedp.Void{}, err
			}
			if _, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.Scheme}},
			}); err != nil {
				return chromedp.Void{}, err
			}
			_, err := cdp.Call(ctx, t, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
				Headers: network.Headers{"Accept-Language": v.Language},
			})
			return chromedp.Void{}, err
		},
	)
}

// Press types on the keyboard, into whatever has the focus. Keys beyond letters
// are those of package kb.
func (b *Browser) Press(keys string) {
	b.t.Helper()
	b.Do(chromedp.KeyEvent(keys))
}
