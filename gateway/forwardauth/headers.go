package forwardauth

import (
	"maps"
	"net/http"

	"github.com/sallyport/sallyport/gateway/frontend"
)

// one returns the value of a header that the proxy must have sent exactly once.
func one(h http.Header, name string) (string, error) {
	switch values := h[name]; {
	case len(values) > 1:
		return "", &HeaderError{name, "is there several times: have the proxy replace what clients send"}
	case len(values) == 0 || values[0] == "":
		return "", &HeaderError{name, "is missing: have the proxy set it"}
	default:
		return values[0], nil
	}
}

// client is the header of the client: that of the check without what the proxy says
// of the request. The chain of addresses stays; it is read as far as it is trusted.
func client(h http.Header, said ...string) http.Header {
	h = maps.Clone(h)
	for _, name := range said {
		delete(h, name)
	}
	return h
}

// forwarded reads the headers that Traefik, Caddy and our own script for HAProxy set.
func forwarded(r *http.Request, _ string) (o frontend.Original, err error) {
	for _, field := range []struct {
		name string
		to   *string
	}{
		{"X-Forwarded-Method", &o.Method},
		{"X-Forwarded-Proto", &o.Scheme},
		{"X-Forwarded-Host", &o.Host},
		{"X-Forwarded-Uri", &o.Target},
	} {
		if *field.to, err = one(r.Header, field.name); err != nil {
			return frontend.Original{}, err
		}
	}
	o.Header = client(r.Header, "X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri")
	o.Peer = r.RemoteAddr
	return o, nil
}
