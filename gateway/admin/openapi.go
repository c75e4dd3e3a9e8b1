package admin

import (
	_ "embed" // the description
	"net/http"
)

// description is what the API is in the words of OpenAPI. A test makes it from the
// endpoints and asks each of them, so that no program has to while it runs.
//
//go:embed openapi.json
var description []byte

// DescriptionEndpoints are where the API describes itself.
func DescriptionEndpoints() []Endpoint {
	return []Endpoint{{
		Method: http.MethodGet, Path: "/openapi.json", Summary: "Describes this API (OpenAPI 3.0).",
		Serve: func(w http.ResponseWriter, _ *http.Request) error {
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "no-store")
			h.Set("X-Content-Type-Options", "nosniff")
			_, _ = w.Write(description) // a client that went away is no error of ours
			return nil
		},
	}}
}
