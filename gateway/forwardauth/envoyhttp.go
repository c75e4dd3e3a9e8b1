package forwardauth

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/frontend"
)

// envoyHTTP is Envoy's ext_authz over HTTP with a path_prefix: the check is the
// request itself without its body, with the prefix before its path. It takes status
// 200 alone for a yes, and sends anything else to the client.
func envoyHTTP() Dialect {
	return Dialect{Name: config.DialectEnvoy, Subtree: true, Removal: "X-Envoy-Auth-Headers-To-Remove", Original: prefixed}
}

// prefixed reads the request line and the Host header, and the scheme besides.
func prefixed(r *http.Request, prefix string) (o frontend.Original, err error) {
	if o.Scheme, err = take(r.Header, "X-Forwarded-Proto"); err != nil {
		return o, err
	}
	var below bool
	if o.Target, below = strings.CutPrefix(r.RequestURI, prefix); !below {
		return o, &HeaderError{"path", "is not " + prefix + " followed by that of the client: have the proxy put it in front"}
	}
	o.Method, o.Host = r.Method, r.Host
	return o, nil
}
