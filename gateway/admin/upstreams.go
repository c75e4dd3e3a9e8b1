package admin

import "net/http"

// UpstreamEndpoints are the endpoints that show where routes lead. read returns
// what is made for JSON.
func UpstreamEndpoints(read func() any) []Endpoint {
	return []Endpoint{{Method: http.MethodGet, Path: "/upstreams", Serve: func(w http.ResponseWriter, _ *http.Request) error {
		return writeJSON(w, http.StatusOK, read())
	}}}
}
