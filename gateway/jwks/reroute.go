package jwks

import (
	"errors"
	"net/http"
	"net/url"
)

// Reroute makes a client from NewClient call what is at the origin of the URL
// from at the origin of the URL to instead: an issuer that the gateway reaches at
// another address than browsers do. Everything else about a request stays as if
// it went to from: which addresses may be called, and where a redirect may lead.
// An empty to changes nothing. It is called before the client is used.
func Reroute(client *http.Client, from, to string) error {
	if to == "" {
		return nil
	}
	t, ok := client.Transport.(*transport)
	if !ok {
		return errors.New("the client is not from NewClient")
	}
	public, err := url.Parse(from)
	if err != nil {
		return err
	}
	inside, err := url.Parse(to)
	if err != nil {
		return err
	}
	t.from, t.to = public, inside
	return nil
}

// reroute returns the request that is really sent.
func (t *transport) reroute(r *http.Request) *http.Request {
	if t.to == nil || r.URL.Scheme != t.from.Scheme || hostPort(r.URL) != hostPort(t.from) {
		return r
	}
	sent := r.Clone(r.Context())
	sent.URL.Scheme, sent.URL.Host, sent.Host = t.to.Scheme, t.to.Host, t.to.Host
	return sent
}
