// Package admin serves the operators' listener: whether the process lives,
// whether it is ready, its metrics, and the API of the command line. Nothing of it is on the public listener.
package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// Check is one dependency of the gateway.
type Check struct {
	Name string
	// Required says that the gateway can't serve without it. A provider that is
	// down stops new sign-ins alone, so it is shown and no more.
	Required bool
	// Probe reports whether it works now. It must honour its context.
	Probe func(ctx context.Context) error
	// FailingSince says since when it is known to fail, where that can be sooner
	// than a probe showed it; the zero time where it works. It may be nil.
	FailingSince func() time.Time
}

const (
	probeTimeout = time.Second
	// grace is how long a required dependency that has worked may fail before the
	// gateway says that it is not ready: a blip must not take every replica out of
	// service. One that has never worked makes it not ready at once, so that a
	// rollout with a wrong password does not go on.
	grace = 3 * time.Second
)

// Options are what the admin listener serves.
type Options struct {
	Metrics prometheus.Gatherer
	Edge    *httperr.Edge
	Checks  []Check
	API     []Endpoint
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
	ready := &readiness{draining: o.Draining, checks: o.Checks, failing: make([]time.Time, len(o.Checks)), worked: make([]bool, len(o.Checks))}
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

type readiness struct {
	draining func() bool
	checks   []Check
	mu       sync.Mutex
	failing  []time.Time // since when each check fails; zero when it works
	worked   []bool      // each, at least once
}

type checkResult struct {
	Name     string `json:"name"`
	Status   string `json:"status"` // ok, failing
	Required bool   `json:"required"`
}

func (c *readiness) serve(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	ready, results := c.judge(ctx, time.Now())
	status, word := http.StatusOK, "ready"
	if !ready {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	if c.draining != nil && c.draining() {
		status, word = http.StatusServiceUnavailable, "draining"
	}
	return writeJSON(w, status, map[string]any{"status": word, "checks": results})
}

// judge probes everything. A required check that has failed for less than the
// grace period does not count yet.
func (c *readiness) judge(ctx context.Context, now time.Time) (ready bool, results []checkResult) {
	errs := make([]error, len(c.checks))
	var probes sync.WaitGroup
	for i, check := range c.checks {
		probes.Go(func() { errs[i] = check.Probe(ctx) })
	}
	probes.Wait()

	c.mu.Lock()
	defer c.mu.Unlock()
	ready = true
	for i, check := range c.checks {
		result := checkResult{Name: check.Name, Status: "ok", Required: check.Required}
		if errs[i] == nil {
			c.failing[i], c.worked[i] = time.Time{}, true
		} else {
			result.Status = "failing"
			if c.failing[i].IsZero() {
				c.failing[i] = now
			}
			if check.FailingSince != nil {
				if since := check.FailingSince(); !since.IsZero() && since.Before(c.failing[i]) {
					c.failing[i] = since
				}
			}
			if check.Required && (!c.worked[i] || now.Sub(c.failing[i]) >= grace) {
				ready = false
			}
		}
		results = append(results, result)
	}
	return ready, results
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
