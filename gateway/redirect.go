package gateway

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/httperr"
)

// redirectHTTPS sends a client to the same target by https. The host is one that is
// served, in its canonical spelling, and the port is that of public_url: nothing of
// what the client says about itself leads anywhere else. 308 keeps the method, so
// that a form that was sent to the wrong scheme does not become an empty GET.
//
// proof answers an authority that wants to see whether a host is ours (ACME,
// http-01), and reports whether it did; it may be nil.
func redirectHTTPS(server config.Server, known func(host string) (string, bool), proof func(http.ResponseWriter, *http.Request) bool) httperr.HandlerFunc {
	port := ""
	if p := server.URL().Port(); p != "" {
		port = ":" + p
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		if proof != nil && proof(w, r) {
			return nil
		}
		host, ok := known(r.Host)
		if !ok {
			return unknownHost(w, r)
		}
		if !strings.HasPrefix(r.RequestURI, "/") { // CONNECT, OPTIONS *, an absolute target
			e := frontend.Malformed("absolute_target")
			e.Header = closing()
			return e
		}
		h := w.Header()
		h["Location"] = []string{"https://" + host + port + r.RequestURI}
		h["Content-Length"] = []string{"0"}
		w.WriteHeader(http.StatusPermanentRedirect)
		return nil
	}
}
