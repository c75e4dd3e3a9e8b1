package admin

import (
	"context"
	"net/http"
	"sync"
	"time"
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

// Known is what was seen of checks, by their names. It outlives the handlers that see
// it: a reload makes another one, and no dependency new. The zero value knows nothing.
// It is safe for concurrent use.
type Known struct {
	mu   sync.Mutex
	seen map[string]checkState
}

// checkState is what was seen of one check.
type checkState struct {
	failing time.Time // since when; zero when it works
	worked  bool      // at least once
}

type readiness struct {
	draining func() bool
	checks   []Check
	known    *Known
}

func newReadiness(o *Options) *readiness {
	r := &readiness{draining: o.Draining, checks: o.Checks, known: o.Known}
	if r.known == nil {
		r.known = &Known{}
	}
	return r
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

	c.known.mu.Lock()
	defer c.known.mu.Unlock()
	ready = true
	for i := range c.checks {
		check, result := &c.checks[i], checkResult{Name: c.checks[i].Name, Status: "ok", Required: c.checks[i].Required}
		fine := c.known.see(check, errs[i], now)
		if errs[i] != nil {
			result.Status = "failing"
		}
		if check.Required && !fine {
			ready = false
		}
		results = append(results, result)
	}
	return ready, results
}

// see keeps what a probe has shown, and reports whether the check may pass for one that
// works. The lock is held.
func (k *Known) see(check *Check, err error, now time.Time) (fine bool) {
	s := k.seen[check.Name]
	switch {
	case err == nil:
		s = checkState{worked: true}
	case s.failing.IsZero():
		s.failing = now
	}
	if err != nil && check.FailingSince != nil {
		if since := check.FailingSince(); !since.IsZero() && since.Before(s.failing) {
			s.failing = since
		}
	}
	if k.seen == nil {
		k.seen = map[string]checkState{}
	}
	k.seen[check.Name] = s
	return err == nil || s.worked && now.Sub(s.failing) < grace
}
