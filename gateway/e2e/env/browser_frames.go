//go:build e2e

package env

import (
	"context"

	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// TrustAnyCertificate lets the browser open sites of a test's own authority.
func (b *Browser) TrustAnyCertificate() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	if _, err := chromedp.Call(ctx, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}); err != nil {
		b.t.Fatalf("browser: certificates: %v", err)
	}
}

// Partitions lists the sites for whose frames a cookie of this name is kept
// apart; "" stands for one that is not kept apart.
func (b *Browser) Partitions(name string) []string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	all, err := chromedp.CallBrowser(ctx, storage.GetCookies, storage.GetCookiesParams{})
	if err != nil {
		b.t.Fatalf("browser: cookies: %v", err)
	}
	var sites []string
	for _, c := range all.Cookies {
		switch {
		case c.Name != name:
		case c.PartitionKey == nil:
			sites = append(sites, "")
		default:
			sites = append(sites, c.PartitionKey.TopLevelSite)
		}
	}
	return sites
}
