package headers

import (
	"net/http"
	"strings"
)

const clearSiteData = "Clear-Site-Data"

// KeepCookies takes out of an upstream's Clear-Site-Data what would delete the
// gateway's cookies along with its own, since browsers delete all or none. The
// wildcard, which means cookies among other things, becomes those others.
func KeepCookies(h http.Header) {
	lines := h[clearSiteData]
	if len(lines) == 0 {
		return
	}
	var kept []string
	for item := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		switch item = strings.TrimSpace(item); item {
		case "", `"cookies"`:
		case `"*"`:
			kept = append(kept, `"cache"`, `"storage"`, `"executionContexts"`)
		default:
			kept = append(kept, item)
		}
	}
	if len(kept) == 0 {
		delete(h, clearSiteData)
		return
	}
	h[clearSiteData] = []string{strings.Join(kept, ", ")}
}
