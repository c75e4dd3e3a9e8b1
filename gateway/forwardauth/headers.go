package forwardauth

import (
	"net/http"

	"github.com/sallyport/sallyport/gateway/frontend"
)

// take removes a header that the proxy must have sent exactly once, and returns its
// value. What is left is the client's, and the chain of addresses.
func take(h http.Header, name string) (string, error) {
	switch values := h[name]; {
	case len(values) > 1:
		return "", &HeaderError{name, "is there several times: have the proxy replace what clients send"}
	case len(values) == 0 || values[0] == "":
		return "", &HeaderError{name, "is missing: have the proxy set it"}
	default:
		delete(h, name)
		return values[0], nil
	}
}

// forwarded reads the headers that Traefik, Caddy and our own script for HAProxy set.
func forwarded(r *http.Request, _ string) (o frontend.Original, err error) {
	var values [4]string
	for i, name := range [...]string{"X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri"} {
		if values[i], err = take(r.Header, name); err != nil {
			return o, err
		}
	}
	o.Method, o.Scheme, o.Host, o.Target = values[0], values[1], values[2], values[3]
	return o, nil
}
