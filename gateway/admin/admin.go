// Package admin serves the operators' listener: whether the process lives,
// whether it is ready, its metrics, and the API of the command line. Nothing of it is on the public listener.
package admin

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// Options are what the admin listener serves.
type Options struct {
	Metrics prometheus.Gatherer
	Edge    *httperr.Edge
	Checks  []Check
	API     []Endpoint
	// Known is what earlier handlers have seen of checks with the same names. Nil =
	// nothing.
	Known *Known
	// Draining says that the gateway is going away: it is not ready, whatever else
	// works. It may be nil.
	Draining func() bool
	Overview *Overview
	Pages    []Page
	Forms    []Form
	Gate     Gate
}

// New returns the admin listener's handler.
func New(o Options) http.Handler {
	edge, metrics := o.Edge, o.Metrics
	ready := newReadiness(&o)
	mux := http.NewServeMux()
	g := &gate{Gate: o.Gate, origin: http.NewCrossOriginProtection()}
	mountAPI(mux, g, o)
	pages := newSite(g, append(overviewPages(o.Overview, ready), o.Pages...))
	pages.mount(mux, o.Forms)
	mux.Handle("GET /livez", edge.Handle(func(w http.ResponseWriter, _ *http.Request) error {
		return writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	}))
	mux.Handle("GET /readyz", edge.Handle(ready.serve))
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("/", pages.edge.Handle(func(http.ResponseWriter, *http.Request) error {
		return &httperr.Error{Code: http.StatusNotFound, Reason: "no_route", Public: "The admin listener has /livez, /readyz, /metrics, /api/v1/ and the pages at /, and nothing here."}
	}))
	return identified(mux)
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that went away is no error of ours
	return nil
}
