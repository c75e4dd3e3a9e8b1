package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/httperr"
)

// Where verifiers find the keys, below the prefix of the own endpoints.
const (
	jwksPath     = "/jwks.json"
	metadataPath = "/.well-known/openid-configuration"
	tokenPath    = "/token"
)

// serveJWKS is GET Prefix/jwks.json: the keys that prove what the gateway signs
// (RFC 7517). They are public, so that any page may read them.
func (s *signing) serveJWKS(w http.ResponseWriter, r *http.Request) error {
	if err := onlyRead(r); err != nil {
		return err
	}
	body, etag, err := s.ring.JWKS()
	if err != nil {
		return noKeys(err)
	}
	h := w.Header()
	h.Set("ETag", etag)
	writePublic(w, r, "application/jwk-set+json", body, matches(r.Header["If-None-Match"], etag))
	return nil
}

// serveMetadata is GET Prefix/.well-known/openid-configuration, of which a
// verifier needs the issuer and the address of the keys. The gateway is no
// OpenID provider: there is no authorization endpoint.
func (s *signing) serveMetadata(w http.ResponseWriter, r *http.Request) error {
	if err := onlyRead(r); err != nil {
		return err
	}
	keys, _, err := s.ring.Keys()
	if err != nil {
		return noKeys(err)
	}
	issuer := s.minter.Issuer()
	metadata := struct {
		Issuer        string   `json:"issuer"`
		JWKS          string   `json:"jwks_uri"`
		Algorithms    []string `json:"id_token_signing_alg_values_supported"`
		TokenEndpoint string   `json:"token_endpoint,omitempty"`
	}{Issuer: issuer, JWKS: issuer + jwksPath}
	for _, k := range keys {
		if !slices.Contains(metadata.Algorithms, k.Algorithm) {
			metadata.Algorithms = append(metadata.Algorithms, k.Algorithm)
		}
	}
	if s.cfg.Tokens.Exchange.Enabled {
		metadata.TokenEndpoint = issuer + tokenPath
	}
	body, err := json.Marshal(metadata)
	if err != nil {
		return err
	}
	writePublic(w, r, "application/json", body, false)
	return nil
}

func onlyRead(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	return &httperr.Error{
		Code: http.StatusMethodNotAllowed, Reason: "method_not_allowed", Header: http.Header{"Allow": {"GET, HEAD"}},
	}
}

// noKeys is an outage: a verifier that got an empty key set would refuse good
// tokens.
func noKeys(err error) error {
	return &httperr.Error{
		Code: http.StatusServiceUnavailable, Reason: "unavailable", Public: "There are no signing keys right now.", Err: err,
		Header: http.Header{"Retry-After": {"5"}},
	}
}

// writePublic answers what anybody may read and keep.
func writePublic(w http.ResponseWriter, r *http.Request, contentType string, body []byte, unchanged bool) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(assertion.MaxAge.Seconds())))
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	if unchanged {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone
	}
}

// matches compares If-None-Match weakly (RFC 9110, section 13.1.2).
func matches(lines []string, etag string) bool {
	for _, line := range lines {
		for tag := range strings.SplitSeq(line, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}
