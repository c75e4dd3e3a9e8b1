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
	return Dialect{Name: config.DialectEnvoy, Subtree: true, Original: func(r *http.Request, prefix string) (o frontend.Original, err error) {
		const scheme = "X-Forwarded-Proto"
		if o.Scheme, err = one(r.Header, scheme); err != nil {
			return o, err
		}
		var below bool
		if o.Target, below = strings.CutPrefix(r.RequestURI, prefix); !below {
			return o, &HeaderError{"path", "is not " + prefix + " followed by that of the client: have the proxy put it in front"}
		}
		o.Method, o.Host, o.Peer = r.Method, r.Host, r.RemoteAddr
		o.Header = client(r.Header, scheme)
		return o, nil
	}}
}
