package forwardauth

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/frontend"
)

// nginx asks by auth_request (and ingress-nginx by auth-url). It sends what its
// configuration says, besides all headers of the client:
//
//	X-Original-URL     $scheme://$host$request_uri
//	X-Original-Method  $request_method
//
// It reads statuses alone: 2xx is yes, 401 and 403 are passed on, and all others
// are its own failure, 500. The Location of a 401 is for its error_page. It gives
// up on an answer whose header is larger than a page of memory, and cookies can be,
// so that they are left to its configuration.
func nginx() Dialect {
	return Dialect{Name: config.DialectNginx, Opaque: true, Withhold: []string{"Cookie"}, Original: originalURL}
}

// originalURL reads the headers that nginx is told to set.
func originalURL(r *http.Request, _ string) (o frontend.Original, err error) {
	const address, method = "X-Original-Url", "X-Original-Method"
	whole, err := take(r.Header, address)
	if err != nil {
		return o, err
	}
	if o.Method, err = take(r.Header, method); err != nil {
		return o, err
	}
	var rest string
	var absolute bool
	if o.Scheme, rest, absolute = strings.Cut(whole, "://"); !absolute {
		return o, &HeaderError{address, "is no absolute URL: have the proxy set it to $scheme://$host$request_uri"}
	}
	o.Host = rest
	if path := strings.IndexAny(rest, "/?#"); path >= 0 {
		o.Host, o.Target = rest[:path], rest[path:]
	}
	return o, nil
}
