package admin

import (
	"net/http"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

// StatsEndpoints are the endpoints of the figures of the last minutes, which charts
// draw.
func StatsEndpoints(read func() telemetry.Stats) []Endpoint {
	return []Endpoint{{
		Method: http.MethodGet, Path: "/stats", Gives: telemetry.Stats{},
		Summary: "Gives the figures of this gateway, second by second, of the last ten minutes.",
		Serve: func(w http.ResponseWriter, _ *http.Request) error {
			return writeJSON(w, http.StatusOK, read())
		},
	}}
}
