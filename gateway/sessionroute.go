package gateway

import (
	"net/http"
	"net/url"

	"github.com/sallyport/sallyport/gateway/route"
)

// routeOf names the route that a place to return to is on, a path on public's host or
// an absolute URL; "" for one that leads to none.
func routeOf(table *route.Table, public *url.URL) func(target string) string {
	return func(target string) string {
		u, err := url.Parse(target)
		if err != nil {
			return ""
		}
		host := u.Host
		if host == "" {
			host = public.Host
		}
		m, err := table.Match(&http.Request{Method: http.MethodGet, Host: host, RequestURI: u.RequestURI(), URL: u})
		if err != nil || m.Route == nil {
			return ""
		}
		return m.Route.Name
	}
}
