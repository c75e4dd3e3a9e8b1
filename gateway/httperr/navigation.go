package httperr

import (
	"net/http"
	"strings"
)

// IsNavigation reports whether a person's browser is loading a page: the only
// kind of request that may be redirected to a sign-in, get a cookie, or have
// its URL remembered. Everything else gets a status that a program understands.
//
// With Fetch Metadata (W3C), that is a GET or HEAD with Sec-Fetch-Mode: navigate
// whose destination is a document and that is no prefetch. Without any
// Sec-Fetch header it is a GET or HEAD that accepts text/html and does not call
// itself an XMLHttpRequest. An upgrade is never a navigation.
func IsNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	h := r.Header
	if h.Get("Upgrade") != "" || h.Get("Sec-WebSocket-Key") != "" || h.Get("Sec-Purpose") != "" {
		return false
	}
	mode, dest := h.Get("Sec-Fetch-Mode"), h.Get("Sec-Fetch-Dest")
	if mode != "" || dest != "" || h.Get("Sec-Fetch-Site") != "" {
		return mode == "navigate" && (dest == "" || dest == "document")
	}
	return h.Get("X-Requested-With") == "" && AcceptsHTML(h)
}

// AcceptsHTML reports whether the Accept header names text/html.
func AcceptsHTML(h http.Header) bool {
	for _, v := range h["Accept"] {
		for part := range strings.SplitSeq(v, ",") {
			media, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(media), "text/html") {
				return true
			}
		}
	}
	return false
}
