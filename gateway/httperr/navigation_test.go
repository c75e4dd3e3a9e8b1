package httperr_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport/sallyport/gateway/httperr"
)

func request(method string, headers map[string]string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	return r
}

func TestOnlyNavigationsMayStartASignIn(t *testing.T) {
	type h = map[string]string
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	for name, c := range map[string]struct {
		method  string
		headers h
		want    bool
	}{
		"a page load":                           {"GET", h{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none", "Accept": browser}, true},
		"a page load by HEAD":                   {"HEAD", h{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, true},
		"a mode alone":                          {"GET", h{"Sec-Fetch-Mode": "navigate"}, true},
		"a link from another site":              {"GET", h{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}, true},
		"an old browser":                        {"GET", h{"Accept": browser}, true},
		"an old browser by HEAD":                {"HEAD", h{"Accept": "text/html"}, true},
		"html in capitals":                      {"GET", h{"Accept": "TEXT/HTML"}, true},
		"html with a weight":                    {"GET", h{"Accept": "application/json, text/html;q=0.1"}, true},
		"a form":                                {"POST", h{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": browser}, false},
		"a form of an old browser":              {"POST", h{"Accept": browser}, false},
		"fetch":                                 {"GET", h{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": "*/*"}, false},
		"fetch that asks for html":              {"GET", h{"Sec-Fetch-Mode": "cors", "Accept": browser}, false},
		"fetch to the same origin":              {"GET", h{"Sec-Fetch-Mode": "same-origin", "Accept": browser}, false},
		"an image":                              {"GET", h{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Accept": "image/*"}, false},
		"a script":                              {"GET", h{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, false},
		"a manifest":                            {"GET", h{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "manifest"}, false},
		"a frame":                               {"GET", h{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Accept": browser}, false},
		"an embedded object":                    {"GET", h{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "object", "Accept": browser}, false},
		"a service worker":                      {"GET", h{"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "serviceworker"}, false},
		"a prefetch":                            {"GET", h{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch"}, false},
		"a prerender":                           {"GET", h{"Sec-Fetch-Mode": "navigate", "Sec-Purpose": "prefetch;prerender"}, false},
		"a destination without a mode":          {"GET", h{"Sec-Fetch-Dest": "document", "Accept": browser}, false},
		"a site without a mode":                 {"GET", h{"Sec-Fetch-Site": "same-origin", "Accept": browser}, false},
		"curl":                                  {"GET", h{"Accept": "*/*"}, false},
		"nothing at all":                        {"GET", nil, false},
		"an API client":                         {"GET", h{"Accept": "application/json"}, false},
		"a type that only begins like html":     {"GET", h{"Accept": "text/htmlx"}, false},
		"jQuery":                                {"GET", h{"Accept": browser, "X-Requested-With": "XMLHttpRequest"}, false},
		"a WebSocket":                           {"GET", h{"Sec-Fetch-Mode": "websocket", "Upgrade": "websocket", "Accept": browser}, false},
		"a WebSocket of an old browser":         {"GET", h{"Upgrade": "websocket", "Accept": browser}, false},
		"a WebSocket whose Upgrade was dropped": {"GET", h{"Sec-Websocket-Key": "x", "Accept": browser}, false},
		"PUT":                                   {"PUT", h{"Accept": browser}, false},
		"OPTIONS":                               {"OPTIONS", h{"Accept": browser}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := httperr.IsNavigation(request(c.method, c.headers)); got != c.want {
				t.Errorf("IsNavigation = %v", got)
			}
		})
	}
}
