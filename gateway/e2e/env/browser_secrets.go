//go:build e2e

package env

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// harvest tells the scan of this run of the secrets in what the browser sends and gets
// from now on.
func (b *Browser) harvest() {
	b.t.Helper()
	err := chromedp.Listen(b.ctx, func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			Harvest(e.Request.URL, nil)
			for _, part := range e.Request.PostDataEntries {
				if form, err := url.ParseQuery(string(part.Bytes)); err == nil {
					HarvestForm(form)
				}
			}
		case *network.EventRequestWillBeSentExtraInfo:
			HarvestHeader(headerOf(e.Headers))
		case *network.EventResponseReceivedExtraInfo:
			HarvestHeader(headerOf(e.Headers))
		}
	})
	if err != nil {
		b.t.Fatalf("browser: its requests can't be followed: %v", err)
	}
}

// headerOf makes a header of what the browser tells of one: lines of one name are one
// text.
func headerOf(told network.Headers) http.Header {
	header := http.Header{}
	for name, lines := range told {
		if text, ok := lines.(string); ok {
			for line := range strings.SplitSeq(text, "\n") {
				header.Add(name, line)
			}
		}
	}
	return header
}
